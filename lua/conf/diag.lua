--- Diagnostics: collected while a configuration is read, sorted by place, printed with the line they speak of.
local distance = require "moongate.distance"

local M = {}

local Diags = {}
Diags.__index = Diags

---@class conf.Diag
---@field file string
---@field line integer
---@field col integer
---@field level "error"|"warn"|"note"
---@field message string
---@field hint? string        what to write instead
---@field context? string     in which declaration: `site "a" > timeouts`
---@field excerpt? string     the source line
---@field mark? {col: integer, len: integer}
---@field word? string        the level in nginx's words

--- A new collector. `sources` maps a displayed file name to its text and is filled by the loader.
---@return table
function M.new()
  return setmetatable({ list = {}, sources = {}, order = {}, files = 0, errors = 0, seen = {} }, Diags)
end

--- Makes a source text known, so that excerpts can be shown.
function Diags:source(file, text)
  if not self.order[file] then
    self.files = self.files + 1
    self.order[file] = self.files
  end
  self.sources[file] = text
end

local function line_of(text, n)
  local at = 1
  for _ = 2, n do
    local nl = text:find("\n", at, true)
    if not nl then
      return nil
    end
    at = nl + 1
  end
  return (text:sub(at, (text:find("\n", at, true) or #text + 1) - 1):gsub("\r$", ""))
end

--- Adds one diagnostic. `at` and `mark` are places { file, line, col, len }; `mark` is what the carets point at.
---@param level "error"|"warn"|"note"
---@param at table|nil
---@param message string
---@param more? {hint?: string, context?: string, mark?: table, word?: string}  `word`: nginx's for the level
function Diags:add(level, at, message, more)
  at, more = at or {}, more or {}
  local d = {
    file = at.file or "?", line = at.line or 0, col = at.col or 0, level = level, message = message,
    hint = more.hint, context = more.context, word = more.word,
  }
  local key = table.concat({ d.file, d.line, d.col, message }, "\0")
  if self.seen[key] then
    return
  end
  self.seen[key] = true
  local text = self.sources[d.file]
  d.excerpt = text and d.line > 0 and line_of(text, d.line) or nil
  local mark = more.mark
  if not mark or mark.line ~= at.line or mark.file ~= at.file then
    mark = at
  end
  if d.excerpt then
    d.mark = { col = mark.col or 1, len = mark.len or 1 }
  end
  d.seq = #self.list + 1
  self.list[d.seq] = d
  if level == "error" then
    self.errors = self.errors + 1
  end
end

--- Sorts by file (in the order read), line, column.
function Diags:finish()
  table.sort(self.list, function(a, b)
    if a.file ~= b.file then
      return (self.order[a.file] or 0) < (self.order[b.file] or 0)
    elseif a.line ~= b.line then
      return a.line < b.line
    elseif a.col ~= b.col then
      return a.col < b.col
    end
    return a.seq < b.seq
  end)
  return self.list
end

local words = { error = "error", warn = "warning", note = "note" }

--- One diagnostic as text.
---@param d conf.Diag
---@return string
function M.format(d)
  local where = d.line > 0 and ("%s:%d:%d"):format(d.file, d.line, math.max(d.col, 1)) or d.file
  local out = { ("%s: %s: %s"):format(where, words[d.level], d.message) }
  if d.word then -- as nginx says it, so that what looks for its words finds them
    out[1] = ("%s: [%s] %s"):format(where, d.word, d.message) .. (d.line > 0 and (" in %s:%d"):format(d.file, d.line) or "")
  end
  if d.excerpt then
    local number = tostring(d.line)
    local margin = (" "):rep(2 + #number)
    local before = d.excerpt:sub(1, d.mark.col - 1):gsub("[\128-\191]", ""):gsub("[^\t]", " ")
    local marked = d.excerpt:sub(d.mark.col, d.mark.col + d.mark.len - 1):gsub("[\128-\191]", "")
    local len = math.max(1, #marked)
    out[#out + 1] = ("  %s | %s"):format(number, d.excerpt)
    out[#out + 1] = ("%s | %s%s%s"):format(margin, before, ("^"):rep(len), d.hint and " " .. d.hint or "")
    if d.context then
      out[#out + 1] = ("%s = in %s"):format(margin, d.context)
    end
  else
    if d.hint then
      out[#out + 1] = "    = " .. d.hint
    end
    if d.context then
      out[#out + 1] = "    = in " .. d.context
    end
  end
  return table.concat(out, "\n")
end

--- All of them, and the closing line that counts.
---@param list conf.Diag[]
---@param consequence? string  what a rejection means here ("running generation unchanged")
---@return string
function M.report(list, consequence)
  local out, count = {}, { error = 0, warn = 0, note = 0 }
  for i, d in ipairs(list) do
    out[i] = M.format(d)
    count[d.level] = count[d.level] + 1
  end
  local function plural(n, word)
    return ("%d %s%s"):format(n, word, n == 1 and "" or "s")
  end
  if count.error > 0 then
    local tail = count.warn > 0 and ", " .. plural(count.warn, "warning") or ""
    out[#out + 1] = ("%s%s, configuration rejected%s"):format(plural(count.error, "error"), tail,
      consequence and ", " .. consequence or "")
  elseif count.warn > 0 then
    out[#out + 1] = plural(count.warn, "warning")
  end
  return table.concat(out, "\n")
end

--- The word nearest to `word`, when one is near enough to have been meant.
---@param word string
---@param among string[]
---@return string|nil
function M.nearest(word, among)
  local best, least = nil, math.max(1, math.floor(#word / 3)) + 1
  for _, candidate in ipairs(among) do
    if math.abs(#candidate - #word) < least then -- words are at least as far apart as their lengths
      local d = distance.between(word:lower(), candidate:lower())
      if d < least then
        best, least = candidate, d
      end
    end
  end
  return best
end

return M
