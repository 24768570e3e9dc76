--- C units through FFI: loads libmoongate_test.so and declares the project's own headers.
---
---   local unit = require("spec.support.unit")
---   local C = unit.use("base/str.h", "base/pool.h")
---   assert.is_true(C.str_ieq(unit.str("Host"), unit.str("hOST")))
---
--- Headers go through the C preprocessor, so X-lists (err.def) and macros in declarations work. What
--- includes from outside core/ bring is left out, inline functions too (they have no symbol).
--- MG_TEST_LIB names the library (tools/specs.sh sets it). Under ASan the runtime must be preloaded;
--- tools/specs.sh does that for every spec file that mentions this module.
local ffi = require("ffi")

local M = { ffi = ffi }

--- System types that the project's prototypes use and FFI does not know by itself.
local preset = [[
  typedef long time_t;
  typedef long off_t;
  typedef int pid_t;
  typedef unsigned int uid_t;
  typedef unsigned int gid_t;
  typedef unsigned int mode_t;
  typedef unsigned int socklen_t;
  typedef union { uint64_t opaque[5]; } pthread_mutex_t;
  struct event { uint64_t opaque[16]; };
  struct iovec { void *iov_base; size_t iov_len; };
  struct timespec { long tv_sec; long tv_nsec; };
  struct timeval { long tv_sec; long tv_usec; };
  struct sockaddr { unsigned short sa_family; char sa_data[14]; };
  struct sockaddr_storage { unsigned short ss_family; char ss_pad[118]; unsigned long ss_align; };
  struct sockaddr_in { unsigned short sin_family; uint16_t sin_port; uint32_t sin_addr; char sin_zero[8]; };
  struct sockaddr_in6 { unsigned short sin6_family; uint16_t sin6_port; uint32_t sin6_flowinfo;
    uint8_t sin6_addr[16]; uint32_t sin6_scope_id; };
  struct sockaddr_un { unsigned short sun_family; char sun_path[108]; };
]]

--- Words that FFI's parser does not know, or that mean nothing to it.
local ignored = {
  "MUST_USE", "COLD", "NORETURN", "API", "_Noreturn", "_Thread_local", "__extension__", "inline",
}

local lib
local declared = {}

local function library()
  if not lib then
    local path = os.getenv("MG_TEST_LIB") or "build/release/libmoongate_test.so"
    local ok, result = pcall(ffi.load, path)
    if not ok then
      error("cannot load " .. path .. " (run `make lib`): " .. tostring(result), 0)
    end
    lib = result
  end
  return lib
end

--- Makes C text digestible for ffi.cdef: comments, preprocessor lines, attributes, assertions and
--- static functions and variables go.
---@param text string
---@return string
function M.strip(text)
  text = ("\n" .. text):gsub("/%*.-%*/", " "):gsub("//[^\n]*", "")
  text = text:gsub("\\\r?\n", " "):gsub("\n[ \t]*#[^\n]*", "\n")
  text = text:gsub("PRINTF%s*%b()", ""):gsub("__attribute__%s*%b()", "")
  text = text:gsub("_Static_assert%s*%b()%s*;", ""):gsub("_Alignas%s*%b()", "")
  text = text:gsub("%f[%w_]static%f[^%w_][^;{}=]*%b()%s*%b{}", "")
  text = text:gsub("%f[%w_]static%f[^%w_][^;{}]*%b{}%s*;", "")
  text = text:gsub("%f[%w_]static%f[^%w_][^;{}]*;", "")
  for _, word in ipairs(ignored) do
    text = text:gsub("%f[%w_]" .. word .. "%f[^%w_]", "")
  end
  return text
end

local function preprocess(headers)
  local source = os.tmpname()
  local file = assert(io.open(source, "w"))
  for _, header in ipairs(headers) do
    file:write('#include "', header, '"\n')
  end
  file:close()
  local pipe = assert(io.popen("gcc -std=c11 -D_GNU_SOURCE -DMG_DEBUG -E -Icore $(pkg-config --cflags"
    .. " luajit 2>/dev/null) -x c " .. source))
  local text = pipe:read("*a")
  local ok = pipe:close()
  os.remove(source)
  if not ok or text == "" then
    error("cannot preprocess " .. table.concat(headers, ", "), 3)
  end
  return text
end

--- The parts of preprocessed text that come from core/ and were not declared before.
local function own_parts(text)
  local parts, fresh, keep = {}, {}, false
  for line in text:gmatch("[^\n]*") do
    local path = line:match('^# %d+ "([^"]+)"')
    if path then
      keep = path:find("^core/") ~= nil and not declared[path]
      if keep then
        fresh[path] = true
      end
    elseif keep then
      parts[#parts + 1] = line
    end
  end
  return table.concat(parts, "\n"), fresh
end

--- Declares headers of core/ (each once, with the project headers they include) and returns the library.
---@param ... string  as written in an include: "base/str.h"
---@return table  the FFI namespace of the test library
function M.use(...)
  local text, fresh = own_parts(preprocess({ ... }))
  M.cdef(text)
  for path in pairs(fresh) do
    declared[path] = true
  end
  return library()
end

--- Declares C text (prototypes, structs) once; the same text again is ignored.
---@param text string
function M.cdef(text)
  if preset then
    ffi.cdef(preset)
    preset = nil
  end
  if not declared[text] then
    declared[text] = true
    ffi.cdef(M.strip(text))
  end
end

--- Declares `text` and returns the loaded library.
---@param text? string
---@return table  the FFI namespace of the test library
function M.lib(text)
  if text then
    M.cdef(text)
  end
  return library()
end

--- True when the library has the symbol: a spec may be ahead of the code it tests.
---@param name string  declared before
---@return boolean
function M.has(name)
  return (pcall(function()
    return library()[name]
  end))
end

--- A `str` view of a Lua string. Keep the Lua string referenced for as long as C may look at it.
---@param text string
---@return ffi.cdata*  struct str by value
function M.str(text)
  return ffi.new("str", { p = ffi.cast("const char *", text), n = #text })
end

--- The bytes of a `str` (or of anything with `p` and `n`) as a Lua string.
---@param view ffi.cdata*
---@return string
function M.text(view)
  return ffi.string(view.p, view.n)
end

return M
