--- A block of the configuration and what was said in it. Values are found by one rule: the block's own, else that of the block around
--- it, else the directive's default. A list is replaced as a whole, never added to, as nginx's arrays are.
---
--- Kinds: main events http server location if server_if limit_except upstream stream... The parent of an http scope is main.
local M = {}

local Scope = {}
Scope.__index = Scope

---@class nginx.Scope
---@field kind string
---@field parent nginx.Scope|nil
---@field node nginx.Node|nil      the directive that opened it
---@field values table<string, any>
---@field nodes table<string, nginx.Node>   where each was said
---@field children nginx.Scope[]   in file order
---@field site nginx.Scope|nil     the server {} it is in, itself included

---@param kind string
---@param parent nginx.Scope|nil
---@param node nginx.Node|nil
---@param specs table<string, table>
---@return nginx.Scope
function M.new(kind, parent, node, specs)
  local self = setmetatable({ kind = kind, parent = parent, node = node, specs = specs, values = {}, nodes = {}, children = {} }, Scope)
  self.site = kind == "server" and self or parent and parent.site or nil
  if parent then
    table.insert(parent.children, self)
  end
  return self
end

--- What this block itself says; nil: nothing.
function Scope:own(name)
  return self.values[name]
end

--- What holds here. `false` is a value.
function Scope:get(name)
  local scope = self
  while scope do
    local v = scope.values[name]
    if v ~= nil then
      return v
    end
    scope = scope.parent
  end
  local spec = self.specs[name]
  return spec and spec.default
end

--- Was it said here or around here? The scope that says it.
function Scope:said(name)
  local scope = self
  while scope do
    if scope.values[name] ~= nil then
      return scope
    end
    scope = scope.parent
  end
  return nil
end

--- As `get`, for what a nested location does not take from the one around it but `if` and `limit_except` do: what answers the request.
function Scope:handler(name)
  local v = self.values[name]
  if v == nil and self.parent and (self.kind == "if" or self.kind == "limit_except") then
    return self.parent:handler(name)
  end
  return v
end

--- The directive behind a value, for messages; the nearest that says it.
function Scope:at(name)
  local scope = self:said(name)
  return scope and scope.nodes[name] or self.node
end

--- Children of a kind, in file order.
function Scope:each(kind)
  local list = {}
  for _, child in ipairs(self.children) do
    if child.kind == kind then
      list[#list + 1] = child
    end
  end
  return list
end

return M
