--- From sites to sockets: which address serves which sites, and the sites made for the redirect to https.
local listen = require "conf.listen"

local M = {}

--- Limits that hold for a whole connection: { option, key, field of listen }.
local limits = {
  { "client", "header", "header_timeout" }, { "timeouts", "idle", "idle_timeout" }, { "client", "requests", "keepalive_requests" },
  { "client", "head", "head_size" }, { "client", "target", "target_size" }, { "client", "fields", "head_fields" },
  { "client", "merge_slashes", "merge_slashes" },
}

--- ":80" as the two sockets it means.
local function with_twins(specs, ipv6)
  local out = {}
  for _, spec in ipairs(specs) do
    out[#out + 1] = spec
    if spec.twin and ipv6 then
      local twin = {}
      for k, v in pairs(spec) do
        twin[k] = v
      end
      twin.address = spec.twin
      out[#out + 1] = twin
    end
  end
  return out
end

--- What a site listens on.
local function specs_of(site, gateway)
  local own = site.options.listen or gateway.listen
  if own then
    return own
  elseif site.tls then
    return { (listen.parse(":443 tls")), site.http_redirect ~= false and listen.parse(":80") or nil }
  end
  return { (listen.parse(":80")) }
end

--- Port that the redirect names: none when it is 443 or not known.
local function tls_port(specs)
  for _, spec in ipairs(specs) do
    if spec.tls and spec.port then
      return spec.port ~= "443" and spec.port ~= "0" and ":" .. spec.port or ""
    end
  end
  return nil
end

--- The site that answers plain HTTP for a TLS site.
local function redirect_site(site, port)
  return {
    names = site.model.names, label = site.model.label .. " (redirect to https)", fallback = 0,
    trust = site.model.trust, trust_header = site.model.trust_header, trust_recursive = site.model.trust_recursive,
    routes = { {
      match = "prefix", pattern = "/", border = false, order = 0, label = ("%s:%d"):format(site.decl.at.file, site.decl.at.line),
      action = "reply", reply_status = 301, reply_location = "https://$host" .. port .. "$request_uri",
      access_logs = site.redirect_logs,
    } },
  }
end

local Plan = {}
Plan.__index = Plan

function Plan:listener(spec, site)
  local l = self.by_address[spec.address]
  if not l then
    l = { address = spec.address, tls = spec.tls or nil, proxy_protocol = spec.proxy_protocol or nil, sites = {} }
    self.by_address[spec.address] = l
    self.model.listens[#self.model.listens + 1] = l
    self.first[l] = { site = site, names = {} }
  elseif (l.tls or false) ~= spec.tls or (l.proxy_protocol or false) ~= spec.proxy_protocol then
    local other = self.first[l].site.decl.at
    self.c:report(spec.at or site.decl.at, ('"%s" is said with other flags at %s:%d'):format(spec.text, other.file, other.line))
  end
  return l
end

local function names_once(self, l, site, spec)
  local taken = self.first[l].names
  for _, name in ipairs(site.model.names) do
    local other = taken[name]
    if other and other ~= site then
      self.c:report(site.decl.arg, ('site "%s" is declared twice on %s; first at %s:%d'):format(
        name, spec.text, other.decl.at.file, other.decl.at.line))
    end
    taken[name] = site
  end
end

function Plan:apply_limits(l, o)
  for _, p in ipairs(limits) do
    local value = o[p[1]] and o[p[1]][p[2]]
    if type(value) == "number" then
      l[p[3]] = math.max(l[p[3]] or 0, value)
    elseif value ~= nil and l[p[3]] == nil then
      l[p[3]] = value
    end
  end
  local client = o.client or {}
  if client.underscores == false then
    l.drop_underscore = true
  end
  if client.invalid == "drop" then
    l.drop_invalid = true
  end
end

--- HTTP/2: over TLS unless switched off, on plain ports when asked for.
function Plan:apply_http2(l, spec, o)
  local asked = o.http2
  if asked == nil then
    asked = spec.tls
  end
  l.http2 = l.http2 or asked and true or nil
  if type(asked) == "table" and asked.streams then
    l.http2_streams = math.max(l.http2_streams or 0, asked.streams)
  end
end

function Plan:apply_tls(l, site)
  for _, pair in ipairs(site.tls) do
    if pair.protocols and not l.tls_protocols then
      l.tls_protocols = table.concat(pair.protocols, " ")
    end
    l.tls_ciphers = l.tls_ciphers or pair.ciphers
  end
end

--- Index of the site that `spec` serves: the site itself or its redirect; nil: not served there.
function Plan:served(site, spec, port)
  if spec.tls and not site.tls then
    if site.options.listen then
      self.c:report(spec.at or site.decl.at, ('site "%s" listens with tls but has no certificate'):format(site.model.names[1]),
        { hint = 'add tls = "/etc/letsencrypt/live/…"' })
    end
    return nil
  elseif site.tls and not spec.tls and port and site.http_redirect ~= false then
    if not site.redirect_index then
      table.insert(self.model.sites, redirect_site(site, port))
      site.redirect_index = #self.model.sites - 1
    end
    return site.redirect_index
  end
  return site.index
end

function Plan:add(site, gateway)
  local specs = specs_of(site, gateway)
  local port, before, errors = tls_port(specs), self.placed, self.c.diags.errors
  for _, spec in ipairs(with_twins(specs, self.c.loader.opts.ipv6)) do
    local index = self:served(site, spec, port)
    if index then
      local l = self:listener(spec, site)
      names_once(self, l, site, spec)
      table.insert(l.sites, index)
      self.placed = self.placed + 1
      self:apply_limits(l, site.effective)
      self:apply_http2(l, spec, site.effective)
      if spec.tls then
        self:apply_tls(l, site)
      end
      for _, name in ipairs(site.model.names) do
        l.default_site = name == "*" and index or l.default_site
      end
    end
  end
  if self.placed == before and self.c.diags.errors == errors then
    self.c:report(site.decl.at, ('site "%s" is served on no address: every one listens with tls and it has no certificate'):format(
      site.model.names[1] or "?"))
  end
end

--- One socket takes the connections to every address of a port; those to an address of its own come in there as well.
local function share_sockets(listens)
  local wild = {}
  for i, l in ipairs(listens) do
    wild[l.address] = i - 1
  end
  for _, l in ipairs(listens) do
    local port = l.address:match(":(%d+)$")
    local every = port and port ~= "0" and (l.address:sub(1, 1) == "[" and "[::]:" or "0.0.0.0:") .. port
    if every and every ~= l.address then
      l.under = wild[every]
    end
  end
end

--- Fills model.listens (and appends redirect sites to model.sites).
---@param c table
---@param model table
---@param sites table[]   { decl, options, effective, model, index, tls, http_redirect }
---@param gateway table   typed options
function M.plan(c, model, sites, gateway)
  local self = setmetatable({ c = c, model = model, by_address = {}, first = {}, placed = 0 }, Plan)
  model.listens = {}
  for _, site in ipairs(sites) do
    self:add(site, gateway)
  end
  share_sockets(model.listens)
end

return M
