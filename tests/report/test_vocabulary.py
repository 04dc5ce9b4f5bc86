"""Numbers as people read them."""

from landuse.report import vocabulary as v


def test_numbers_are_written_as_their_intervals_justify() -> None:
    assert v.with_span({"value": 0.98173, "low": 0.97711, "high": 0.98542}) == "98.17\u00a0% (97.71 to 98.54)"
    assert v.with_span({"value": 0.9, "low": 0.85, "high": 0.94}) == "90.0\u00a0% (85.0 to 94.0)"
    assert v.with_span({"value": None, "low": None, "high": None}) == "undefined"
    assert v.gain({"value": -0.002, "low": -0.01, "high": 0.006}) == "\u22120.20 points (\u22121.00 to +0.60)"
    assert v.gain({"value": 0.002, "low": None, "high": None}) == "+0.20 points"
    assert v.score(-0.25, 2) == "\u22120.25" and v.level(0.95) == "95\u00a0%"
    assert v.count(1, "tile") == "1\u00a0tile" and v.count(4050, "tile") == "4,050\u00a0tiles"
    assert v.listed(["a", "b", "c"]) == "a, b and c" and v.listed("abcd", 2) == "a, b and 2 more"
