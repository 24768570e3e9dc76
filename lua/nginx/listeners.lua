--- From the `listen`s of all servers to sockets: which address serves which servers, which of them answers unknown hosts, and which
--- addresses share a socket. A wildcard address and a particular one of the same port are one socket, as nginx has it: connections
--- are told apart by the address they came to.
local M = {}

local Plan = {}
Plan.__index = Plan

local function shown(addr)
  return (addr:gsub("^%*:", "0.0.0.0:"))
end

--- Sockets of a server without `listen`.
local function default_listen(server)
  return { { sockets = { "0.0.0.0:80" }, at = server.node, server = server } }
end

--- The entry of an address.
function Plan:socket(addr)
  local e = self.by_address[addr]
  if not e then
    e = { address = addr, servers = {}, names = {}, flags = {}, model = { address = addr, sites = {} } }
    self.by_address[addr] = e
    self.list[#self.list + 1] = e
  end
  return e
end

--- Options that make a socket its own may be said once for an address.
function Plan:options(e, said)
  if not said.options then
    return
  end
  if e.options then
    self.c:error(said.at, "duplicate listen options for %s", shown(e.address))
  end
  e.options = said
  e.model.backlog = said.backlog
  if said.ipv6only == "off" then
    e.model.v6only = false
  end
end

function Plan:join(e, said)
  local server = said.server
  for _, other in ipairs(e.servers) do
    if other == server then
      return self.c:error(said.at, "a duplicate listen %s", said.at.args[1] or shown(e.address))
    end
  end
  table.insert(e.servers, server)
  table.insert(e.model.sites, server.index)
  if said.default then
    if e.default then
      self.c:error(said.at, "a duplicate default server for %s", shown(e.address))
    end
    e.default = server
  end
  for _, flag in ipairs { "tls", "http2", "proxy_protocol" } do
    e.model[flag] = e.model[flag] or said[flag] or nil
  end
  self:options(e, said)
  self:names(e, server)
end

local function is_valid(name)
  if name:find("^~") or name == "" then
    return true
  end
  local inner = name:gsub("^%*%.", ""):gsub("^%.", ""):gsub("%.%*$", "")
  return inner ~= "" and not inner:find("*", 1, true) and not inner:find("..", 1, true)
end

--- Names of a server that another one took on the same address before.
function Plan:names(e, server)
  local node = server.nodes.server_name or server.node
  for _, name in ipairs(server.names) do
    if not is_valid(name) then
      self.c:error(node, 'invalid server name or wildcard "%s" on %s', name, shown(e.address))
    elseif e.names[name] and not name:find("^~") then
      self.c:warn(node, 'conflicting server name "%s" on %s, ignored', name, shown(e.address))
    end
    e.names[name] = true
  end
end

local function wildcard_of(addr)
  local port = addr:match(":(%d+)$")
  if addr:find("^unix:") or not port then
    return nil
  end
  return (addr:find("^%[") and "[::]:" or "0.0.0.0:") .. port
end

--- Who is bound, and who is served by the wildcard's socket.
function Plan:share()
  for i, e in ipairs(self.list) do
    e.index = i - 1
  end
  for _, e in ipairs(self.list) do
    local wild = self.by_address[wildcard_of(e.address) or ""]
    if wild and wild ~= e and not e.address:find(":0$") then
      e.model.under = wild.index
    end
  end
end

--- Fills gateway.listens; each entry of the result has `model` and `default`, the server that answers unknown hosts.
---@param http nginx.Scope
---@param c table
---@return table[]
function M.plan(http, c)
  local self = setmetatable({ c = c, by_address = {}, list = {} }, Plan)
  for _, server in ipairs(http:each("server")) do
    for _, said in ipairs(server:own("listen") or default_listen(server)) do
      for _, addr in ipairs(said.sockets) do
        self:join(self:socket(addr), said)
      end
    end
  end
  self:share()
  for i, e in ipairs(self.list) do
    e.default = e.default or e.servers[1]
    e.model.default_site = e.default.index
    c.gateway.listens[i] = e.model
  end
  return self.list
end

return M
