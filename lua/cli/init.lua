--- The subcommands written in Lua. `run` prints nothing: it returns the exit status and the texts for standard output and standard
--- error, so that specs can call it; `main` is what the C boot calls.
local M = {}

--- Subcommands of this folder: cli/<name>.lua has main(args) with the same three results (one that prints by itself returns the status).
local commands = {
  check = "checks a configuration: check [--json] FILE...",
  import = "prints the native form of a configuration in nginx syntax: import FILE.conf",
  explain = "says what happens to a request: explain [METHOD] URL [-H FIELD]... [--from IP] -c FILE",
  export = "prints the model of a configuration: export --json FILE",
  schema = "prints the schema: schema --json | --stubs | --markdown | --api | --nginx",
}

local help = [[
moongate — a gateway scripted in Lua

  moongate run FILE                       runs a configuration in the foreground
  moongate run HOST=URL ...               runs without one: run app.example.com=127.0.0.1:3000, run :8080=127.0.0.1:3000
  moongate check [--json] FILE ...        checks configurations
  moongate test [PATH ...]                runs specs of policies
  moongate export --json FILE             prints the model that a configuration means
  moongate explain [METHOD] URL -c FILE   says what happens to a request: site, route, settings, upstream
  moongate import FILE.conf               prints the native form of a configuration in nginx syntax
  moongate schema --json|--stubs          prints JSON Schema, or stubs for the Lua language server
  moongate reload [--rollback]            lets the running gateway load its configuration again, or return to the previous one
  moongate status [--json]                shows generations, workers, listeners, upstreams
  moongate -p PREFIX -c FILE              runs as programs that start nginx expect; also -t -T -V -e LOG -g TEXT -s SIGNAL
]]

function M.help()
  return 0, help, ""
end

local function unknown(name)
  local diag = require "conf.diag"
  local names = { "run", "test", "reload", "status", "help" }
  for command in pairs(commands) do
    names[#names + 1] = command
  end
  local near = diag.nearest(name, names)
  local hint = near and ("; did you mean '%s'?"):format(near) or ""
  return 2, "", ("moongate: unknown command '%s'%s\nTry: moongate help\n"):format(name, hint)
end

--- Runs `argv` = { "check", "gateway.lua" }.
---@param argv string[]
---@return integer status, string|nil out, string|nil err
function M.run(argv)
  local name = argv[1]
  if name == nil or name == "help" or name == "--help" or name == "-h" then
    return M.help()
  end
  local ok, command = pcall(require, "cli." .. name)
  if not ok then
    if tostring(command):find("module 'cli." .. name .. "' not found", 1, true) then
      return unknown(name)
    end
    return 1, "", tostring(command) .. "\n"
  elseif type(command) ~= "table" or not command.main then
    return unknown(name)
  end
  local args = {}
  for i = 2, #argv do
    args[i - 1] = argv[i]
  end
  return command.main(args)
end

--- Runs `argv`, prints what comes of it, returns the exit status.
---@param argv string[]
---@return integer status
function M.main(argv)
  local status, out, err = M.run(argv)
  io.stdout:write(out or "")
  io.stderr:write(err or "")
  return status or 0
end

return M
