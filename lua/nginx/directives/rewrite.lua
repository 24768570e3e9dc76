--- rewrite, if, set, return, break: ops in the order of the file, kept in `scope.ops`. The ops of an `if` are the body of its own op.
local captures = require "nginx.captures"
local units = require "nginx.units"

local everywhere = "server location if server_if"

local function add(scope, d, op)
  scope.ops = scope.ops or {}
  op.label = ("%s:%d"):format(d.file, d.line)
  table.insert(scope.ops, op)
  return op
end

local function starts_away(text)
  return text:sub(1, 7) == "http://" or text:sub(1, 8) == "https://" or text:sub(1, 7) == "$scheme"
end

local function set(d, scope, c)
  local name = captures.new_name(c, d, d.args[1])
  if name then
    captures.variable(c, name, { kind = "set" })
    add(scope, d, { op = "set", name = name, value = d.args[2] })
  end
end

local flags = {
  last = { flag = "last" }, ["break"] = { flag = "break" }, redirect = { flag = "redirect", status = 302 },
  permanent = { flag = "redirect", status = 301 },
}

local function rewrite(d, scope, c)
  local pattern, to, word = d.args[1], d.args[2], d.args[3]
  local flag = word and flags[word] or starts_away(to) and flags.redirect or { flag = "none" }
  if to == "" then
    return c:error(d, "empty replacement")
  elseif word and not flags[word] then
    return c:error(d, 'invalid parameter "%s"', word)
  elseif starts_away(to) and flag.flag ~= "redirect" then
    flag = flags.redirect
  end
  local keep = to:sub(-1) ~= "?"
  captures.declare(c, pattern)
  add(scope, d, {
    op = "rewrite", regex = pattern, value = keep and to or to:sub(1, -2), keep_args = keep, flag = flag.flag, status = flag.status,
  })
end

local function return_code(d, scope, c)
  local first = d.args[1]
  local status = units.integer(first)
  if status and status <= 999 then
    add(scope, d, { op = "return", status = status, value = d.args[2] })
  elseif not status and #d.args == 1 and starts_away(first) then
    add(scope, d, { op = "return", status = 302, value = first })
  else
    c:error(d, 'invalid return code "%s"', first)
  end
end

local function break_off(d, scope)
  add(scope, d, { op = "break" })
end

--- The words between the parentheses; nil after a report.
local function condition_words(d, c)
  local words = {}
  for i, word in ipairs(d.args) do
    words[i] = word
  end
  if words[1]:sub(1, 1) ~= "(" then
    return c:error(d, 'invalid condition "%s"', words[1])
  elseif words[#words]:sub(-1) ~= ")" then
    return c:error(d, 'invalid condition "%s"', words[#words])
  end
  words[1] = words[1]:sub(2)
  if words[1] == "" then
    table.remove(words, 1)
  end
  local last = words[#words] and words[#words]:sub(1, -2)
  words[#words] = last ~= "" and last or nil
  return words
end

local file_tests = { f = "file", d = "dir", e = "exists", x = "exec" }
local matches = { ["~"] = {}, ["~*"] = { caseless = true }, ["!~"] = { negate = true }, ["!~*"] = { negate = true, caseless = true } }

local function compare(words, c, d)
  local op = { op = "if", name = words[1]:sub(2), test = "true" }
  if #words == 1 then
    return op
  elseif #words ~= 3 then
    return c:error(d, 'invalid condition "%s"', words[1])
  end
  local how, match = words[2], matches[words[2]]
  if how == "=" or how == "!=" then
    op.test, op.value, op.negate = "equal", words[3], how == "!="
  elseif match then
    captures.declare(c, words[3])
    op.test, op.regex, op.negate, op.caseless = "match", words[3], match.negate, match.caseless
  else
    return c:error(d, 'unexpected "%s" in condition', how)
  end
  return op
end

local function condition(d, c)
  local words = condition_words(d, c)
  if not words then
    return nil
  end
  local first = words[1] or ""
  if #first > 1 and first:sub(1, 1) == "$" then
    return compare(words, c, d)
  end
  local negate, letter = first:match("^(!?)%-(.)$")
  local test = letter and file_tests[letter]
  if not test or #words ~= 2 then
    return c:error(d, 'invalid condition "%s"', first)
  end
  return { op = "if", test = test, negate = negate == "!", value = words[2] }
end

local function open_if(d, scope, c)
  local op = condition(d, c)
  if op then
    scope.ops = {}
    op.body = scope.ops
    add(scope.parent, d, op)
    scope.if_op = op
  end
end

--- The ops are written with the route of the block that runs them; only then do the routes of `if` blocks have numbers.
local function finish(ops, scope, c)
  for _, child in ipairs(scope.children) do
    if child.if_op then
      child.if_op.route = child.kind == "if" and c:route_ref(child) or nil
      finish(child.ops, child, c)
    end
  end
  return ops
end

local function route(scope, r, c)
  if scope.ops and scope.kind ~= "if" and scope.kind ~= "server_if" then
    r.rewrites = finish(scope.ops, scope, c)
  end
  r.rewrite_log = scope:get("rewrite_log") or nil
  if not scope:get("uninitialized_variable_warn") then
    r.warn_unset = false
  end
  r.internal = scope:own("internal")
end

local function is_inner(scope)
  return scope.kind == "server" and "server_if" or "if"
end

return {
  directives = {
    rewrite = { where = everywhere, args = { 2, 3 }, parse = rewrite },
    ["return"] = { where = everywhere, args = { 1, 2 }, parse = return_code },
    ["break"] = { where = everywhere, args = 0, parse = break_off },
    set = { where = everywhere, args = 2, parse = set },
    ["if"] = { where = "server location", args = "1+", block = is_inner, open = open_if },
    rewrite_log = { where = "http server location if server_if", args = 1, parse = units.onoff, default = false },
    uninitialized_variable_warn = { where = "http server location if server_if", args = 1, parse = units.onoff, default = true },
    internal = { where = "location", args = 0, parse = function() return true end },
  },
  route = route,
}
