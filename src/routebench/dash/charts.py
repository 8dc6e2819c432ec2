"""The pictures: Altair charts that draw with no network, readable without colour."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

MODEL, STRATEGY, REFERENCE = "model", "strategy", "reference"
_COLOURS = {MODEL: "#0072B2", STRATEGY: "#D55E00", REFERENCE: "#767676"}
_CIVIDIS = ("#00204d", "#213d6b", "#414d6b", "#5e5e6f", "#7c7b78", "#9b8f76", "#bcae6c", "#dcc95f", "#ffea46")
_NO_ANSWER = "#ffffff"
_SHAPES = {MODEL: "circle", STRATEGY: "diamond", REFERENCE: "triangle-up"}


def cost_quality(points: pd.DataFrame, hull: pd.DataFrame, *, title: str, reading: str) -> alt.LayerChart:
    """Cost against quality: models, strategies and references with their intervals, and the hull of single models.

    Args:
        points: columns name, kind, cost, quality, low, high; cost in US dollars for 1,000 requests.
        hull: columns cost, quality, low, high: what a fixed mix of two single models reaches, with its ribbon.
        title: of the chart.
        reading: one sentence, also the chart's description for screen readers.
    """
    points = _placed(points)
    x = alt.X(
        "cost:Q", title="cost per 1,000 requests (USD, log scale)", scale=_cost_scale(points, hull), axis=_dollars()
    )
    y = alt.Y("quality:Q", title="mean score", scale=_quality_scale(points), axis=alt.Axis(format=".0%"))
    ribbon = (
        alt.Chart(hull)
        .mark_area(opacity=0.25, color=_COLOURS[REFERENCE])
        .encode(x=x, y=alt.Y("low:Q", title="mean score", scale=_quality_scale(points)), y2="high:Q")
    )
    line = alt.Chart(hull).mark_line(strokeDash=[6, 4], color=_COLOURS[REFERENCE]).encode(x=x, y=y)
    kinds = [kind for kind in (MODEL, STRATEGY, REFERENCE) if kind in set(points["kind"])]
    look = {
        "color": alt.Color(
            "kind:N",
            scale=alt.Scale(domain=kinds, range=[_COLOURS[kind] for kind in kinds]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        "shape": alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=[_SHAPES[kind] for kind in kinds])),
    }
    bars = (
        alt.Chart(points)
        .mark_rule(strokeWidth=1.5)
        .encode(
            x=x, y=alt.Y("low:Q", title="mean score", scale=_quality_scale(points)), y2="high:Q", color=look["color"]
        )
    )
    marks = (
        alt.Chart(points)
        .mark_point(filled=True, size=120, opacity=1)
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("name:N"),
                alt.Tooltip("quality:Q", format=".1%"),
                alt.Tooltip("low:Q", format=".1%", title="95% from"),
                alt.Tooltip("high:Q", format=".1%", title="95% to"),
                alt.Tooltip("cost:Q", format="$.3g", title="USD per 1,000"),
            ],
            **look,
        )
    )
    names = [
        alt.Chart(points[points["side"] == side])
        .mark_text(align=align, dx=dx, dy=-9, fontSize=12, color="#1b1b1b")
        .encode(x=x, y=y, text="name:N")
        for side, align, dx in (("left", "right", -8), ("right", "left", 8))
    ]
    chart: alt.LayerChart = (
        alt.layer(ribbon, line, bars, marks, *names)
        .properties(width=620, height=360, title=_title(title, reading), description=reading)
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=13, gridOpacity=0.4)
    )
    return chart


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
        .properties(width=620, title=_title(title, reading), description=reading)
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


def _placed(points: pd.DataFrame) -> pd.DataFrame:
    """Names of points in the right half stand to the left of their mark, so that none is cut off."""
    cost = np.log10(points["cost"].clip(lower=np.finfo(float).tiny))
    middle = (cost.min() + cost.max()) / 2
    return points.assign(side=np.where(cost > middle, "left", "right"))


def _cost_scale(points: pd.DataFrame, hull: pd.DataFrame) -> alt.Scale:
    costs = pd.concat([points["cost"], hull["cost"]])
    costs = costs[costs > 0]
    return alt.Scale(type="log", domain=[float(costs.min()) / 1.5, float(costs.max()) * 1.5], nice=False)


def _quality_scale(points: pd.DataFrame) -> alt.Scale:
    low, high = float(points["low"].min()), float(points["high"].max())
    room = max(0.02, 0.08 * (high - low))
    return alt.Scale(domain=[max(0.0, low - room), min(1.0, high + room)], nice=False, zero=False)


def _dollars() -> alt.Axis:
    return alt.Axis(format="$.2~g", tickCount=6)
