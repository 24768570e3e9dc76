--- Tests of policies in the real engine, without sockets and with a virtual clock.
---
---   local test = require "moongate.test"
---   local limit = test.policy("rate_limit", { rate = "1/s", burst = 1 })
---   assert.equal("next", limit:run("access", { client_ip = "192.0.2.1" }).verdict)
---   test.advance(1)
---   local answer = limit:fetch { path = "/x", headers = { Cookie = "a=b" } }   -- a whole request
---
--- Runs in `moongate test`, or in any LuaJIT that finds libmoongate_test.so (MG_TEST_LIB).
local function native()
  local ok, module = pcall(require, "moongate.testing")
  if ok then
    return module
  end
  local path = os.getenv("MG_TEST_LIB") or "build/release/libmoongate_test.so"
  local open, err = package.loadlib(path, "luaopen_moongate_testing")
  if not open then
    error("cannot load " .. path .. " (run `make lib`): " .. tostring(err), 0)
  end
  return open()
end

local testing = native()
local core = require "moongate.core"
local policy = require "policy"

local M = {}

--- Folders searched for policies.
M.dirs = { "policies", "scripts", "." }

--- Upstreams every test generation has; a policy's options may name them.
M.upstreams = { "origin", "other" }

local composed = {}

local loader = policy.loader {
  read = core.read,
  dirs = M.dirs,
}

--- Header fields as a table: any case, first value; the list of { name, value } is in the array part.
local function headers_of(list)
  local by_name = {}
  for _, field in ipairs(list or {}) do
    local name = field[1]:lower()
    by_name[name] = by_name[name] or field[2]
  end
  return setmetatable(list or {}, {
    __index = function(_, name)
      return type(name) == "string" and by_name[name:lower()] or nil
    end,
  })
end

local function fields_of(headers)
  local out = {}
  for name, value in pairs(headers or {}) do
    if type(name) == "number" then
      out[#out + 1] = value
    else
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        out[#out + 1] = { name, tostring(one) }
      end
    end
  end
  table.sort(out, function(a, b)
    return a[1] < b[1]
  end)
  return out
end

local function model_of(mask, id, route)
  local upstreams = {}
  for i, name in ipairs(M.upstreams) do
    upstreams[i] = { name = name, peers = { { address = "127.0.0.1:1" } }, passive_fails = 0 }
  end
  local r = {
    match = "prefix", pattern = "/", action = "proxy", upstream = 0, label = "test", hooks = mask, hook_id = id, tries = 1,
  }
  for k, v in pairs(route or {}) do
    r[k] = v
  end
  return {
    upstreams = upstreams, sites = { { names = { "*" }, label = "test", routes = { r } } },
    listens = { { address = "127.0.0.1:0", sites = { 0 }, default_site = 0 } },
  }
end

local Policy = {}
Policy.__index = Policy

--- A generation of its own for these hooks.
local function compose(entries, route)
  local mask, byphase = 0, {}
  for bit, phase in ipairs(policy.PHASES) do
    byphase[phase] = entries[phase]
    if entries[phase] and #entries[phase] > 0 then
      mask = mask + 2 ^ (bit - 1)
    end
  end
  composed[#composed + 1] = { entries = byphase }
  local id = #composed
  return setmetatable({ generation = testing.generation(model_of(mask, id, route), policy.flatten(composed)) }, Policy)
end

local function append(entries, hooks, name, on_error)
  for phase, fn in pairs(hooks) do
    if phase ~= "init" then
      entries[phase] = entries[phase] or {}
      table.insert(entries[phase], { fn = fn, policy = name, label = "test", on_error = on_error })
    end
  end
end

local context = {
  upstream = function(name)
    for i, known in ipairs(M.upstreams) do
      if known == name then
        return { __upstream = true, name = name, index = i - 1 }
      end
    end
    return nil
  end,
  regex = function(pattern)
    local re, err = core.regex(pattern)
    return re ~= nil, err
  end,
}

--- The errors a policy finds in its options; nil when there are none.
---@param name string
---@param options table
---@return moongate.Error[]|nil
function M.errors(name, options)
  local pol, err = loader:load(name)
  if not pol then
    error(err, 2)
  end
  local _, errors = pol.options:check(options or {}, "", context)
  return errors
end

--- A policy with its options, ready to run. Raises when it cannot be loaded or its options are wrong.
---@param name string|table  name of a file in M.dirs, or what mg.policy returned
---@param options table|nil
---@param route table|nil  fields of the test route's model
---@return moongate.TestPolicy
function M.policy(name, options, route)
  local pol = name
  if type(name) == "string" then
    local found, err = loader:load(name)
    pol = found or error(err, 2)
  end
  local checked, errors = pol.options:check(options or {}, "", context)
  if errors then
    error(("options of '%s': %s %s"):format(pol.name, errors[1].path, errors[1].message), 2)
  end
  for dict, size in pairs(pol.shared or {}) do
    testing.dict(dict, size)
  end
  local entries = {}
  append(entries, pol.new(checked), pol.name, pol.on_error)
  return compose(entries, route)
end

--- Hooks written in the spec; several sets run in order.
---@param ... table<string, function>
---@return moongate.TestPolicy
function M.hooks(...)
  local entries = {}
  for _, hooks in ipairs { ... } do
    append(entries, hooks, hooks.name or "inline", hooks.on_error or "deny")
    for _, list in pairs(entries) do
      for i = #list, 1, -1 do
        if type(list[i].fn) ~= "function" then
          table.remove(list, i)
        end
      end
    end
  end
  entries.name, entries.on_error = nil, nil
  return compose(entries)
end

local Request = {}

--- Fields of a request's state: verdict, status, headers, body, path, query, method, host, upstream, peer,
--- request_headers.
Request.__index = function(self, key)
  local method = rawget(Request, key)
  if method then
    return method
  end
  local state = self.native:state()
  if key == "headers" or key == "request_headers" then
    return headers_of(state[key])
  end
  return state[key]
end

--- Runs the hooks of a phase to their end; the clock moves while they wait.
---@param phase string
---@param limit number|nil  virtual seconds, 60
---@return string verdict  "next", "answer", "reroute", "waiting", or an error's name
function Request:run(phase, limit)
  self.verdict = self.native:run(phase, limit)
  return self.verdict
end

--- A response head as if an upstream had sent it; then run("header").
function Request:respond(status, headers)
  self.native:respond(status, fields_of(headers))
  return self
end

--- Passes pieces of a response body through the body hooks; returns what came out.
---@param chunks string[]
---@return string|nil, string|nil error
function Request:pass(chunks)
  return self.native:pass(chunks)
end

function Request:finish()
  self.native:finish()
end

local function spec_of(spec)
  spec = spec or {}
  local headers = fields_of(spec.headers)
  if spec.host ~= false then
    table.insert(headers, 1, { "Host", spec.host or "example.com" })
  end
  return {
    method = spec.method or "GET", target = spec.path or "/", headers = headers, body = spec.body, slow = spec.slow,
    tls = spec.tls, client_ip = spec.client_ip or "127.0.0.1",
  }
end

--- A request whose phases are run one by one.
---@param spec table|nil  method, path (with query), headers, host, body, slow, tls, client_ip
---@return moongate.TestRequest
function Policy:request(spec)
  local x = setmetatable({ native = self.generation:request(spec_of(spec)) }, Request)
  local err = x.native:admit()
  if err then
    error("the request is refused before any hook: " .. err, 2)
  end
  return x
end

--- One phase of a fresh request.
---@param phase string
---@param spec table|nil
---@return moongate.TestRequest
function Policy:run(phase, spec)
  local x = self:request(spec)
  if phase == "header" then
    local res = spec and spec.response or {}
    x:respond(res.status or 200, res.headers)
  end
  x:run(phase)
  return x
end

--- A whole request through the step table: { status, headers, body, error }. The upstreams refuse connections.
---@param spec table|nil
---@return table
function Policy:fetch(spec)
  local x = self.generation:request(spec_of(spec))
  if not x:start(spec and spec.limit) then
    error("the request is not over in time", 2)
  end
  local answer = x:answer()
  answer.headers = headers_of(answer.headers)
  return answer
end

--- Moves the clock.
---@param seconds number
function M.advance(seconds)
  testing.advance(seconds)
end

--- Sets the wall clock.
---@param seconds number  since the epoch
function M.at(seconds)
  testing.set_wall(seconds)
end

--- Makes a shared dictionary (policies' own are made by M.policy).
---@param name string
---@param bytes integer|nil
function M.dict(name, bytes)
  testing.dict(name, bytes or 1024 * 1024)
end

return M
