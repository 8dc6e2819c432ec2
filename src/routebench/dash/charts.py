"""The pictures: Altair charts that draw with no network, readable without colour."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd

# Altair imports jsonschema, which builds a grammar of web addresses for a second, for a check that no chart needs.
_LEFT_OUT = "rfc3987_syntax" not in sys.modules
if _LEFT_OUT:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
import altair as alt  # noqa: E402 - after the grammar is left out

if _LEFT_OUT:
    del sys.modules["rfc3987_syntax"]

MODEL, STRATEGY, TODAY, REFERENCE = "model", "strategy", "today", "reference"
_KINDS = (MODEL, STRATEGY, TODAY, REFERENCE)
_COLOURS = {MODEL: "#0072B2", STRATEGY: "#D55E00", TODAY: "#1b1b1b", REFERENCE: "#767676"}
_CIVIDIS = ("#00204d", "#213d6b", "#414d6b", "#5e5e6f", "#7c7b78", "#9b8f76", "#bcae6c", "#dcc95f", "#ffea46")
_NO_ANSWER = "#ffffff"
_SHAPES = {MODEL: "circle", STRATEGY: "diamond", TODAY: "square", REFERENCE: "triangle-up"}
_WIDTH, _HEIGHT = 880, 440
_LETTER_PX, _LINE_PX = 6.6, 15
_PLACES = (("left", 9, -9), ("right", -9, -9), ("left", 9, 14), ("right", -9, 14))
"""Where a name may stand: its alignment, and pixels from its mark to the right and down."""


def cost_quality(points: pd.DataFrame, hull: pd.DataFrame, *, title: str, reading: str) -> alt.LayerChart:
    """Cost against quality: models, strategies and references with their intervals, and the hull of single models.

    Where no cost is known, quality alone.

    Args:
        points: columns name, kind, cost, cost_low, cost_high, quality, low, high; costs in US dollars for 1,000
            requests.
        hull: columns cost, quality, low, high: what a fixed mix of two single models reaches, with its ribbon.
        title: of the chart.
        reading: one sentence, also the chart's description for screen readers.
    """
    if not len(points) or points["cost"].isna().any():
        return _quality_alone(points, title=title, reading=reading)
    costs, qualities = _cost_domain(points, hull), _quality_domain(points)
    points = _named(points, costs, qualities)
    dollars = alt.Scale(type="log", domain=list(costs), nice=False)
    x = alt.X("cost:Q", title="cost per 1,000 requests (USD, log scale)", scale=dollars, axis=_dollars())
    scale = alt.Scale(domain=list(qualities), nice=False, zero=False)
    y = alt.Y("quality:Q", title="mean score", scale=scale, axis=alt.Axis(format=".0%"))
    ribbon = (
        alt.Chart(hull)
        .mark_area(opacity=0.25, color=_COLOURS[REFERENCE], clip=True)
        .encode(x=x, y=alt.Y("low:Q", title="mean score", scale=scale), y2="high:Q")
    )
    line = alt.Chart(hull).mark_line(strokeDash=[6, 4], color=_COLOURS[REFERENCE], clip=True).encode(x=x, y=y)
    look = _look(points)
    upright = (
        alt.Chart(points)
        .mark_rule(strokeWidth=1.5, clip=True)
        .encode(x=x, y=alt.Y("low:Q", title="mean score", scale=scale), y2="high:Q", color=look["color"])
    )
    across = (
        alt.Chart(points)
        .mark_rule(strokeWidth=1.5, clip=True)
        .encode(x=alt.X("cost_low:Q", scale=dollars), x2="cost_high:Q", y=y, color=look["color"])
    )
    marks = alt.Chart(points).mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, tooltip=_tooltip(), **look)
    names = [
        alt.Chart(points[points["place"] == number])
        .mark_text(align=align, dx=dx, dy=dy, fontSize=12, color="#1b1b1b")
        .encode(x=x, y=y, text="name:N")
        for number, (align, dx, dy) in enumerate(_PLACES)
    ]
    return _finished(alt.layer(ribbon, line, upright, across, marks, *names), title, reading)


def _quality_alone(points: pd.DataFrame, *, title: str, reading: str) -> alt.LayerChart:
    y = alt.Y("name:N", title=None, sort=alt.EncodingSortField("quality", order="descending"))
    axis = alt.Axis(format=".0%")
    x = alt.X("quality:Q", title="mean score", scale=alt.Scale(zero=False), axis=axis)
    look = _look(points)
    bars = (
        alt.Chart(points)
        .mark_rule(strokeWidth=1.5)
        .encode(x=alt.X("low:Q", scale=alt.Scale(zero=False), axis=axis), x2="high:Q", y=y, color=look["color"])
    )
    marks = alt.Chart(points).mark_point(filled=True, size=110, opacity=1).encode(x=x, y=y, **look)
    return _finished(alt.layer(bars, marks), title, reading)


def _look(points: pd.DataFrame) -> dict[str, Any]:
    kinds = [kind for kind in _KINDS if kind in set(points["kind"])]
    return {
        "color": alt.Color(
            "kind:N",
            scale=alt.Scale(domain=kinds, range=[_COLOURS[kind] for kind in kinds]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        "shape": alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[_SHAPES[kind] for kind in kinds])),
    }


def _tooltip() -> list[Any]:
    return [
        alt.Tooltip("name:N"),
        alt.Tooltip("quality:Q", format=".1%"),
        alt.Tooltip("low:Q", format=".1%", title="95% from"),
        alt.Tooltip("high:Q", format=".1%", title="95% to"),
        alt.Tooltip("cost:Q", format="$.3g", title="USD per 1,000"),
    ]


def _finished(chart: alt.LayerChart, title: str, reading: str) -> alt.LayerChart:
    finished: alt.LayerChart = (
        chart.properties(width=_WIDTH, height=_HEIGHT, title=_title(title, reading), description=reading)
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=13, gridOpacity=0.4)
    )
    return finished


def model_mix(mix: pd.DataFrame, *, title: str, reading: str) -> alt.Chart:
    """Which share of the requests goes to which model, a bar for each strategy.

    Args:
        mix: columns strategy, model, share.
        title: of the chart.
        reading: one sentence, also the description for screen readers.
    """
    models = list(dict.fromkeys(mix["model"]))
    shades = [_NO_ANSWER if name == "no answer" else _shade(place, len(models)) for place, name in enumerate(models)]
    chart: alt.Chart = (
        alt.Chart(mix)
        .mark_bar(stroke="#767676", strokeWidth=0.5)
        .encode(
            y=alt.Y("strategy:N", title=None, sort=list(dict.fromkeys(mix["strategy"]))),
            x=alt.X("share:Q", title="share of requests", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "model:N",
                sort=models,
                legend=alt.Legend(title=None, orient="top"),
                scale=alt.Scale(domain=models, range=shades),
            ),
            order=alt.Order("rank:Q"),
            tooltip=["strategy:N", "model:N", alt.Tooltip("share:Q", format=".0%")],
        )
        .transform_calculate(rank=f"indexof({models!r}, datum.model)")
        .properties(width=_WIDTH, title=_title(title, reading), description=reading)
        .configure_view(stroke=None)
    )
    return chart


def svg(chart: Any) -> str:
    """Returns the chart as SVG text, drawn here and now."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def offline(chart: Any) -> Any:
    """Returns the chart as a widget that draws with no network in JupyterLab."""
    alt.JupyterChart.enable_offline()
    return alt.JupyterChart(chart)


def _shade(place: int, count: int) -> str:
    """Cividis from dark to light: neighbours differ in lightness, for every kind of colour vision and in grey."""
    return _CIVIDIS[round(place * (len(_CIVIDIS) - 1) / max(1, count - 1))]


def _title(title: str, reading: str) -> alt.Title:
    return alt.Title(title, anchor="start", **({"subtitle": reading} if reading else {}))


def _named(points: pd.DataFrame, costs: tuple[float, float], qualities: tuple[float, float]) -> pd.DataFrame:
    """Gives every name a free place beside its mark, column `place`; -1 where all four are taken."""
    x = np.log(points["cost"] / costs[0]) / np.log(costs[1] / costs[0]) * _WIDTH
    y = (qualities[1] - points["quality"]) / (qualities[1] - qualities[0]) * _HEIGHT
    taken = [(left - 7, top - 7, left + 7, top + 7) for left, top in zip(x, y, strict=True)]
    places = np.full(len(points), -1)
    # What is compared is named first, and the models after it.
    for row in sorted(range(len(points)), key=lambda one: points["kind"].iloc[one] == MODEL):
        length = _LETTER_PX * len(points["name"].iloc[row])
        for place, (align, dx, dy) in enumerate(_PLACES):
            left = x.iloc[row] + dx - (length if align == "right" else 0)
            middle = y.iloc[row] + dy
            box = (left, middle - _LINE_PX / 2, left + length, middle + _LINE_PX / 2)
            inside = box[0] >= 0 and box[2] <= _WIDTH and box[1] >= 0 and box[3] <= _HEIGHT
            others = (one for number, one in enumerate(taken) if number != row)
            if inside and not any(_overlap(box, one) for one in others):
                places[row] = place
                taken.append(box)
                break
    return points.assign(place=places)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _cost_domain(points: pd.DataFrame, hull: pd.DataFrame) -> tuple[float, float]:
    costs = pd.concat([points["cost"], hull["cost"]])
    return float(costs.min()) / 1.5, float(costs.max()) * 1.5


def _quality_domain(points: pd.DataFrame) -> tuple[float, float]:
    low, high = float(points["low"].min()), float(points["high"].max())
    room = max(0.02, 0.08 * (high - low))
    return max(0.0, low - room), min(1.0, high + room)


def _dollars() -> alt.Axis:
    return alt.Axis(format="$.2~g", tickCount=6)
