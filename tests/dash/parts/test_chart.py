"""The chart: rows as the browser reads them, and selections both ways."""

from __future__ import annotations

import gzip
import json

import altair as alt
import numpy as np
import pandas as pd
import pytest

from routebench.dash.parts import ChartView
from routebench.dash.parts.chart import rows
from routebench.dash.parts.vega import bundled, vega_source

POINTS = pd.DataFrame({"name": ["small", "large"], "cost": [0.1, 2.0], "quality": [0.7, np.nan]})


@pytest.fixture
def view() -> ChartView:
    chart = alt.Chart(alt.NamedData("points")).mark_point().encode(x="cost:Q", y="quality:Q").properties(title="both")
    return ChartView(chart, name="both", description="two models", data={"points": POINTS}, select="points.name")


def test_what_json_cannot_say_is_none() -> None:
    frame = pd.DataFrame({"a": [1.5, np.inf], "b": [None, "x"], "c": [np.int64(3), np.int64(4)], "d": [True, False]})
    told = json.loads(json.dumps(rows(frame), allow_nan=False))
    assert told == [{"a": 1.5, "b": None, "c": 3, "d": True}, {"a": None, "b": "x", "c": 4, "d": False}]


def test_rows_come_by_name_and_not_in_the_spec(view: ChartView) -> None:
    assert "small" not in json.dumps(view.spec)
    assert view.frames["points"][0] == {"name": "small", "cost": 0.1, "quality": 0.7}


def test_feeding_one_source_keeps_the_others_and_the_spec(view: ChartView) -> None:
    before = view.spec
    view.feed(hull=pd.DataFrame({"cost": [1.0]}))
    view.feed("now dearer", points=POINTS.assign(cost=[1.0, 3.0]))
    assert [row["cost"] for row in view.frames["points"]] == [1.0, 3.0]
    assert view.frames["hull"] == [{"cost": 1.0}]
    assert view.description == "now dearer"
    assert view.spec is before


def test_a_selection_goes_both_ways(view: ChartView) -> None:
    seen: list[tuple[str, ...]] = []
    view.observe(lambda change: seen.append(change["new"]), "selected")
    view._selected = ["small"]
    assert view.selected == ("small",)
    view.selected = ("large",)
    assert view._selected == ["large"]
    assert seen == [("small",), ("large",)]


def test_the_picture_is_drawn_here_as_well(view: ChartView) -> None:
    svg = view.svg()
    assert svg.startswith("<svg")
    assert "both" in svg


def test_the_library_is_one_for_all_charts_and_asks_nothing_of_the_network(view: ChartView) -> None:
    assert view._vega is vega_source()
    source = gzip.decompress(vega_source().source).decode()
    assert "export" in source[-200:]
    assert "import " not in source[:200]


def test_the_library_is_kept_whole_and_works_where_nothing_can_be_kept(tmp_path) -> None:
    first = bundled(tmp_path)
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes() == first == bundled(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert bundled(blocked / "folder") == first
