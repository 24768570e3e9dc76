--- valid_referers: what $invalid_referer goes by. Lines of one block add up.
local function referers(d, _, c)
  local v = { list = {} }
  for _, word in ipairs(d.args) do
    if word == "" then
      return nil, 'invalid referer ""'
    elseif word == "none" or word == "blocked" or word == "server_names" then
      v[word] = true
    elseif word == "~" then
      return c:error(d, 'empty regex in "~"')
    else
      table.insert(v.list, word)
    end
  end
  return v
end

local function add_names(r, server)
  for _, name in ipairs(server.names or {}) do
    if name:sub(1, 1) == "~" then
      table.insert(r.referer_hosts, name)
    elseif name ~= "" then
      table.insert(r.referers, name)
    end
  end
end

local function route(scope, r, c)
  local said = scope:get("valid_referers")
  if not said then
    return
  end
  r.referers, r.referer_hosts = {}, {}
  for _, v in ipairs(said) do
    r.referer_none = r.referer_none or v.none
    r.referer_blocked = r.referer_blocked or v.blocked
    for _, word in ipairs(v.list) do
      table.insert(r.referers, word)
    end
    if v.server_names then
      add_names(r, scope.site and c.gateway.sites[scope.site.index + 1] or {})
    end
  end
  if (r.referer_none or r.referer_blocked) and #r.referers + #r.referer_hosts == 0 then
    c:error(scope:at("valid_referers"),
      'the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer')
  end
end

return {
  directives = {
    valid_referers = { where = "server location", args = "1+", many = true, parse = referers },
    referer_hash_max_size = { where = "server location", args = 1, noop = true },
    referer_hash_bucket_size = { where = "server location", args = 1, noop = true },
  },
  route = route,
}
