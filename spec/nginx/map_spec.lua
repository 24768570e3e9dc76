--- map, geo, split_clients, valid_referers.
local client = require("spec.support.client")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

local function shows(text)
  return ('server { listen 127.0.0.1:0; server_name localhost; return 200 "%s"; }'):format(text)
end

local function get(gw, target, headers)
  return client.get(gw.port, target, headers).body
end

describe("map", function()
  it("finds literals in any case, then regexes in order, then the default", run(function()
    local gw = start([[
      map $arg_k $v { default none; foo bar; "" empty; ~^r(?<n>\d+)$ re$n; ~*^R(.) Re$1; \~x tilde; var $arg_k$arg_k; }
    ]] .. shows("$v"))
    for k, v in pairs {
      foo = "bar", FOO = "bar", r12 = "re12", rx = "Rex", ["~x"] = "tilde", var = "varvar", other = "none", [""] = "empty",
    } do
      assert.equal(v, get(gw, "/?k=" .. k), k)
    end
  end))

  it("knows host names with wildcards, the longest first", run(function()
    local gw = start([[
      map $arg_h $v { hostnames; a.example.com exact; *.example.com wild; *.b.example.com longer; .dot.org dot; www.* tail; }
    ]] .. shows("$v"))
    for h, v in pairs {
      ["a.example.com"] = "exact", ["A.example.com."] = "exact", ["x.example.com"] = "wild", ["x.b.example.com"] = "longer",
      ["dot.org"] = "dot", ["x.dot.org"] = "dot", ["www.x.net"] = "tail", ["example.com"] = "",
    } do
      assert.equal(v, get(gw, "/?h=" .. h), h)
    end
  end))

  it("is looked up once per request unless it is volatile", run(function()
    local gw = start([[
      map $args $once { default $args; }
      map $args $anew { volatile; default $args; }
      server { listen 127.0.0.1:0; set $a $once; set $b $anew; set $args new; return 200 "$once $anew"; }
    ]])
    assert.equal("old new", get(gw, "/?old"))
  end))

  it("ends when maps ask each other", run(function()
    local gw = start("map $b $a { default $b; } map $a $b { default $a; } " .. shows("[$a]"))
    assert.equal("[]", get(gw, "/"))
    gw:wait_log("cycle while evaluating variable")
  end))
end)

describe("geo", function()
  it("takes the narrowest network, of equal ones the later", run(function()
    local gw = start([[
      geo $arg_a $v { default none; 10.0.0.0/8 ten; 10.1.0.0/16 one; 10.1.2.3 host; 10.2.0.0/16 gone; delete 10.2.0.0/16;
        10.3.0.0/16 first; 10.3.0.0/16 second; 2001:db8::/32 six; 2001:db8:1::/48 inner; }
    ]] .. shows("$v"))
    for a, v in pairs {
      ["10.9.9.9"] = "ten", ["10.1.9.9"] = "one", ["10.1.2.3"] = "host", ["10.1.2.4"] = "one", ["10.2.0.1"] = "ten",
      ["10.3.4.4"] = "second", ["11.0.0.0"] = "none", ["9.255.255.255"] = "none", ["2001:db8::1"] = "six",
      ["2001:db8:1::1"] = "inner", ["2001:db9::1"] = "none", ["::ffff:10.1.2.3"] = "host", nonsense = "none",
    } do
      assert.equal(v, get(gw, "/?a=" .. a), a)
    end
  end))

  it("takes ranges that fill gaps or lie inside others", run(function()
    local gw = start([[
      geo $arg_a $v { ranges; default none; 10.0.0.0-10.2.255.255 wide; 10.1.0.5-10.1.0.9 in; 10.1.0.7-10.1.0.7 core;
        10.3.0.0-10.3.0.9 gone; delete 10.3.0.0-10.3.0.9; }
    ]] .. shows("$v"))
    for a, v in pairs {
      ["10.0.0.0"] = "wide", ["10.1.0.4"] = "wide", ["10.1.0.5"] = "in", ["10.1.0.7"] = "core", ["10.1.0.9"] = "in",
      ["10.1.0.10"] = "wide", ["10.2.255.255"] = "wide", ["10.3.0.1"] = "none", ["9.255.255.255"] = "none",
    } do
      assert.equal(v, get(gw, "/?a=" .. a), a)
    end
  end))

  it("believes proxies it is told to believe", run(function()
    local gw = start([[ geo $v { default none; proxy 127.0.0.1; proxy_recursive; 192.0.2.0/24 test; } ]] .. shows("$v"))
    assert.equal("test", get(gw, "/", { { "X-Forwarded-For", "192.0.2.7, 127.0.0.1" } }))
    assert.equal("none", get(gw, "/"))
  end))
end)

describe("split_clients", function()
  it("gives each text the share that nginx gives it", run(function()
    local gw = start([[ split_clients $arg_k $v { 51.2% one; 10% two; * three; } ]] .. shows("$v"))
    local counts = { one = 0, two = 0, three = 0 }
    for i = 1, 20 do -- nginx: 12, 2, 6
      local v = get(gw, "/?k=" .. i)
      counts[v] = counts[v] + 1
    end
    assert.same({ one = 12, two = 2, three = 6 }, counts)
  end))
end)

describe("valid_referers", function()
  it("tells the others", run(function()
    local gw = start([[ server { listen 127.0.0.1:0; server_name localhost;
      valid_referers none www.example.org/in *.example.net ~google\.; return 200 "[$invalid_referer]"; } ]])
    local function from(referer)
      return get(gw, "/", referer and { { "Referer", referer } })
    end
    assert.equal("[]", from(nil))
    assert.equal("[]", from("http://www.example.org/in/x"))
    assert.equal("[1]", from("http://www.example.org/out"))
    assert.equal("[]", from("https://a.example.net:8080/x"))
    assert.equal("[]", from("http://www.google.com/"))
    assert.equal("[1]", from("http://other.test/"))
    assert.equal("[1]", from("nonsense"))
  end))
end)

describe("$cookie_NAME", function()
  it("is found in any case, with the quotes around it, as in nginx", run(function()
    local gw = start([[ server { listen 127.0.0.1:0; return 200 "[$cookie_sid|$cookie_b|$cookie_c]"; } ]])
    assert.equal('[1|"two"|]', get(gw, "/", { { "Cookie", 'x=0; SID=1; b="two"' } }))
  end))
end)
