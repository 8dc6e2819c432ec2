"""The pictures: valid specs, names that do not hide each other, axes with units."""

from __future__ import annotations

import re
from itertools import combinations

import altair as alt
import numpy as np
import pytest

from routebench.dash.charts import cost_quality, model_mix, scatter
from routebench.dash.parts.chart import PAPER
from routebench.dash.placing import HEIGHT, PLACES, Along, arrow, placed
from routebench.dash.tables import chart_hull, chart_points, is_logarithmic, mix_frame, shown_name
from routebench.evaluate import Comparison
from tests.dash.comparisons import RULES, TODAY, compared, outcomes


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared()


@pytest.mark.parametrize("along", ["cost", "p50", "p95"])
@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("move", [True, False])
def test_a_spec_is_one_that_altair_would_take(comparison: Comparison, along: Along, log: bool, move: bool) -> None:
    points, _ = chart_points(comparison)
    drawing = scatter(points, along, log=log, reading="what it shows", move=move)
    alt.LayerChart.from_dict(drawing.to_dict(), validate=True)
    text = str(drawing.spec)
    assert ("USD" if along == "cost" else "seconds") in text
    assert ("log scale" in text) == log
    assert drawing.spec["description"] == "what it shows"


def test_other_pictures_are_valid_too(comparison: Comparison) -> None:
    mix = model_mix(mix_frame(comparison, [RULES, TODAY]), reading="shares")
    alt.Chart.from_dict(mix.chart.to_dict(), validate=True)
    unpriced = compared(outcomes(costs=False))
    points, _ = chart_points(unpriced)
    alone = cost_quality(points, chart_hull(unpriced), reading="no cost")
    alt.LayerChart.from_dict(alone.chart.to_dict(), validate=True)
    assert "cost per 1,000" not in str(alone.chart.spec)
    assert alone.data["points"]["quality"].is_monotonic_decreasing


def test_requests_without_an_answer_are_an_empty_part_of_a_bar(comparison: Comparison) -> None:
    spec = model_mix(mix_frame(comparison, [RULES, "always:odd<b"]), reading="shares").chart.spec
    scale = spec["encoding"]["color"]["scale"]
    shades = dict(zip(scale["domain"], scale["range"], strict=True))
    assert shades["no answer"] == PAPER
    assert PAPER not in {shade for name, shade in shades.items() if name != "no answer"}


@pytest.mark.parametrize("width", [640, 800, 1100])
def test_names_hide_neither_each_other_nor_leave_the_picture(comparison: Comparison, width: int) -> None:
    points, _ = chart_points(comparison, RULES)
    # All marks but the last in one corner, so that names have to make room.
    points.loc[points.index[:-1], "quality"] = 0.5 + 0.01 * np.arange(len(points) - 1)
    points.loc[points.index[:-1], ["cost", "cost_low", "cost_high"]] = points["cost"].min()
    rows = placed(points, chart_hull(comparison), "cost", log=True, width=width)["points"]
    assert rows.loc[rows["is_pick"], "place"].iloc[0] >= 0
    boxes = [(row.left, row.top) for row in rows.itertuples()]
    assert all(0 <= left <= width and 0 <= top <= HEIGHT for left, top in boxes)
    names = [name_box(row.left, row.top, row.place, row.label) for row in rows.itertuples() if row.place >= 0]
    assert len(names) >= 4
    for (left, top, right, bottom), (other_left, other_top, other_right, other_bottom) in combinations(names, 2):
        assert right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top


def name_box(left: float, top: float, place: int, label: str) -> tuple[float, float, float, float]:
    """Where a name stands, with letters of seven pixels and lines of sixteen."""
    align, dx, dy = PLACES[place]
    length = 7 * len(label)
    start = left + dx - {"left": 0, "center": length / 2, "right": length}[align]
    return start, top + dy - 8, start + length, top + dy + 8


def test_nothing_that_costs_nothing_is_on_a_logarithmic_axis(comparison: Comparison) -> None:
    points, _ = chart_points(comparison)
    points.loc[0, ["cost", "cost_low", "cost_high"]] = 0.0
    hull = chart_hull(comparison)
    assert not is_logarithmic(points)
    assert points["name"].iloc[0] not in set(placed(points, hull, "cost", log=True)["points"]["name"])
    assert points["name"].iloc[0] in set(placed(points, hull, "cost", log=False)["points"]["name"])


def test_latency_has_no_hull_and_unknown_latency_no_place(comparison: Comparison) -> None:
    points, _ = chart_points(comparison)
    points.loc[1, "p95"] = float("nan")
    rows = placed(points, chart_hull(comparison), "p95", log=True)
    assert rows["hull"].empty
    assert len(rows["points"]) == len(points) - 1


def test_an_arrow_leads_to_just_before_its_mark(comparison: Comparison) -> None:
    points, _ = chart_points(comparison, RULES)
    rows = placed(points, chart_hull(comparison), "cost", log=True)["points"]
    (row,) = arrow(rows, TODAY, RULES, log=True).to_dict("records")
    assert min(row["x"], row["x2"]) < row["x_head"] < max(row["x"], row["x2"])
    assert arrow(rows, TODAY, "nobody", log=True).empty
    assert arrow(rows, TODAY, TODAY, log=True).empty


def test_a_still_picture_is_drawn_without_a_background(comparison: Comparison) -> None:
    points, _ = chart_points(comparison)
    svg = cost_quality(points, chart_hull(comparison), reading="r").svg()
    assert svg.startswith("<svg")
    assert not re.search(r'<rect[^>]*fill="white"', svg)
    for kind in ("model", "strategy", "reference", "today"):
        assert f">{kind}<" in svg
    assert "mean score (axis does not begin at 0)" in svg


def test_kinds_differ_in_shape_and_not_in_colour_alone(comparison: Comparison) -> None:
    points, _ = chart_points(comparison)
    spec = scatter(points, "cost", log=True, reading="r").spec
    (marks,) = [layer for layer in spec["layer"] if "shape" in layer["encoding"]]
    shapes = marks["encoding"]["shape"]["scale"]["range"]
    colours = marks["encoding"]["fill"]["scale"]["range"]
    assert len(set(shapes)) == len(set(colours)) == 4
    assert {"#0072B2", "#D55E00", "#767676"} < set(colours)


def test_files_are_shown_without_their_folders_from_the_root() -> None:
    assert shown_name("rules:/home/me/rules.yaml") == "rules:rules.yaml"
    assert shown_name("rules:new/rules.yaml") == "rules:new/rules.yaml"
    assert shown_name("always:small") == "small"
    assert all(shown_name(one) != shown_name(other) for one, other in combinations(("cheapest", "auto", RULES), 2))
