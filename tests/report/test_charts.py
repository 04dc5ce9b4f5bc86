"""Where marks of a chart land."""

import re

import numpy as np
import pytest

from landuse.report import numbers
from landuse.report.charts import Plane, Scale, around, as_percent, heat, rows


def places(svg: str, tag: str = "circle") -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(rf'<{tag} class="[^"]*" c?x="([\d.]+)" c?y="([\d.]+)"', svg)]


def test_points_land_where_the_axes_say() -> None:
    plane = Plane(Scale("x", 0, 10), Scale("y", -1, 1), width=160, height=174)
    svg = plane.svg("a chart", plane.dots([0, 5, 10], [-1, 0, 1], ["a", "b", "c"], "a", 3))
    (left, bottom), (middle_x, middle_y), (right, top) = places(svg)
    assert right - left == pytest.approx(100) and bottom - top == pytest.approx(100)
    assert (middle_x, middle_y) == pytest.approx(((left + right) / 2, (top + bottom) / 2))


def test_a_logarithmic_axis_gives_each_power_as_much_room() -> None:
    scale = Scale("x", 1e-4, 1, log=True)
    assert scale.place([1e-4, 1e-2, 1, 0]) == pytest.approx([0, 0.5, 1, 0])
    assert scale.ticks(9) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_ticks_are_round_and_within() -> None:
    assert Scale("x", 0.894, 1, as_percent).ticks() == pytest.approx([0.9, 0.92, 0.94, 0.96, 0.98, 1])
    assert Scale("epoch", 0.5, 3.5, whole=True).ticks() == [1, 2, 3]


@pytest.mark.parametrize("values", [[], [0.5], [np.nan, 1.0], [0.0, 0.0]])
def test_a_scale_around_few_values_has_room(values: list[float]) -> None:
    scale = around("x", values)
    assert scale.low < scale.high
    assert scale.ticks()


def test_lines_skip_what_is_no_number() -> None:
    plane = Plane(Scale("x", 0, 2), Scale("y", 0, 1))
    assert len(re.findall(r"[\d.]+,[\d.]+", plane.line([0, 1, 2], [0, np.nan, 1], "a"))) == 2


def test_rows_show_undefined_values_and_shorten_names() -> None:
    intervals = {"fine": {"value": 0.5, "low": 0.4, "high": 0.6}, "none": {"value": None, "low": None, "high": None}}
    svg = rows("rows", [(f"{name}<" + 40 * "x", of, "a") for name, of in intervals.items()], Scale("s", 0, 1))
    assert len(places(svg)) == 1
    assert "fine&lt;" in svg and "\u2026" in svg
    assert "50.0\u00a0% (40.0 to 60.0)" in svg


def test_cells_of_a_heat_map_lie_in_their_row_and_column() -> None:
    svg = heat("map", [(0, 1, "w1", "a"), (3, 3, "r5", "b")], 4)
    assert places(svg, "rect")[1:] == [(100, 0), (300, 300)]


def test_numbers_are_written_as_their_intervals_justify() -> None:
    assert numbers.with_span({"value": 0.98173, "low": 0.97711, "high": 0.98542}) == "98.17\u00a0% (97.71 to 98.54)"
    assert numbers.with_span({"value": 0.9, "low": 0.85, "high": 0.94}) == "90.0\u00a0% (85.0 to 94.0)"
    assert numbers.with_span({"value": None, "low": None, "high": None}) == "undefined"
    assert numbers.gain_cell({"value": -0.002, "low": -0.01, "high": 0.006}).text == "\u22120.20"
    assert numbers.count(1, "tile") == "1\u00a0tile" and numbers.count(4050, "tile") == "4,050\u00a0tiles"
    assert numbers.listed(["a", "b", "c"]) == "a, b and c" and numbers.listed(list("abcd"), 2) == "a, b and 2 more"
