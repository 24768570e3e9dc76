--- Lines of a native configuration: indentation, comments that name a directive, names for locals.
local M = {}

local Writer = {}
Writer.__index = Writer

function M.new()
  return setmetatable({ out = {}, depth = 0, names = {} }, Writer)
end

--- Milliseconds as a quoted duration: "1h", "30s", "250ms".
function M.duration(ms)
  for _, unit in ipairs { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 } } do
    if ms >= unit[2] and ms % unit[2] == 0 then
      return ("%q"):format(("%d%s"):format(ms / unit[2], unit[1]))
    end
  end
  return ("%q"):format(ms .. "ms")
end

--- A key of a table: as it is, or in brackets.
function M.key(name)
  return name:match("^[%a_][%w_]*$") and name or ("[%q]"):format(name)
end

function Writer:text(fmt, ...)
  local text = select("#", ...) > 0 and fmt:format(...) or fmt
  self.out[#self.out + 1] = ("  "):rep(self.depth) .. text
end

Writer.line = Writer.text

function Writer:open(text)
  self:text("%s", text)
  self.depth = self.depth + 1
end

function Writer:close(text)
  self.depth = self.depth - 1
  self:text("%s", text)
end

function Writer:blank()
  if self.out[#self.out] ~= "" then
    self.out[#self.out + 1] = ""
  end
end

function Writer:place(d)
  return ("%s:%d"):format(d.file:match("[^/]*$"), d.line)
end

--- The directive as a comment, and why it stands in one.
function Writer:comment(d, why)
  local words = { d.name }
  for _, arg in ipairs(d.args) do
    words[#words + 1] = (arg == "" or arg:find("%s")) and ("%q"):format(arg) or arg
  end
  self:text("-- %s: %s; %s", self:place(d), (table.concat(words, " "):gsub("%s+", " ")), why)
end

local reserved = {
  gateway = true, upstream = true, cache = true, site = true, route = true, policy = true, env = true, file = true,
  include = true, mg = true,
  ["and"] = true, ["end"] = true, ["local"] = true, ["function"] = true, ["return"] = true, ["if"] = true, ["for"] = true, ["while"] = true,
}

--- A local's name for an upstream's.
function Writer:name(text)
  if not self.names[text] then
    local id = text:gsub("[^%w_]", "_"):gsub("^(%d)", "_%1")
    self.names[text] = reserved[id] and id .. "_" or id
  end
  return self.names[text]
end

function Writer:finish()
  while self.out[#self.out] == "" do
    self.out[#self.out] = nil
  end
  return table.concat(self.out, "\n") .. "\n"
end

return M
