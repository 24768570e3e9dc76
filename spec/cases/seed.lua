--- Writes the inputs of spec/cases as seeds into fuzz/corpus:  luajit spec/cases/seed.lua
package.path = "./?.lua;" .. package.path
local cases = require("spec.support.cases")

--- What a target expects before the input: its option byte (fuzz/<target>.c), with the slot kept for it.
local targets = {
  h1_request = function(options)
    return string.char(0x30 + (options.drop and 1 or 0) + ((options.head or options.target) and 2 or 0))
  end,
  h1_response = function(options)
    return string.char(0x30 + (options.method == "HEAD" and 4 or options.method == "CONNECT" and 8 or 0))
  end,
  uri = function(options)
    local method = options.method == "CONNECT" and 4 or options.method == "OPTIONS" and 2 or 0
    return string.char(0x30 + method + (options.nomerge and 0 or 1))
  end,
  chunk = function()
    return ""
  end,
}

for folder, prefix in pairs(targets) do
  local corpus = "fuzz/corpus/" .. (folder == "chunk" and "chunked" or folder)
  os.execute("mkdir -p " .. corpus)
  for _, path in ipairs(cases.files(folder)) do
    for _, case in ipairs(cases.read(path)) do
      local name = case.title:gsub("[^%w]+", "-")
      local file = assert(io.open(corpus .. "/" .. name, "wb"))
      file:write(prefix(case.options), case.input)
      file:close()
    end
  end
end
