--- `moongate check [--json] FILE...`: loads configurations, prints what is wrong with them. Status 0: they would run; 1: not all would.
local conf = require "conf"
local json = require "conf.json"

local M = {}

local usage = "usage: moongate check [--json] FILE...\n"

local function parse(args)
  local opts = { paths = {} }
  for _, arg in ipairs(args) do
    if arg == "--json" then
      opts.json = true
    elseif arg:sub(1, 1) == "-" then
      return nil
    else
      opts.paths[#opts.paths + 1] = arg
    end
  end
  return opts.paths[1] and opts or nil
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

--- The core compiles the model as a generation would, and throws it away.
local function judge(model)
  local found, testing = pcall(require, "moongate.testing") -- not there under a plain LuaJIT
  return found and type(testing) == "table" and testing.refusal and testing.refusal(model.gateway) or nil
end

--- Status and texts of one file; in JSON its diagnostics go to `list`.
local function check(path, list)
  local ok, model, diags = conf.load { path = path, lint = true, judge = judge }
  if list then
    for _, d in ipairs(diags) do
      list[#list + 1] = d
    end
    return ok and 0 or 1, "", ""
  end
  local text = #diags > 0 and conf.report(diags) .. "\n" or ""
  return ok and 0 or 1, ok and summary(path, model) .. "\n" or "", text
end

---@param args string[]
---@return integer status, string out, string err
function M.main(args)
  local opts = parse(args)
  if not opts then
    return 2, "", usage
  end
  local list, worst, outs, errs = opts.json and {} or nil, 0, {}, {}
  for i, path in ipairs(opts.paths) do
    local status
    status, outs[i], errs[i] = check(path, list)
    worst = math.max(worst, status)
  end
  if list then
    return worst, as_json(worst == 0, list), ""
  end
  return worst, table.concat(outs), table.concat(errs)
end

return M
