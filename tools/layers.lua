--- The include rules of core/: who may include whom (ARCHITECTURE.md, "core/ — layers and files"), where
--- headers of other libraries may appear, how many project headers a .c file may see.
---   luajit tools/layers.lua [FOLDER]
package.path = "tools/?.lua;" .. package.path
local files = require("files")

local root = arg[1] or "core"

--- folder → what it may include besides itself
local matrix = {
  base = "",
  conf = "base",
  shm = "base",
  http = "base",
  net = "base",
  tls = "net conf shm base",
  cache = "net http conf shm base",
  back = "tls net http conf shm base",
  flow = "back cache tls net http conf shm base",
  script = "flow back cache tls net http conf shm base",
  front = "flow tls net http conf shm base",
  proc = "front script flow back cache tls net http conf shm base",
  main = "proc",
}

--- header pattern → the files or folders that may include it
local vendors = {
  { "^event2/", { "net/" } },
  { "^event%.h$", {} },
  { "^openssl/", { "tls/" } },
  { "^nghttp2/", { "http/h2.c", "http/h2_client" } },
  { "^l[ua][ua].*%.h", { "script/" } },
  { "^luajit%-", { "script/" } },
  { "^pcre2%.h$", { "base/regex.c" } },
  { "^zlib%.h$", { "flow/codec.c", "flow/log_gzip.c" } },
  { "^brotli/", { "flow/codec.c" } },
  { "^zstd%.h$", { "flow/codec.c" } },
  { "^ares", { "net/resolve.c", "net/resolve_chase.c", "net/resolve_impl.h" } },
}

-- Up to back/ 30. front/ and script/ join the request engine with a protocol and with Lua: they see two worlds
-- (docs/decisions/0016-header-budgets.md).
local max_headers = 30
local max_headers_of = { flow = 36, front = 36, script = 36 }
-- Puts a whole gateway together for specs, as proc/ does for real.
local assemblers = { ["main.c"] = true, ["script/testing.c"] = true }

local allowed = {}
for folder, list in pairs(matrix) do
  allowed[folder] = { [folder] = true }
  for other in list:gmatch("%S+") do
    allowed[folder][other] = true
  end
end

local findings = {}

local function complain(place, ...)
  findings[#findings + 1] = root .. "/" .. place .. ": " .. table.concat({ ... })
end

local function folder_of(path)
  return path:match("^(.-)/") or path:gsub("%.c$", "")
end

local function check_own(path, line, header)
  local from, to = folder_of(path), folder_of(header)
  if not header:find("/", 1, true) then
    complain(path .. ":" .. line, 'write the folder: "', header, '"')
  elseif not allowed[from] then
    complain(path .. ":" .. line, "folder ", from, " is in no layer (tools/layers.lua)")
  elseif not allowed[to] then
    complain(path .. ":" .. line, "includes ", header, " of an unknown folder")
  elseif not allowed[from][to] then
    complain(path .. ":" .. line, from, " may not include ", to, " (", header, ")")
  end
end

local function check_vendor(path, line, header)
  for _, rule in ipairs(vendors) do
    if header:find(rule[1]) then
      for _, place in ipairs(rule[2]) do
        if path:sub(1, #place) == place then
          return
        end
      end
      complain(path .. ":" .. line, "<", header, "> belongs in ",
        #rule[2] > 0 and table.concat(rule[2], ", ") or "no file")
    end
  end
end

local includes, sources = {}, {}

local function scan(path)
  local own, line = {}, 0
  for text in files.lines(files.read(root .. "/" .. path)) do
    line = line + 1
    local header = text:match('^%s*#%s*include%s+"([^"]+)"')
    if header then
      check_own(path, line, header)
      if header:find("%.h$") then
        own[#own + 1] = header
      end
    else
      header = text:match("^%s*#%s*include%s+<([^>]+)>")
      if header then
        check_vendor(path, line, header)
      end
    end
  end
  includes[path] = own
end

local function reach(path, seen)
  local count = 0
  for _, header in ipairs(includes[path] or {}) do
    -- Parts of a header that it includes itself (tools/headers.lua) are that header.
    if not seen[header] and not header:find("_gen%.h$") then
      seen[header] = true
      count = count + 1 + reach(header, seen)
    end
  end
  return count
end

for _, path in ipairs(files.list(root, ".*\\.([ch]|def)")) do
  scan(path:sub(#root + 2))
end

local counts = {}
for path in pairs(includes) do
  if path:find("%.c$") then
    sources[#sources + 1] = path
    local count = reach(path, {})
    counts[#counts + 1] = count
    -- main.c and what puts processes together see everything by design.
    local most = max_headers_of[folder_of(path)] or max_headers
    if count > most and not assemblers[path] and folder_of(path) ~= "proc" then
      complain(path, "sees ", count, " project headers, at most ", most)
    end
    local header = path:gsub("%.c$", ".h")
    if includes[header] and includes[path][1] ~= header then
      complain(path, "must include its own header first")
    end
  end
end

table.sort(counts)
table.sort(findings)
files.finish("layers", findings, ("%d sources see %d project headers (median), %d (most)"):format(#sources,
  counts[math.ceil(#counts / 2)] or 0, counts[#counts] or 0))
