--- cors: answers preflight requests and marks answers for pages of other origins (Fetch standard, CORS protocol).
local mg = require "moongate"
local t = mg.schema

---@class CorsOptions
---@field origins string[]   "https://app.example.com", "https://*.example.com", "*"
---@field methods string[]
---@field headers string[]|nil
---@field expose string[]|nil
---@field credentials boolean
---@field max_age number

--- A function that says whether an origin may read.
local function matcher(origins)
  local exact, patterns, any = {}, {}, false
  for _, origin in ipairs(origins) do
    if origin == "*" then
      any = true
    elseif origin:find("*", 1, true) then
      local text = origin:gsub("[%.%-%+%?%^%$%(%)%[%]%{%}|\\/]", "\\%0"):gsub("%*", "[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*")
      patterns[#patterns + 1] = mg.re.compile("^" .. text .. "$", "D")
    else
      exact[origin] = true
    end
  end
  return function(origin)
    if any or exact[origin] then
      return true
    end
    for _, re in ipairs(patterns) do
      if re:test(origin) then
        return true
      end
    end
    return false
  end, any
end

--- Fields of a preflight's answer.
local function preflight(req, opt, mark, origin)
  local out = {
    ["Vary"] = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    ["Access-Control-Allow-Methods"] = table.concat(opt.methods, ", "),
    ["Access-Control-Allow-Headers"] = opt.headers and table.concat(opt.headers, ", ")
      or req.headers["Access-Control-Request-Headers"],
    ["Access-Control-Max-Age"] = math.floor(opt.max_age),
  }
  mark(out, origin)
  return req:reply(204, nil, out)
end

local function new(opt)
  local allowed, any = matcher(opt.origins)
  local expose = opt.expose and table.concat(opt.expose, ", ")

  local function mark(fields, origin)
    fields["Access-Control-Allow-Origin"] = any and "*" or origin
    if opt.credentials then
      fields["Access-Control-Allow-Credentials"] = "true"
    end
  end

  return {
    access = function(req, ctx)
      local origin = req.headers["Origin"]
      if not origin or not allowed(origin) then
        return
      end
      if req.method == "OPTIONS" and req.headers["Access-Control-Request-Method"] then
        return preflight(req, opt, mark, origin)
      end
      ctx.cors_origin = origin
    end,
    header = function(_, res, ctx)
      if not any then
        res:add("Vary", "Origin") -- for refused origins too: the answer depends on it
      end
      if ctx.cors_origin then
        mark(res.headers, ctx.cors_origin)
        if expose then
          res.headers["Access-Control-Expose-Headers"] = expose
        end
      end
    end,
  }
end

return mg.policy {
  name = "cors",
  doc = "Cross-origin resource sharing: answers preflights, adds Access-Control-* to answers.",
  options = t.where(t.record {
    origins = t.array(t.string(1), { lone = true, min = 1 })
      :doc("origins that may read; \"*\" in a host name stands for labels, alone for all"),
    methods = t.array(t.string(1)):default({ "GET", "HEAD", "POST" }):doc("methods that are allowed"),
    headers = t.array(t.string(1)):optional():doc("request fields that are allowed; all that are asked for when not written"),
    expose = t.array(t.string(1)):optional():doc("answer fields that pages may read"),
    credentials = t.boolean():default(false):doc("cookies may be sent; not together with \"*\""),
    max_age = t.duration():default("10m"):doc("how long a preflight's answer is kept"),
  }, function(opt)
    for _, origin in ipairs(opt.origins) do
      if origin == "*" and opt.credentials then
        return false, "credentials cannot be combined with origins = \"*\": any page could act as the user"
      end
    end
    return true
  end),
  new = new,
}
