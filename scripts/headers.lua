--- headers: sets, adds and removes header fields, of the request and of the answer, with a preset of security fields.
local mg = require "moongate"
local t = mg.schema

---@class HeadersOptions
---@field preset "none"|"security"
---@field request table|nil   { set = { Name = "value" }, add = …, remove = { "Name" } }
---@field response table|nil  the same, for the answer
---@field missing table|nil   only when the answer has none yet

local SECURITY = {
  ["X-Content-Type-Options"] = "nosniff",
  ["X-Frame-Options"] = "SAMEORIGIN",
  ["Referrer-Policy"] = "strict-origin-when-cross-origin",
  ["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()",
}
local HSTS = "max-age=31536000; includeSubDomains"

local fields = t.map(t.string(1), t.template())
local operations = t.record {
  set = fields:optional():doc("replaces fields; $variables allowed"),
  add = fields:optional():doc("adds fields beside those that are there"),
  remove = t.array(t.string(1), { lone = true }):optional():doc("removes fields"),
}

--- { name, template } in a stable order; text without variables stays text.
local function compiled(map)
  local out = {}
  for name, text in pairs(map or {}) do
    local value = text:find("$", 1, true) and mg.template(text) or nil
    out[#out + 1] = { name, text, value }
  end
  table.sort(out, function(a, b)
    return a[1] < b[1]
  end)
  return out
end

local function value_of(item)
  return item[3] and item[3]:render() or item[2]
end

local function operate(message, set, add, remove)
  for _, name in ipairs(remove) do
    message:remove(name)
  end
  for _, item in ipairs(set) do
    message:set(item[1], value_of(item))
  end
  for _, item in ipairs(add) do
    message:add(item[1], value_of(item))
  end
end

return mg.policy {
  name = "headers",
  doc = "Sets, adds and removes header fields; `preset = \"security\"` adds the usual protection.",
  options = t.record {
    preset = t.enum({ "none", "security" }):default("none")
      :doc("security: nosniff, SAMEORIGIN, Referrer-Policy, Permissions-Policy, and HSTS over TLS, where missing"),
    request = operations:optional():doc("of the request, towards the upstream"),
    response = operations:optional():doc("of the answer"),
    missing = fields:optional():doc("of the answer, where it has none of that name"),
  },
  new = function(opt)
    local request, response = opt.request or {}, opt.response or {}
    local req_set, req_add = compiled(request.set), compiled(request.add)
    local res_set, res_add = compiled(response.set), compiled(response.add)
    local missing = compiled(opt.missing)
    local secure = opt.preset == "security"
    if secure then
      for _, item in ipairs(compiled(SECURITY)) do
        missing[#missing + 1] = item
      end
    end
    return {
      access = opt.request and function(req)
        operate(req, req_set, req_add, request.remove or {})
      end or nil,
      header = function(req, res)
        local headers = res.headers
        operate(res, res_set, res_add, response.remove or {})
        for _, item in ipairs(missing) do
          if not headers[item[1]] then
            headers[item[1]] = value_of(item)
          end
        end
        if secure and req.scheme == "https" and not headers["Strict-Transport-Security"] then
          headers["Strict-Transport-Security"] = HSTS
        end
      end,
    }
  end,
}
