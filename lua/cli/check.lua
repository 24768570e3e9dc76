--- `moongate check [--json] FILE`: loads a configuration, prints what is wrong with it. Status 0: it would run; 1: it would not.
local conf = require "conf"
local json = require "conf.json"

local M = {}

local usage = "usage: moongate check [--json] FILE\n"

local function parse(args)
  local opts = {}
  for _, arg in ipairs(args) do
    if arg == "--json" then
      opts.json = true
    elseif arg:sub(1, 1) == "-" or opts.path then
      return nil
    else
      opts.path = arg
    end
  end
  return opts.path and opts or nil
end

local function plural(n, word)
  return ("%d %s%s"):format(n, word, n == 1 and "" or "s")
end

local function summary(path, model)
  local g, routes = model.gateway, 0
  for _, s in ipairs(g.sites) do
    routes = routes + #s.routes
  end
  return ("%s: ok: %s, %s, %s, %s"):format(path, plural(#g.listens, "listener"), plural(#g.sites, "site"), plural(routes, "route"),
    plural(#g.upstreams, "upstream"))
end

local function as_json(ok, diags)
  local list = {}
  for i, d in ipairs(diags) do
    list[i] = {
      file = d.file, line = d.line, column = d.col, level = d.level, message = d.message, hint = d.hint, context = d.context,
      excerpt = d.excerpt,
    }
  end
  return json.encode({ ok = ok, diagnostics = list[1] and list or json.empty_list }) .. "\n"
end

---@param args string[]
---@return integer status, string out, string err
function M.main(args)
  local opts = parse(args)
  if not opts then
    return 2, "", usage
  end
  local ok, model, diags = conf.load { path = opts.path }
  if opts.json then
    return ok and 0 or 1, as_json(ok, diags), ""
  end
  local text = #diags > 0 and conf.report(diags) .. "\n" or ""
  if ok then
    return 0, summary(opts.path, model) .. "\n", text
  end
  return 1, "", text
end

return M
