--- Lints of the nginx dialect: what `check` warns of, each with its fix; and what it keeps silent about.
local conf = require("conf")

local function warnings(http)
  local _, _, diags = conf.load { path = "nginx.conf", text = "events {}\nhttp {\n" .. http .. "\n}\n", lint = true, ipv6 = false }
  local out = {}
  for _, d in ipairs(diags) do
    assert.not_equal("error", d.level, d.message)
    if d.level == "warn" then
      out[#out + 1] = ("%d: %s | %s"):format(d.line, d.message, d.hint or "")
    end
  end
  return table.concat(out, "\n")
end

local function location(text, path)
  return ([[upstream app { server 127.0.0.1:1; keepalive 8; }
    server { listen 8080; location %s { proxy_connect_timeout 5s; %s } }]]):format(path or "/", text)
end

local GOOD = "proxy_pass http://app; proxy_set_header Host $host;"

describe("lints", function()
  it("are silent about a location that does it right", function()
    assert.equal("", warnings(location(GOOD .. 'proxy_http_version 1.1; proxy_set_header Connection "";')))
  end)

  local cases = {
    { "keepalive without HTTP/1.1", location(GOOD .. "proxy_http_version 1.0;"), "HTTP/1.0 to an upstream with keepalive",
      "proxy_http_version 1.1" },
    { "Connection passed on", location(GOOD .. "proxy_set_header Connection close;"), "closed after each request", 'Connection ""' },
    { "no keepalive", "upstream app { server 127.0.0.1:1; } server { listen 8080; location / { proxy_read_timeout 5s; " .. GOOD .. " } }",
      "says nothing of keepalive", "keepalive 32" },
    { "no timeouts", "upstream app { server 127.0.0.1:1; keepalive 8; } server { listen 8080; location / { " .. GOOD .. "} }",
      "no timeouts",
      "proxy_connect_timeout 5s" },
    { "a slash that is lost", location("proxy_pass http://app/v1; proxy_set_header Host $host;", "/api/"), "the slash between them is lost",
      "/v1/" },
    { "one slash too many", location("proxy_pass http://app/; proxy_set_header Host $host;", "/api"), "one slash too many",
      "location /api/" },
    { "a broken chain of addresses", location(GOOD .. "proxy_set_header X-Forwarded-For $remote_addr;"), "drops the addresses",
      "$proxy_add_x_forwarded_for" },
    { "buffering of events", location(GOOD, "/events"), "looks like a stream of events", "proxy_buffering off" },
    { "Host of the upstream", location("proxy_pass http://app;"), 'Host is sent as "app"', "Host $host" },
    { "Upgrade alone", location(GOOD .. "proxy_set_header Upgrade $http_upgrade;"), "without Connection", "$connection_upgrade" },
    { "hidden add_header", "add_header X-A 1;\n" .. location(GOOD .. "add_header X-B 2;"),
      "hides those of the block around it (line 3): X-A",
      "repeat" },
    { "if with content", location(GOOD .. "if ($arg_a) { proxy_pass http://app; }"), "proxy_pass inside if", "map" },
    { "alias off by a slash", location("alias /srv/i/;", "/i"), "leaves the folder", "location /i/" },
    { "allow without deny", location(GOOD .. "allow 10.0.0.0/8;"), "lets everybody in", "deny all" },
    { "a Location that splits", "server { listen 8080; return 301 https://a.example$uri; }", "break a Location into two", "$request_uri" },
    { "plain HTTP on 443", "server { listen 443; return 204; }", "port 443 without ssl", "listen 443 ssl" },
    { "everybody trusted",
      "server { listen 8080; set_real_ip_from 0.0.0.0/0; return 204; }", "everybody is trusted", "networks" },
  }
  for _, case in ipairs(cases) do
    it("warn of " .. case[1] .. ", with the fix", function()
      local said = warnings(case[2])
      assert.is_truthy(said:find(case[3], 1, true), said)
      assert.is_truthy(said:find(case[4], 1, true), said)
    end)
  end
end)
