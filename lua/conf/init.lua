--- Loads a configuration: file or command-line arguments in, model and diagnostics out. See docs/config.md for the dialect and
--- core/conf/fields.def for the model.
local blame = require "conf.blame"
local diag = require "conf.diag"

local M = {}

local function default_reader(path)
  local f, err = io.open(path, "rb")
  if not f then
    return nil, err
  end
  local bytes, read_err = f:read("*a")
  f:close()
  return bytes, read_err
end

--- Files that a wildcard names, sorted; through glob(3), because Lua cannot list a folder.
local function default_glob(pattern)
  local ffi = require "ffi"
  pcall(ffi.cdef, [[
    typedef struct { size_t gl_pathc; char **gl_pathv; size_t gl_offs; int gl_flags; void *gl_fn[5]; } moongate_glob_t;
    int glob(const char *pattern, int flags, void *errfunc, moongate_glob_t *pglob);
    void globfree(moongate_glob_t *pglob);
  ]])
  local found, names = ffi.new("moongate_glob_t"), {}
  if ffi.C.glob(pattern, 0, nil, found) == 0 then
    for i = 0, tonumber(found.gl_pathc) - 1 do
      names[#names + 1] = ffi.string(found.gl_pathv[i])
    end
  end
  ffi.C.globfree(found)
  return names
end

--- Who reads files here, for messages.
local function default_user()
  local ffi = require "ffi"
  pcall(ffi.cdef, "unsigned int geteuid(void);")
  local uid = tonumber(ffi.C.geteuid())
  return uid == 0 and "root" or os.getenv("USER") or ("with uid %d"):format(uid)
end

--- Policies beside the configuration, then those we ship.
local function default_policies(path, reader)
  local share = debug.getinfo(1, "S").source:match("^@(.*)/lua/conf/init%.lua$") or "."
  local dir = path:match("^(.*)/[^/]*$") or "."
  local loader = require("policy").loader { read = reader, dirs = { dir .. "/policies", dir .. "/scripts", dir, share .. "/scripts" } }
  return function(name)
    return loader:load(name)
  end
end

--- Has this machine IPv6?
local function default_ipv6()
  local f = io and io.open("/proc/net/if_inet6")
  if f then
    f:close()
  end
  return f ~= nil
end

--- What only the core can find wrong with a model, as a message with its place.
local function judge(opts, model, diags, word)
  local err = model and diags.errors == 0 and opts.judge and opts.judge(model)
  if err then
    local at, message = blame.place(err, diags.sources, opts.path)
    diags:add("error", at or { file = opts.path }, message, { word = word, hint = blame.hint(message) })
  end
end

--- The other dialect.
local function load_nginx(opts, path, text, reader, diags)
  local model = require("nginx.translate").load({
    path = path, text = text, prefix = opts.prefix, overrides = opts.overrides, reader = reader, glob = opts.glob or default_glob,
    env = opts.env,
    lint = opts.lint, scopes = opts.scopes, only_blocks = opts.only_blocks,
  }, diags)
  judge(opts, model, diags, "emerg")
  local ok = diags.errors == 0
  return ok, ok and model or nil, diags:finish(), { sources = diags.sources }
end

---@class conf.LoadOptions
---@field path string|nil        file; its folder is where relative paths begin
---@field text string|nil        text instead of the file's
---@field prefix string|nil      folder for relative names of the file itself
---@field lint boolean|nil       also what is allowed but rarely meant (nginx syntax)
---@field declared? fun(loader: table)  is handed the declarations of the native dialect
---@field scopes? fun(main: nginx.Scope, c: table)  is handed the blocks of nginx syntax
---@field only_blocks boolean|nil  nothing but that: no file of certificates is read, no model made
---@field overrides string[]|nil directives of -g, for nginx syntax
---@field reader? fun(path: string): string|nil, string|nil
---@field glob? fun(pattern: string): string[]|nil, string|nil
---@field env? fun(name: string): string|nil
---@field policies? fun(name: string, at: table): table|nil, string|nil
---@field user? fun(): string
---@field ipv6? boolean           does ":80" mean IPv6 too? absent: asks the kernel
---@field judge? fun(model: table): string|nil  what the core finds wrong with a model: "FILE:LINE: message"
---@field run_args string[]|nil  `HOST=URL` arguments of `moongate run`

--- Loads a configuration.
---@param opts conf.LoadOptions
---@return boolean ok, table|nil model, conf.Diag[] diags, table extras
function M.load(opts)
  local diags = diag.new()
  local path, text = opts.path, opts.text
  if opts.run_args then
    local err
    text, err = require("cli.run").expand(opts.run_args)
    path = path or "command-line.lua"
    if not text then
      diags:add("error", { file = "command line" }, err)
      return false, nil, diags:finish(), {}
    end
  end
  if opts.prefix and path:sub(1, 1) ~= "/" and opts.prefix ~= "" then
    path = opts.prefix:gsub("/*$", "/") .. path
  end
  local reader, ipv6 = opts.reader or default_reader, opts.ipv6
  if path:match("%.conf$") then
    return load_nginx(opts, path, text, reader, diags)
  end
  ipv6 = ipv6 == nil and default_ipv6() or ipv6
  local loader = require("conf.native").evaluate({
    path = path, text = text, reader = reader, glob = opts.glob or default_glob, ipv6 = ipv6,
    env = opts.env or os.getenv, policies = opts.policies or default_policies(path, reader), user = opts.user or default_user,
    moongate = function()
      return require "moongate"
    end,
  }, diags)
  local model
  if not loader.aborted then -- half a file would bring errors that are none
    model = require("conf.build").build(loader)
    if opts.declared then
      opts.declared(loader)
    end
  end
  loader:seal()
  judge(opts, model, diags)
  local ok = diags.errors == 0
  return ok, ok and model or nil, diags:finish(), { sources = diags.sources }
end

M.format = diag.format
M.report = diag.report

return M
