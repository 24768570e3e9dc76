local units = require "conf.units"

describe("durations", function()
  it("are read in milliseconds", function()
    for text, ms in pairs { ["5s"] = 5000, ["250ms"] = 250, ["1h30m"] = 5400000, ["1.5s"] = 1500, ["2d"] = 172800000, ["0s"] = 0 } do
      assert.equal(ms, (units.duration(text)))
    end
  end)

  it("without a unit are refused with the right text", function()
    assert.same({ nil, 'write "30s"' }, { units.duration(30) })
    assert.same({ nil, 'write "30s"' }, { units.duration("30") })
    assert.same({ nil, "units: ms, s, m, h, d" }, { units.duration("5 s") })
    for _, bad in ipairs { "", "s", "-5s", "5x", "5s5", "1e3s" } do
      assert.is_nil((units.duration(bad)), bad)
    end
  end)

  it("print as short as they can", function()
    assert.same({ "1h", "90s", "250ms", "0ms" }, {
      units.show_duration(3600000), units.show_duration(90000), units.show_duration(250), units.show_duration(0),
    })
  end)
end)

describe("sizes", function()
  it("are read in bytes", function()
    for text, bytes in pairs { ["16k"] = 16384, ["1g"] = 1073741824, ["1.5m"] = 1572864, ["10B"] = 10, ["4K"] = 4096 } do
      assert.equal(bytes, (units.size(text)))
    end
  end)

  it("without a unit are refused with the right text", function()
    assert.same({ nil, 'write "16k"' }, { units.size(16384) })
    assert.same({ nil, 'write "200k" or "200b"' }, { units.size("200") })
    assert.is_nil((units.size("10 MB")))
    assert.is_nil((units.size({})))
  end)

  it("print as short as they can", function()
    assert.same({ "1g", "16k", "100b" }, { units.show_size(1073741824), units.show_size(16384), units.show_size(100) })
  end)
end)
