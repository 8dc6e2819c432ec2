"""The pictures: Altair charts that draw with no network, readable without colour, their rows fed by name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pandas as pd

# Altair imports jsonschema, which builds a grammar of web addresses for a second, for a check that no chart needs.
_LEFT_OUT = "rfc3987_syntax" not in sys.modules
if _LEFT_OUT:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
import altair as alt  # noqa: E402 - after the grammar is left out

if _LEFT_OUT:
    del sys.modules["rfc3987_syntax"]

from routebench.dash.parts.chart import INK, PAPER, rows, still  # noqa: E402 - likewise
from routebench.dash.placing import (  # noqa: E402 - likewise
    HEIGHT,
    MODEL,
    PADDING_PX,
    PADDING_UPRIGHT_PX,
    PLACES,
    REFERENCE,
    STRATEGY,
    TEXT_PX,
    TODAY,
    Along,
    placed,
    placed_alone,
)

_KINDS = (MODEL, STRATEGY, TODAY, REFERENCE)
_COLOURS = {MODEL: "#0072B2", STRATEGY: "#D55E00", TODAY: INK, REFERENCE: "#767676"}
_SHAPES = {MODEL: "circle", STRATEGY: "diamond", TODAY: "square", REFERENCE: "triangle-up"}
_CIVIDIS = ("#00204d", "#213d6b", "#414d6b", "#5e5e6f", "#7c7b78", "#9b8f76", "#bcae6c", "#dcc95f", "#ffea46")
_SHORT = 20
"""Names of so many letters stand side by side in a legend."""
_SCORE = "mean score (axis does not begin at 0)"
_TITLES: Mapping[Along, str] = {
    "cost": "cost per 1,000 requests (USD{})",
    "p50": "middle time to the answer, p50 (seconds{})",
    "p95": "time that 95% of the answers stay within, p95 (seconds{})",
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A Vega-Lite spec that Altair made; `alt.LayerChart.from_dict(drawing.spec)` is the chart again.

    Altair takes a tenth of a second to check a spec against its schema: tests do that, and no reader waits for it.
    """

    spec: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The spec, as charts give it."""
        return dict(self.spec)


@dataclass(frozen=True)
class Picture:
    """A chart, its rows, and the sentence that stands for it.

    Attributes:
        chart: reads its rows from sources by name.
        data: the rows.
        reading: what it shows, in a sentence.
    """

    chart: Drawing
    data: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    reading: str = ""

    def svg(self) -> str:
        """Returns it as SVG text in the colours of the page that it stands in, drawn here and now."""
        return still(self.chart.spec, {name: rows(frame) for name, frame in self.data.items()})


def cost_quality(
    points: pd.DataFrame, hull: pd.DataFrame, *, reading: str, along: Along = "cost", log: bool = True
) -> Picture:
    """Cost against quality: models, strategies and references with their intervals, and the hull of single models.

    Where no cost is known, quality alone.

    Args:
        points: columns name, label, kind, is_pick, cost, cost_low, cost_high, quality, low, high, p50, p95 and the
            texts of the tooltip (see `tables.chart_points`); costs in US dollars for 1,000 requests, times in seconds.
        hull: columns cost, quality, low, high: what a fixed mix of two single models reaches, with its ribbon.
        reading: one sentence, also the chart's description for screen readers.
        along: what is drawn to the right; of times no hull is drawn, since those of a mix are no mean of two.
        log: whether that axis is logarithmic.
    """
    if not has_place(points, along):
        return Picture(quality_alone(points, reading), {"points": placed_alone(points)}, reading)
    return Picture(scatter(points, along, log=log, reading=reading), placed(points, hull, along, log=log), reading)


def has_place(points: pd.DataFrame, along: Along) -> bool:
    """Whether anything can be drawn along an axis: whether a cost, or a time, is known."""
    return bool(len(points)) and bool(points[along].notna().any())


def scatter(points: pd.DataFrame, along: Along, *, log: bool, reading: str, move: bool = False) -> Drawing:
    """Returns the chart of `cost_quality`; its rows come from `placed`.

    Args:
        points: as in `cost_quality`; here only their kinds count.
        along: what is drawn to the right.
        log: whether that axis is logarithmic.
        reading: what it shows, in a sentence.
        move: whether an arrow leads from one mark to another; its row is that of `arrow`, source `move`.
    """
    made = dict(_scatter(_kinds(points), move=move))
    axis = {"format": "$.2~g" if along == "cost" else ".2~g", "tickCount": 6, "labelSeparation": 8}
    scale: dict[str, Any] = {"type": "log" if log else "linear", "nice": False, "padding": PADDING_PX}
    scale |= {} if log else {"zero": False}
    title = _TITLES[along].format(", log scale" if log else "")
    across = {"title": title, "scale": scale, "axis": axis}

    def turned(layer: Mapping[str, Any]) -> dict[str, Any]:
        encoding = layer["encoding"]
        return {**layer, "encoding": {**encoding, "x": {**encoding["x"], **across}}}

    return Drawing({**made, "description": reading, "layer": [turned(layer) for layer in made["layer"]]})


@lru_cache(maxsize=32)
def _scatter(kinds: tuple[str, ...], *, move: bool) -> Mapping[str, Any]:
    """The spec for marks of some kinds, its axis to the right still without a scale."""
    source, corners = alt.NamedData("points"), alt.NamedData("hull")
    upright = alt.Scale(nice=False, zero=False, padding=PADDING_UPRIGHT_PX)
    x, shares = alt.X("x:Q"), alt.Axis(format=".0%")
    y = alt.Y("quality:Q", title=_SCORE, scale=upright, axis=shares)
    low = alt.Y("low:Q", title=_SCORE, scale=upright, axis=shares)
    colour, grey = _colour(), _COLOURS[REFERENCE]
    ribbon = alt.Chart(corners).mark_area(opacity=0.22, color=grey).encode(x=x, y=low, y2="high:Q")
    line = alt.Chart(corners).mark_line(strokeDash=[6, 4], color=grey).encode(x=x, y=y)
    bars = alt.Chart(source).mark_rule(strokeWidth=1.5).encode(x=x, y=low, y2="high:Q", color=colour)
    spread = alt.Chart(source).mark_rule(strokeWidth=1.5).encode(x=alt.X("x_low:Q"), x2="x_high:Q", y=y, color=colour)
    marks = (
        _marks(source, kinds).encode(x=x, y=y).add_params(alt.selection_interval(name="brush", encodings=["x", "y"]))
    )
    moved = (
        [_arrow().encode(x=x, y=y), _head().encode(y=alt.Y("quality_head:Q", title=_SCORE, scale=upright, axis=shares))]
        if move
        else []
    )
    names = alt.Chart(source).mark_text(fontSize=TEXT_PX, color=INK).encode(x=x, y=y, text="label:N")
    made = _finished(alt.layer(ribbon, line, spread, bars, *moved, marks, names), "").spec
    *below, named = made["layer"]
    return {**made, "layer": [*below, *(_at(named, place) for place in range(len(PLACES)))]}


def _at(names: Mapping[str, Any], place: int) -> Mapping[str, Any]:
    """The layer of names that stand at one place: Altair would take a tenth of a second to make each anew."""
    align, dx, dy = PLACES[place]
    mark = {**names["mark"], "align": align, "dx": dx, "dy": dy}
    return {**names, "mark": mark, "transform": [{"filter": f"datum.place === {place}"}]}


def _arrow() -> Any:
    return alt.Chart(alt.NamedData("move")).mark_rule(strokeWidth=2, color=INK).encode(x2="x2:Q", y2="quality2:Q")


def _head() -> Any:
    return (
        alt.Chart(alt.NamedData("move"))
        .mark_point(shape="triangle", filled=True, size=130, color=INK, opacity=1)
        .encode(x=alt.X("x_head:Q"), angle=alt.Angle("turn:Q", scale=None))
    )


def quality_alone(points: pd.DataFrame, reading: str) -> Drawing:
    """Returns the chart of quality alone, a row a strategy; its rows come from `placed_alone`."""
    source = alt.NamedData("points")
    y = alt.Y("label:N", title=None, sort=alt.EncodingSortField("quality", order="descending"))
    axis, scale = alt.Axis(format=".0%"), alt.Scale(zero=False, nice=False, padding=PADDING_PX)
    x = alt.X("quality:Q", title=_SCORE, scale=scale, axis=axis)
    bars = (
        alt.Chart(source)
        .mark_rule(strokeWidth=1.5)
        .encode(
            x=alt.X("low:Q", title=_SCORE, scale=scale, axis=axis),
            x2="high:Q",
            y=y,
            color=_colour(),
        )
    )
    marks = _marks(source, _kinds(points)).encode(x=x, y=y)
    return _finished(alt.layer(bars, marks), reading, height=max(120, 24 * len(points)))


def model_mix(mix: pd.DataFrame, *, reading: str) -> Picture:
    """Which share of the requests goes to which model, a bar for each strategy.

    Args:
        mix: columns strategy, model, share, rank (of the model) and share_text.
        reading: one sentence, also the description for screen readers.
    """
    models = list(dict.fromkeys(mix["model"]))
    shades = [PAPER if name == "no answer" else shade(place, len(models)) for place, name in enumerate(models)]
    strategies = list(dict.fromkeys(mix["strategy"]))
    chart = (
        alt.Chart(alt.NamedData("mix"))
        .mark_bar(stroke="#767676", strokeWidth=0.5)
        .encode(
            y=alt.Y("strategy:N", title=None, sort=strategies, axis=alt.Axis(labelLimit=220)),
            x=alt.X("share:Q", title="share of requests", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "model:N",
                sort=models,
                legend=alt.Legend(
                    title=None, orient="bottom", columns=2 if max(map(len, models)) <= _SHORT else 1, labelLimit=320
                ),
                scale=alt.Scale(domain=models, range=shades),
            ),
            order=alt.Order("rank:Q"),
            tooltip=["strategy:N", "model:N", alt.Tooltip("share_text:N", title="share")],
        )
    )
    return Picture(_finished(chart, reading, height=max(60, 34 * len(strategies))), {"mix": mix}, reading)


def _finished(chart: Any, reading: str, height: int = HEIGHT) -> Drawing:
    made = (
        chart.add_params(alt.param(name="selected", value=[]))
        .properties(height=height, description=reading)
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=TEXT_PX, titleFontSize=TEXT_PX, titleFontWeight="normal", titlePadding=10)
        .configure_legend(labelFontSize=TEXT_PX)
    )
    return Drawing(made.to_dict(validate=False))


def _kinds(points: pd.DataFrame) -> tuple[str, ...]:
    return tuple(kind for kind in _KINDS if kind in set(points["kind"]))


def _marks(source: Any, kinds: tuple[str, ...]) -> Any:
    colours = alt.Scale(domain=list(kinds), range=[_COLOURS[kind] for kind in kinds])
    shapes = alt.Scale(domain=list(kinds), range=[_SHAPES[kind] for kind in kinds])
    return (
        alt.Chart(source)
        .mark_point(size=130, opacity=1, strokeWidth=2.5)
        .encode(
            fill=alt.Fill("kind:N", scale=colours, legend=alt.Legend(title=None, orient="top")),
            shape=alt.Shape("kind:N", scale=shapes),
            stroke=_outline(),
            tooltip=_tooltip(),
        )
    )


def _colour() -> Any:
    """The colour of a kind where no legend is to tell it a second time."""
    chosen = alt.when(f"datum.kind === '{MODEL}'").then(alt.value(_COLOURS[MODEL]))
    for kind in (STRATEGY, TODAY):
        chosen = chosen.when(f"datum.kind === '{kind}'").then(alt.value(_COLOURS[kind]))
    return chosen.otherwise(alt.value(_COLOURS[REFERENCE]))


def _outline() -> Any:
    return alt.condition("indexof(selected, datum.name) >= 0", alt.value(INK), alt.value("transparent"))


def _tooltip() -> list[Any]:
    return [
        alt.Tooltip("label:N", title="name"),
        alt.Tooltip("quality_text:N", title="mean score"),
        alt.Tooltip("delta_text:N", title="against the baseline"),
        alt.Tooltip("cost_text:N", title="per 1,000 requests"),
        alt.Tooltip("time_text:N", title="p50 / p95"),
    ]


def shade(place: int, count: int) -> str:
    """Returns a colour of cividis: neighbours differ in lightness, for every kind of colour vision and in grey.

    Args:
        place: from 0 (dark) on.
        count: how many colours there are, up to the lightest.
    """
    return _CIVIDIS[round(place * (len(_CIVIDIS) - 1) / max(1, count - 1))]
