--- Taking directives out of a block, for the modules that write the native form: what was taken is not reported as left out.
local units = require "nginx.units"
local writer = require "nginx.native_writer"

local M = {}

--- All directives of a name; nil: none.
function M.take(all, name)
  local nodes = all[name]
  all[name] = nil
  return nodes
end

--- The first argument of the first one.
function M.arg(all, name)
  local nodes = M.take(all, name)
  return nodes and nodes[1].args[1]
end

--- A time as a quoted native duration.
function M.duration(text)
  local ms = text and units.ms(text)
  return ms and writer.duration(ms)
end

function M.quote(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"))
end

--- { "a", "b" } of some texts, from the nth on.
function M.list(words, from)
  local out = {}
  for i = from or 1, #words do
    out[#out + 1] = M.quote(words[i])
  end
  return ("{ %s }"):format(table.concat(out, ", "))
end

--- "key = value" at the end of `parts`, when there is a value.
function M.add(parts, key, value)
  if value then
    parts[#parts + 1] = ("%s = %s"):format(key, value)
  end
end

local LINE = 120

--- A table as an option: on one line when it fits, nothing without parts.
function M.group(w, name, parts)
  local text = table.concat(parts, ", ")
  if #parts == 0 then
    return
  elseif #text < LINE then
    w:line("%s = { %s },", name, text)
    return
  end
  w:open(name .. " = {")
  for _, part in ipairs(parts) do
    w:line("%s,", part)
  end
  w:close("},")
end

--- "~re" and "~*re" as native rules are keyed.
function M.pattern(text)
  local star, re = text:match("^~(%*?)(.+)$")
  return re and ("~%s %s"):format(star, re) or text == "~" and "~ ." or text
end

return M
