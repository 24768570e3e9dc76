--- redirect: sends clients elsewhere, all of them or those whose path matches.
local mg = require "moongate"
local t = mg.schema

---@class RedirectOptions
---@field to string
---@field match string|nil
---@field status integer
---@field query boolean

return mg.policy {
  name = "redirect",
  doc = "Redirects: everything to `to`, or paths that match a regular expression with its captures as $1, $2…",
  options = t.record {
    to = t.string(1):doc("target: $variables, or with match $1, $2 and ${name}"),
    match = t.regex():optional():doc("regular expression on the path; what does not match goes on"),
    status = t.integer(301, 308):default(301):doc("301, 302, 303, 307 or 308"),
    query = t.boolean():default(true):doc("with match: the query is kept"),
  },
  new = function(opt)
    if not opt.match then
      local template = mg.template(opt.to)
      return {
        rewrite = function(req)
          return req:redirect(template:render(), opt.status)
        end,
      }
    end
    local re = mg.re.compile(opt.match)
    local function expand(m)
      return (opt.to:gsub("%${?(%w+)}?", function(name)
        local value = m[tonumber(name) or name]
        -- a capture is decoded text: what may not stand in a URL is encoded again, slashes stay
        return value and mg.escape(value):gsub("%%2[Ff]", "/") or ""
      end))
    end
    return {
      rewrite = function(req)
        local m = re:match(req.path)
        if not m then
          return
        end
        local url = expand(m)
        if url:sub(1, 2) == "//" and opt.to:sub(1, 2) ~= "//" then
          url = "/" .. url:gsub("^/+", "") -- a captured slash must not name another host
        end
        if opt.query and req.query_string and req.query_string ~= "" then
          url = url .. (url:find("?", 1, true) and "&" or "?") .. req.query_string
        end
        return req:redirect(url, opt.status)
      end,
    }
  end,
}
