--- gRPC by grpcio: a server to stand behind a gateway, a client to ask it. The client is a process beside the gateway, not
--- beside a server of this one.
local h2_origin = require("spec.support.h2_origin")

local M = {}

local PYTHON = "/usr/bin/python3" -- Debian's, which has python3-grpcio

--- The server, on a free port (.port).
function M.serve()
  return h2_origin.serve(PYTHON, { "spec/support/grpc_server.py" })
end

--- What the client prints.
---@param port integer
---@param command string  see grpc_client.py
---@return string
function M.ask(port, command)
  local pipe = assert(io.popen(("env -u LD_PRELOAD timeout 60 %s spec/support/grpc_client.py %d %s 2>&1"):format(PYTHON, port, command)))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

return M
