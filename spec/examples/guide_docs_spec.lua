--- docs/guide.md: every block loads, and every native one starts; those of the topic pages load. The word behind the language says what a
--- block stands in: nothing: http {} or a whole native file; location, site: a location or site that proxies to `backend`.
local certs = require("spec.support.certs")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")

local wraps = {
  ["nginx"] = "events {}\nhttp {\n%s\n}\n",
  ["nginx location"] = "events {}\nhttp { server { listen 80; location / { proxy_pass http://127.0.0.1:3000;\n%s\n} } }\n",
  ["lua"] = "%s",
  ["lua site"] = 'local backend = upstream "backend" { "127.0.0.1:3000" }\nsite "app.example.com" { proxy = backend,\n%s\n}\n',
}

--- The fenced blocks of nginx and Lua: { kind, heading, text }.
local function blocks(path)
  local list, heading, open = {}, nil, nil
  for line in (tmp.read(path) .. "\n"):gmatch("([^\n]*)\n") do
    local kind = line:match("^```(.*)$")
    if open and kind then
      list[#list + 1] = wraps[open.kind] and open or nil
      open = nil
    elseif open then
      open.text = open.text .. line .. "\n"
    elseif kind then
      open = { kind = kind, heading = heading, text = "" }
    else
      heading = line:match("^#+ (.*)$") or heading
    end
  end
  return list
end

local function with_certificates(text)
  return (text:gsub("/etc/letsencrypt/live/app%.example%.com", (certs.make("app.example.com").dir:gsub("%%", "%%%%"))))
end

--- The native file with free ports: in its gateway declaration, or in one of its own.
local function with_ports(text)
  local ours = 'listen = { "127.0.0.1:0", "127.0.0.2:0 tls" }, workers = 1,'
  local out, n = text:gsub("gateway {", "gateway { " .. ours, 1)
  return n == 1 and out or "gateway { " .. ours .. " }\n" .. text
end

local files = { users = "jane:$apr1$x$pIVwyDvF7.9nNSEXdRuGd/\n", ["public/index.html"] = "<p>hi</p>\n", ["public/assets/x.css"] = "p{}\n" }

local function write_files(dir)
  assert(os.execute(("mkdir -p '%s/public/assets' '%s/logs'"):format(dir, dir)) == 0)
  for name, text in pairs(files) do
    tmp.write(dir, name, text)
  end
end

--- A block of a page as a file: options and routes stand in a site, other declarations beside one.
local function whole(text)
  if text:find('site "') then
    return text
  elseif text:find("^route ") or text:find("^%l+ = ") then
    local tls = text:find("^listen") and 'tls = "/etc/letsencrypt/live/app.example.com",' or ""
    return ('site "*" { proxy = "http://127.0.0.1:3000", %s\n%s\n}\n'):format(tls, text)
  end
  return text .. 'site "*" { reply = { status = 200 } }\n'
end

describe("docs/guide.md", function()
  local all, dir = blocks("docs/guide.md"), nil

  setup(run.setup(function()
    dir = tmp.dir()
    write_files(dir)
  end))
  teardown(run.teardown)

  it("has both forms of each topic", function()
    local seen = {}
    for _, b in ipairs(all) do
      seen[b.heading] = (seen[b.heading] or "") .. b.kind:sub(1, 1)
    end
    for heading, kinds in pairs(seen) do
      assert.equal("ln", kinds:find("n") and kinds:find("l") and "ln" or kinds, heading)
    end
    assert.is_true(#all >= 34)
  end)

  it("has blocks that check accepts", run(function()
    local paths = { "check" }
    for i, b in ipairs(all) do
      local path = ("%s/%02d.%s"):format(dir, i, b.kind:find("^nginx") and "conf" or "lua")
      tmp.write(dir, path:match("[^/]*$"), with_certificates(wraps[b.kind]:gsub("%%s", function() return b.text end)))
      paths[#paths + 1] = path
    end
    local process = gateway.exec(nil, { args = paths, seconds = 60 })
    assert.equal("", process.status == 0 and "" or process:stderr())
    assert.equal(#all, select(2, process:stdout():gsub(": ok: ", "")))
  end))

  it("and the topic pages show files that check accepts", run(function()
    tmp.write(dir, "internal-ca.pem", tmp.read(certs.make("app.example.com").cert))
    local paths = { "check" }
    local pages = { "access", "compression", "config", "grpc", "http2", "limits", "logs", "real-ip", "static-files", "tls", "upstreams" }
    for _, page in ipairs(pages) do
      for i, b in ipairs(blocks("docs/" .. page .. ".md")) do
        local text = whole(b.text)
        text = with_certificates((text:gsub("live/grpc%.", "live/app.")))
        paths[#paths + 1] = tmp.write(dir, ("%s%d.lua"):format(page, i), text)
      end
    end
    local process = gateway.exec(nil, { args = paths, seconds = 60 })
    assert.equal("", process.status == 0 and "" or process:stderr())
    assert.is_true(#paths >= 10)
  end))

  it("shows what the commands say", run(function()
    local page, conf = tmp.read("docs/guide.md"), "spec/examples/moving.conf"
    for _, args in ipairs {
      { "check", "spec/conf/broken/warn_mistakes.conf" }, { "import", conf },
      { "explain", "http://app.example.com:8080/api/users", "-c", conf },
    } do
      local process = gateway.exec(nil, { args = args })
      local text = args[1] == "check" and process:stderr() or process:stdout()
      assert.equal(0, process.status)
      local shown = ("$ moongate %s\n%s```"):format(table.concat(args, " "), text)
      assert.is_truthy(page:find(shown, 1, true), "the page shows another text of " .. args[1])
    end
  end))

  for i, b in ipairs(all) do
    if b.kind:find("^lua") then
      it(("starts with the native form of '%s'"):format(b.heading), run(function()
        local text = with_ports(with_certificates((wraps[b.kind]:gsub("%%s", function() return b.text end))))
        local home = tmp.dir()
        write_files(home)
        tmp.write(home, "gateway.lua", text)
        local gw = gateway.start("", { args = { "run", home .. "/gateway.lua" }, name = "unused", listeners = 1 })
        assert.is_true(#gw.ports >= 1, "block " .. i)
      end))
    end
  end
end)
