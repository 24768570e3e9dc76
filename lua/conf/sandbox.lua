--- Runs a configuration file sealed: safe Lua only, a bound on instructions and on memory, no globals. What a file may call is
--- given by native.lua; this file knows nothing of declarations.
local M = {}

M.INSTRUCTIONS = 50e6
M.MEMORY_KB = 256 * 1024
local STEP = 500
local LONGEST_STRING = 1024 * 1024

--- Environments of sealed files: how the bounds tell a file's code from the loader's.
local sealed = setmetatable({}, { __mode = "k" })

local function copy(t, except)
  local out = {}
  for k, v in pairs(t) do
    if not (except and except[k]) then
      out[k] = v
    end
  end
  return out
end

local rep_of_lua = string.rep

local function bounded_rep(s, n, sep)
  s, n = tostring(s), tonumber(n) or 0
  if (#s + (sep and #sep or 0)) * n > LONGEST_STRING then
    error("string.rep: the result is longer than 1 MB", 2)
  end
  return rep_of_lua(s, n, sep)
end

--- The safe part of Lua's library; a fresh copy, so that a file cannot change it for others.
---@return table
function M.library()
  local lib = {}
  for _, name in ipairs { "pairs", "ipairs", "type", "tostring", "tonumber", "select", "unpack", "error", "assert", "pcall", "next" } do
    lib[name] = _G[name]
  end
  lib.string = copy(string, { dump = true, rep = true })
  lib.string.rep = bounded_rep
  lib.table = copy(table)
  lib.math = copy(math, { random = true, randomseed = true }) -- every worker must come to the same model
  return lib
end

--- Compiles source text (never bytecode). Returns the function, or nil and line and message of the syntax error.
---@param text string
---@param name string
---@return function|nil, integer|nil line, string|nil message
function M.compile(text, name)
  if text:sub(1, 1) == "\27" then
    return nil, 1, "this is compiled Lua, not source text"
  end
  text = text:gsub("^#[^\n]*", "")
  local f, err = loadstring(text, "=" .. name)
  if f then
    return f
  end
  local line, message = tostring(err):match(":(%d+): (.*)$")
  return nil, tonumber(line) or 1, message or err
end

--- Gives `f` the environment of a sealed file.
---@param f function
---@param env table
function M.seal(f, env)
  sealed[env] = true
  return setfenv(f, env)
end

local function is_sealed(level)
  local at = debug.getinfo(level + 1, "f")
  return at and sealed[debug.getfenv(at.func)]
end

--- The hook that enforces the bounds. Once a bound is passed it raises at every instruction of the file, so that a pcall in it
--- cannot go on; the loader's own code is left alone.
local function watcher()
  local left, floor = M.INSTRUCTIONS, collectgarbage("count")
  local function stop(why)
    debug.sethook(function()
      if is_sealed(2) then
        error(why, 0)
      end
    end, "", 1)
    if is_sealed(3) then
      error(why, 0)
    end
  end
  return function()
    left = left - STEP
    if left <= 0 then
      stop(("evaluation stopped: more than %g million instructions (an endless loop?)"):format(M.INSTRUCTIONS / 1e6))
    elseif collectgarbage("count") - floor > M.MEMORY_KB then
      stop(("evaluation stopped: more than %d MB of memory"):format(M.MEMORY_KB / 1024))
    end
  end
end

--- Calls `f` under the bounds. Returns true and its results, or false, the error and the line it happened on (when known).
--- The JIT is off meanwhile: compiled code never looks at count hooks.
---@param f function
---@return boolean, any, integer|nil
function M.call(f)
  local jit_on = jit.status()
  local line
  local function handler(err)
    for level = 2, 40 do
      local at = debug.getinfo(level, "lf")
      if not at then
        break
      elseif sealed[debug.getfenv(at.func)] then
        line = line or at.currentline
      end
    end
    return err
  end
  local outer, rep = debug.gethook(), string.rep
  rawset(string, "rep", bounded_rep) -- ("x"):rep(n) finds the real library
  jit.off()
  if not outer then
    debug.sethook(watcher(), "", STEP)
  end
  local ok, result = xpcall(f, handler)
  if not outer then
    debug.sethook()
  end
  rawset(string, "rep", rep)
  if jit_on then
    jit.on()
  end
  return ok, result, line
end

return M
