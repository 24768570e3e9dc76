local function f(s)
  return s.x.y
end
site "a" { proxy = f({}) }
