--- What becomes of the text of answers, in the native form: compression, charset, replaced texts, other paths around them, trailers,
--- expiry; and signed links and referers.
local args = require "nginx.native_args"
local writer = require "nginx.native_writer"

local M = {}

local take, arg, add, group, quote = args.take, args.arg, args.add, args.group, args.quote

local function compressed(w, all)
  local parts, types, level, min = {}, take(all, "gzip_types"), arg(all, "gzip_comp_level"), arg(all, "gzip_min_length")
  local on = arg(all, "gzip")
  take(all, "gzip_vary")
  if on == "on" then
    add(parts, "encodings", '{ "gzip" }')
    add(parts, "types", types and args.list(types[1].args))
    add(parts, "level", level)
    add(parts, "min", min and quote(min:find("%a") and min:lower() or min .. "b"))
    group(w, "compress", parts)
  elseif on == "off" then
    w:line("compress = false,")
  end
end

local function types_of(all, name)
  local nodes = take(all, name)
  return nodes and args.list(nodes[1].args)
end

local function charset(w, all)
  local parts, to = {}, arg(all, "charset")
  add(parts, "to", to and quote(to))
  add(parts, "override", arg(all, "override_charset") == "on" and "true")
  add(parts, "types", types_of(all, "charset_types"))
  if to == "off" then
    w:line("charset = false,")
  elseif to then
    group(w, "charset", parts)
  end
end

local function replaced(w, all)
  local texts, parts = {}, {}
  for _, d in ipairs(take(all, "sub_filter") or {}) do
    add(texts, writer.key(d.args[1]), quote(d.args[2]))
  end
  local once, types, modified = arg(all, "sub_filter_once"), types_of(all, "sub_filter_types"), arg(all, "sub_filter_last_modified")
  if #texts > 0 then
    add(parts, "texts", ("{ %s }"):format(table.concat(texts, ", ")))
    add(parts, "once", once ~= "off" and "true")
    add(parts, "types", types)
    add(parts, "last_modified", modified == "on" and "true")
    group(w, "replace", parts)
  end
end

local function around(w, all)
  local parts, before, after = {}, arg(all, "add_before_body"), arg(all, "add_after_body")
  add(parts, "before", before and quote(before))
  add(parts, "after", after and quote(after))
  add(parts, "types", types_of(all, "addition_types"))
  group(w, "around", parts)
end

local function trailers(w, all)
  local parts = {}
  for _, d in ipairs(take(all, "add_trailer") or {}) do
    add(parts, writer.key(d.args[1]), d.args[3] and quote(d.args[2]) or ("{ %q, always = false }"):format(d.args[2]))
  end
  group(w, "trailers", parts)
end

local function links(w, all)
  local parts, said, hashed = {}, arg(all, "secure_link"), arg(all, "secure_link_md5")
  local secret = arg(all, "secure_link_secret")
  add(parts, "said", said and quote(said))
  add(parts, "hashed", hashed and quote(hashed))
  add(parts, "secret", secret and quote(secret))
  group(w, "secure_link", parts)
end

local function referers(w, all)
  local list, said = {}, {}
  for _, d in ipairs(take(all, "valid_referers") or {}) do
    for _, word in ipairs(d.args) do
      if word == "none" or word == "blocked" then
        said[word] = true
      elseif word == "server_names" then
        w:comment(d, "write the names of the site")
      else
        list[#list + 1] = quote(args.pattern(word))
      end
    end
  end
  add(list, "none", said.none and "true")
  add(list, "blocked", said.blocked and "true")
  group(w, "referers", list)
end

--- Options of a block; what is used is taken out of `all`.
function M.options(w, all)
  compressed(w, all)
  charset(w, all)
  replaced(w, all)
  around(w, all)
  trailers(w, all)
  links(w, all)
  referers(w, all)
  for _, name in ipairs { "gunzip", "ssi" } do
    if arg(all, name) == "on" then
      w:line("%s = true,", name)
    end
  end
  local expires = take(all, "expires")
  if expires then
    w:line("expires = %s,", expires[1].args[1] == "off" and "false" or quote(table.concat(expires[1].args, " ")))
  end
end

return M
