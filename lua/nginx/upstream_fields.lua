--- Fields on their way up and down: *_set_header, *_hide_header and its kin, of proxy_pass and grpc_pass.
local M = {}

local known_ignored = {
  ["x-accel-redirect"] = true, ["x-accel-expires"] = true, ["x-accel-limit-rate"] = true, ["x-accel-buffering"] = true,
  ["x-accel-charset"] = true, expires = true, ["cache-control"] = true, ["set-cookie"] = true, vary = true,
}

function M.ignored(d)
  for _, name in ipairs(d.args) do
    if not known_ignored[name:lower()] then
      return nil, ('invalid value "%s"'):format(name)
    end
  end
  return d.args
end

--- *_set_header: Host has its own place.
function M.request(scope, r, prefix)
  local ops = {}
  for _, args in ipairs(scope:get(prefix .. "_set_header") or {}) do
    if args[1]:lower() == "host" then
      r.host_header = args[2]
    else
      ops[#ops + 1] = { op = "set", name = args[1], value = args[2] }
    end
  end
  r.request_headers = ops
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do
    set[name:lower()] = true
  end
  return set
end

function M.response(scope, r, x, prefix)
  local shown = scope:get(prefix .. "_pass_header") or {}
  local is_shown = set_of(shown)
  local hidden = {}
  for _, name in ipairs(scope:get(prefix .. "_hide_header") or {}) do
    if not is_shown[name:lower()] then
      hidden[#hidden + 1] = name
    end
  end
  if not is_shown["x-pad"] then
    hidden[#hidden + 1] = "X-Pad"
  end
  r.hide_headers = hidden
  x.show_headers = shown
  x.ignore_headers = scope:get(prefix .. "_ignore_headers") or {}
end

return M
