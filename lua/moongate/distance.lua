--- How far two words are apart, for "did you mean": configuration options and policy options ask alike.
local M = {}

--- Edits that make `b` of `a`; swapped neighbours count as one.
---@param a string
---@param b string
---@return integer
function M.between(a, b)
  local before, row = {}, {}
  for j = 0, #b do
    row[j] = j
  end
  for i = 1, #a do
    local current = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(row[j] + 1, current[j - 1] + 1, row[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      current[j] = best
    end
    before, row = row, current
  end
  return row[#b]
end

return M
