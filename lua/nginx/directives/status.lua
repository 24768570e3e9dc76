--- stub_status: a page with a few figures of all workers.
local page = "Active connections: $connections_active \n" .. "server accepts handled requests\n"
  .. " $connections_accepted $connections_handled $connections_requests \n"
  .. "Reading: $connections_reading Writing: $connections_writing Waiting: $connections_waiting \n"

local function said()
  return true
end

local function route(scope, r)
  if scope:handler("stub_status") then
    r.action, r.reply_status, r.reply_body, r.reply_type, r.reply_reads = "reply", 200, page, "text/plain", true
  end
end

return {
  directives = {
    stub_status = { where = "server location", args = { 0, 1 }, parse = said },
  },
  route = route,
}
