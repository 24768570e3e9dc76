-- Checked by `make luacheck`. The runtime is LuaJIT; specs add busted's words, configurations the
-- words of the native dialect, policies and inline hooks the `mg` global.
std = "luajit"
max_line_length = 140
max_cyclomatic_complexity = 20
cache = false
codes = true
self = false

files["spec/**"] = { std = "+busted" }
files["**/*_spec.lua"] = { std = "+busted" }

local dialect = {
  "gateway", "site", "route", "upstream", "cache", "policy", "env", "file", "include", "limit",
}
local hooks = { "mg" }

files["lua/**"] = { read_globals = hooks }
files["scripts/**"] = { read_globals = hooks }
for _, folder in ipairs { "examples", "bench", "spec/guide", "spec/conf" } do
  files[folder .. "/**"] = { read_globals = { "mg", unpack(dialect) }, std = "+busted" }
end
-- The compatibility layer implements these names; programs written for it use them.
files["lua/ngx/**"] = { read_globals = hooks, globals = { "ngx", "ndk" } }
files["lua/resty/**"] = { read_globals = { "mg", "ngx", "ndk" } }
exclude_files = { "build/**", "spec/conf/bad/**", "spec/conf/broken/**", "examples/*/node_modules/**" }
