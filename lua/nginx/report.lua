--- What directive modules work with while a configuration is translated (`c` in their signatures): messages in nginx's words, files
--- through the reader, and the lists of the model that more than one block refers to.
local include = require "nginx.include"

local M = {}

local Report = {}
Report.__index = Report

--- Levels of diagnostics and nginx's words for them.
local levels = { error = "emerg", warn = "warn", note = "notice" }

--- The prefix folder always ends in "/".
---@param opts table   { path, prefix, read, glob }
---@param diags table
function M.new(opts, diags)
  local conf_folder = include.folder(opts.path)
  return setmetatable({
    diags = diags, opts = opts, conf_folder = conf_folder,
    prefix = opts.prefix and opts.prefix ~= "" and opts.prefix or conf_folder,
    gateway = { listens = {}, sites = {}, upstreams = {} }, interned = {}, upstreams = {}, routes = {}, hooks = {},
  }, Report)
end

--- The argument of a directive that the message quotes; else the place as it is.
---@param at table
---@param message string
---@return table
function M.quoted(at, message)
  for i, place in ipairs(at.args_at or {}) do
    if at.args[i] ~= at.name and message:find('"' .. at.args[i] .. '"', 1, true) then
      return { file = at.file, line = place.line, col = place.col, len = place.len }
    end
  end
  return at
end

local function add(self, level, at, fmt, ...)
  local message = select("#", ...) > 0 and fmt:format(...) or fmt
  at = M.quoted(at, message)
  self.diags:add(level, at, message, { word = levels[level] })
end

--- An error: the configuration is refused. `at` is a directive or one of its `args_at`.
function Report:error(at, fmt, ...)
  add(self, "error", at, fmt, ...)
end

function Report:warn(at, fmt, ...)
  add(self, "warn", at, fmt, ...)
end

function Report:note(at, fmt, ...)
  add(self, "note", at, fmt, ...)
end

--- Full name of a file that nginx looks for beside the configuration file (certificates, include, password files).
function Report:conf_path(name)
  return include.resolve(name, self.conf_folder)
end

--- Full name of a file that nginx looks for under the prefix (root, logs, pid, temporary files).
function Report:prefix_path(name)
  return include.resolve(name, self.prefix)
end

--- Bytes of a file, which becomes part of the configuration; nil and the reason.
function Report:read(path)
  local bytes, err = self.opts.read(path)
  if not bytes and err:sub(1, #path + 2) == path .. ": " then
    err = err:sub(#path + 3)
  end
  return bytes, err
end

--- Bytes of a file; an error at `at` when it cannot be read.
function Report:need_file(path, at)
  local bytes, err = self:read(path)
  if not bytes then
    self:error(at, 'open() "%s" failed (%s)', path, err)
  end
  return bytes
end

--- Addresses of a host name, asked for now: a list of IP addresses; nil: it has none. Where nobody can be asked: the name itself.
---@return string[]|nil
function Report:lookup(host)
  if not self.opts.env then
    return { host }
  end
  local text = self.opts.env("host:" .. host)
  local list = {}
  for ip in (text or ""):gmatch("%S+") do
    list[#list + 1] = ip
  end
  return #list > 0 and list or nil
end

--- Index from 0 of an entry in a list of the gateway ("dicts", "zones", "logs"…); the same key is the same entry.
---@param list string
---@param key string
---@param item table
---@return integer
function Report:intern(list, key, item)
  local known = self.interned[list] or {}
  self.interned[list] = known
  if not known[key] then
    local all = self.gateway[list] or {}
    self.gateway[list] = all
    all[#all + 1] = item
    known[key] = { index = #all - 1, item = item }
  end
  return known[key].index, known[key].item
end

--- Index of `upstream NAME {}`; nil: there is none.
function Report:upstream_ref(name)
  local u = self.upstreams[name:lower()]
  return u and u.index
end

--- Index of a scope's route among those of its site.
function Report:route_ref(scope)
  return self.routes[scope]
end

return M
