"""The pictures: Altair charts that draw with no network, readable without colour, their rows fed by name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd

# Altair imports jsonschema, which builds a grammar of web addresses for a second, for a check that no chart needs.
_LEFT_OUT = "rfc3987_syntax" not in sys.modules
if _LEFT_OUT:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
import altair as alt  # noqa: E402 - after the grammar is left out

if _LEFT_OUT:
    del sys.modules["rfc3987_syntax"]

from routebench.dash.parts.chart import INK, PAPER, rows, still  # noqa: E402 - imports altair's neighbours too

MODEL, STRATEGY, TODAY, REFERENCE = "model", "strategy", "today", "reference"
Along = Literal["cost", "p50", "p95"]
"""What quality is drawn against: cost, or a quantile of the time to the answer."""

WIDTH, HEIGHT = 880, 400
_KINDS = (MODEL, STRATEGY, TODAY, REFERENCE)
_COLOURS = {MODEL: "#0072B2", STRATEGY: "#D55E00", TODAY: INK, REFERENCE: "#767676"}
_SHAPES = {MODEL: "circle", STRATEGY: "diamond", TODAY: "square", REFERENCE: "triangle-up"}
_CIVIDIS = ("#00204d", "#213d6b", "#414d6b", "#5e5e6f", "#7c7b78", "#9b8f76", "#bcae6c", "#dcc95f", "#ffea46")
_BESIDE_PLOT_PX = 76
_PADDING_PX, _PADDING_UPRIGHT_PX = 28, 18
_MARK_PX = 8
_TEXT_PX, _LETTER_PX, _LINE_PX = 13, 7.0, 16
_PLACES = (
    *(("left", 10, -10), ("right", -10, -10), ("left", 10, 15), ("right", -10, 15)),
    *(
        ("center", 0, -19),
        ("center", 0, 24),
        ("right", -10, -27),
        ("left", 10, -27),
        ("right", -10, 32),
        ("left", 10, 32),
    ),
)
"""Where a name may stand: its alignment, and pixels from its mark to the right and down."""
_NOWHERE = -1
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
    axis = {"format": "$.2~g" if along == "cost" else ".2~g", "tickCount": 6}
    scale: dict[str, Any] = {"type": "log" if log else "linear", "nice": False, "padding": _PADDING_PX}
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
    upright = alt.Scale(nice=False, zero=False, padding=_PADDING_UPRIGHT_PX)
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
    names = [_names(source, place).encode(x=x, y=y) for place in range(len(_PLACES))]
    moved = (
        [_arrow().encode(x=x, y=y), _head().encode(y=alt.Y("quality_head:Q", title=_SCORE, scale=upright, axis=shares))]
        if move
        else []
    )
    return _finished(alt.layer(ribbon, line, spread, bars, *moved, marks, *names), "").spec


def placed(
    points: pd.DataFrame, hull: pd.DataFrame, along: Along, *, log: bool, width: int = WIDTH
) -> dict[str, pd.DataFrame]:
    """Returns the rows of `scatter`: where marks stand, and where their names do not hide each other.

    Args:
        points: as in `cost_quality`.
        hull: likewise.
        along: what is drawn to the right.
        log: whether that axis is logarithmic; what is 0 then has no place.
        width: of the whole picture, in pixels.
    """
    low, high = ("cost_low", "cost_high") if along == "cost" else (along, along)
    found = points.assign(x=points[along], x_low=points[low], x_high=points[high])
    found = found[found["x"] > 0 if log else found["x"].notna()].reset_index(drop=True)
    if log:
        found["x_low"] = found["x_low"].where(found["x_low"] > 0, found["x"])
    corners = hull.assign(x=hull["cost"])
    corners = corners[corners["x"] > 0] if log else corners
    if along != "cost":
        corners = corners.iloc[:0]
    return {"points": _named(found, corners, log=log, width=width), "hull": corners}


def arrow(points: pd.DataFrame, start: str, end: str, *, log: bool) -> pd.DataFrame:
    """Returns the row of the arrow between two marks of `placed`, none where one of them is not drawn.

    Columns x, quality, x2, quality2, and where its head stands and how it is turned: x_head, quality_head, turn.
    """
    columns = ["x", "quality", "x2", "quality2", "x_head", "quality_head", "turn"]
    at = dict(zip(points["name"], points.to_dict("records"), strict=True))
    if start not in at or end not in at or start == end:
        return pd.DataFrame(columns=columns)
    one, other = at[start], at[end]
    right, down = other["left"] - one["left"], other["top"] - one["top"]
    length = float(np.hypot(right, down))
    if length <= 3 * _MARK_PX:
        return pd.DataFrame(columns=columns)
    # Just before the mark that it leads to, so that neither hides the other.
    reached = 1 - 2 * _MARK_PX / length
    ratio = other["x"] / one["x"] if log else 1.0
    x = one["x"] * ratio**reached if log else one["x"] + reached * (other["x"] - one["x"])
    quality = one["quality"] + reached * (other["quality"] - one["quality"])
    turn = float(np.degrees(np.arctan2(right, -down)))
    return pd.DataFrame([(one["x"], one["quality"], other["x"], other["quality"], x, quality, turn)], columns=columns)


def _arrow() -> Any:
    return alt.Chart(alt.NamedData("move")).mark_rule(strokeWidth=2, color=INK).encode(x2="x2:Q", y2="quality2:Q")


def _head() -> Any:
    return (
        alt.Chart(alt.NamedData("move"))
        .mark_point(shape="triangle", filled=True, size=130, color=INK, opacity=1)
        .encode(x=alt.X("x_head:Q"), angle=alt.Angle("turn:Q", scale=None))
    )


def placed_alone(points: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the picture of quality alone, the best first."""
    return points.sort_values("quality", ascending=False, kind="stable")


def quality_alone(points: pd.DataFrame, reading: str) -> Drawing:
    """Returns the chart of quality alone, a row a strategy; its rows come from `placed_alone`."""
    source = alt.NamedData("points")
    y = alt.Y("label:N", title=None, sort=alt.EncodingSortField("quality", order="descending"))
    axis, scale = alt.Axis(format=".0%"), alt.Scale(zero=False, nice=False, padding=_PADDING_PX)
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
    shades = [PAPER if name == "no answer" else _shade(place, len(models)) for place, name in enumerate(models)]
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
        .configure_axis(labelFontSize=_TEXT_PX, titleFontSize=_TEXT_PX, titleFontWeight="normal", titlePadding=10)
        .configure_legend(labelFontSize=_TEXT_PX)
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


def _names(source: Any, place: int) -> Any:
    align, dx, dy = _PLACES[place]
    return (
        alt.Chart(source)
        .transform_filter(f"datum.place === {place}")
        .mark_text(align=align, dx=dx, dy=dy, fontSize=_TEXT_PX, color=INK)
        .encode(text="label:N")
    )


def _shade(place: int, count: int) -> str:
    """Cividis from dark to light: neighbours differ in lightness, for every kind of colour vision and in grey."""
    return _CIVIDIS[round(place * (len(_CIVIDIS) - 1) / max(1, count - 1))]


def _named(points: pd.DataFrame, hull: pd.DataFrame, *, log: bool, width: int) -> pd.DataFrame:
    """Gives every name a free place beside its mark, column `place`; -1 where all are taken."""
    across = max(200, width - _BESIDE_PLOT_PX)
    x = _pixels(points["x"], (points["x_low"], points["x_high"], hull["x"]), across, _PADDING_PX, log=log)
    bounds = (points["low"], points["high"], hull["low"], hull["high"], points["quality"])
    y = HEIGHT - _pixels(points["quality"], bounds, HEIGHT, _PADDING_UPRIGHT_PX, log=False)
    taken = [(left - _MARK_PX, top - _MARK_PX, left + _MARK_PX, top + _MARK_PX) for left, top in zip(x, y, strict=True)]
    places = np.full(len(points), _NOWHERE)
    # What is compared is named first, before all the pick, and the models after it.
    first = [(not pick, kind == MODEL) for pick, kind in zip(points["is_pick"], points["kind"], strict=True)]
    for row in sorted(range(len(points)), key=first.__getitem__):
        length = _LETTER_PX * len(points["label"].iloc[row])
        for place, (align, dx, dy) in enumerate(_PLACES):
            left = x[row] + dx - {"left": 0.0, "center": length / 2, "right": length}[align]
            middle = y[row] + dy
            box = (left, middle - _LINE_PX / 2, left + length, middle + _LINE_PX / 2)
            inside = box[0] >= 0 and box[2] <= across and box[1] >= 0 and box[3] <= HEIGHT
            others = (one for number, one in enumerate(taken) if number != row)
            if inside and not any(_overlap(box, one) for one in others):
                places[row] = place
                taken.append(box)
                break
    return points.assign(place=places, left=x, top=y)


def _pixels(values: Any, bounds: tuple[Any, ...], length: float, padding: float, *, log: bool) -> Any:
    """Where values stand on an axis that holds all bounds, with padding at both ends."""
    turned = np.log if log else np.asarray
    every = np.concatenate([np.asarray(one, dtype=float) for one in bounds])
    every = every[~np.isnan(every)]
    if not len(every):
        return np.full(len(values), length / 2)
    low, high = turned(every.min()), turned(every.max())
    if high <= low:
        return np.full(len(values), length / 2)
    return padding + (length - 2 * padding) * (turned(np.asarray(values, dtype=float)) - low) / (high - low)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
