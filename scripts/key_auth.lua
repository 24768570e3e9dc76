--- key_auth: lets only clients with a known key in, and tells the upstream who they are.
local mg = require "moongate"
local t = mg.schema

---@class KeyAuthOptions
---@field keys table<string, string>  client → its key, or "sha256:" and the key's digest in hex
---@field header string
---@field query string|nil
---@field consumer string|nil
---@field hide boolean
---@field realm string

--- digest of a key → client. Keys are compared by digest: how long a lookup takes says nothing about a key.
local function index(keys)
  local by_digest = {}
  for client, key in pairs(keys) do
    local digest = key:match("^sha256:(%x+)$")
    digest = digest and digest:lower() or mg.digest("sha256", key)
    if #digest ~= 64 then
      error(("key of '%s': a SHA-256 digest has 64 hex digits, this one has %d"):format(client, #digest), 0)
    elseif by_digest[digest] then
      error(("'%s' and '%s' have the same key"):format(by_digest[digest], client), 0)
    end
    by_digest[digest] = client
  end
  return by_digest
end

--- The query without one argument.
local function without(query, name)
  local kept = {}
  for part in query:gmatch("[^&]+") do
    if mg.unescape(part:match("^[^=]*")) ~= name then
      kept[#kept + 1] = part
    end
  end
  return #kept > 0 and table.concat(kept, "&") or nil
end

return mg.policy {
  name = "key_auth",
  doc = "Wants a key in a header field or argument: 401 without a known one.",
  options = t.record {
    keys = t.map(t.string(1), t.string(1)):doc("client → key, or \"sha256:\" and its digest in hex"),
    header = t.string(1):default("X-API-Key"):doc("header field with the key"),
    query = t.string(1):optional():doc("argument that may hold the key instead"),
    consumer = t.string(1):default("X-Consumer"):doc("header field that tells the upstream the client's name"),
    hide = t.boolean():default(true):doc("the key is not passed to the upstream"),
    realm = t.string():default("api"):doc("realm of the WWW-Authenticate field"),
  },
  new = function(opt)
    local clients = index(opt.keys)
    local challenge = ('ApiKey realm="%s"'):format((opt.realm:gsub('["\\]', "")))

    local function refuse(req, why)
      return req:reply(401, why .. "\n", { ["WWW-Authenticate"] = challenge })
    end

    return {
      access = function(req, ctx)
        local in_query = opt.query and req.query[opt.query]
        local key = req.headers[opt.header] or in_query
        req.headers[opt.consumer] = nil -- nobody names himself
        if not key or key == "" then
          return refuse(req, "a key is needed")
        end
        local client = clients[mg.digest("sha256", key)]
        if not client then
          return refuse(req, "unknown key")
        end
        req.headers[opt.consumer] = client
        ctx.consumer = client
        if opt.hide then
          req.headers[opt.header] = nil
          if in_query then
            req.query_string = without(req.query_string, opt.query)
          end
        end
      end,
    }
  end,
}
