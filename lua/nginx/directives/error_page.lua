--- error_page and recursive_error_pages.
local units = require "nginx.units"

--- "=", "=200": the status to answer with; nil: the word is none of these.
local function answer_of(word)
  if word == "=" then
    return 0
  end
  local digits = word:match("^=(.*)$")
  return digits and (units.integer(digits) or false)
end

--- 494 to 497 exist inside only.
local inner = { [494] = 400, [495] = 400, [496] = 400, [497] = 400 }

local function status_of(text)
  local n = units.integer(text)
  if not n or n == 499 then
    return nil, ('invalid value "%s"'):format(text)
  elseif n < 300 or n > 599 then
    return nil, ('value "%s" must be between 300 and 599'):format(text)
  end
  return n
end

local function error_page(d)
  local n = #d.args
  local word = d.args[n - 1]
  local answer = answer_of(word)
  if answer == false or (answer and n == 2) then
    return nil, ('invalid value "%s"'):format(word)
  end
  local pages = {}
  for i = 1, n - (answer and 2 or 1) do
    local status, err = status_of(d.args[i])
    if not status then
      return nil, err
    end
    pages[i] = { status = status, answer = answer or inner[status], target = d.args[n] }
  end
  return pages
end

local function route(scope, r)
  for _, pages in ipairs(scope:get("error_page") or {}) do
    for _, page in ipairs(pages) do
      r.error_pages = r.error_pages or {}
      table.insert(r.error_pages, page)
    end
  end
  r.recursive_errors = scope:get("recursive_error_pages") or nil
end

return {
  directives = {
    error_page = { where = "http server location if", args = "2+", many = true, parse = error_page },
    recursive_error_pages = { where = "http server location", args = 1, parse = units.onoff, default = false },
  },
  route = route,
}
