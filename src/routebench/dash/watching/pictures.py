"""The latest calls as a picture: a row a model, latency over time, failures as crosses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from routebench.dash.charts import Drawing
from routebench.dash.format import seconds
from routebench.dash.parts import INK

_ROW_PX = 64
_MODEL = "#0072B2"
_GUIDE = "#767676"
_STEPS_S = tuple(step * 10.0**power for power in range(-4, 3) for step in (1, 3))
_MARGIN = 0.12
_ROOM = 0.08
_FONT_PX = 13
_MOST_LINES = 3
"""Lines of even latency a row; more would lie on each other's names."""


def latencies(models: Sequence[str]) -> Drawing:
    """Returns the picture for some models; it reads `points` and `guides`, as `frames` makes them."""
    import altair as alt

    points, guides = alt.NamedData("points"), alt.NamedData("guides")
    # One scale for all rows, so that a row's height means the same everywhere: the frames hold it, from 0 to 1.
    offset = alt.YOffset("height:Q", scale=alt.Scale(domain=[0, 1], reverse=True, padding=0))
    font: dict[str, Any] = {"labelFontSize": _FONT_PX, "titleFontSize": _FONT_PX}
    y = alt.Y(
        "model:N",
        title=None,
        sort=list(models),
        scale=alt.Scale(paddingInner=0.35, paddingOuter=0.2),
        axis=alt.Axis(labelLimit=180, domain=False, ticks=False, **font),
    )
    x = alt.X(
        "at_s:Q",
        title="seconds since the run began; heights: latency",
        scale=alt.Scale(nice=False, zero=False),
        axis=alt.Axis(grid=False, tickCount=8, titleFontWeight="normal", **font),
    )
    lines = (
        alt.Chart(guides)
        .mark_rule(color=_GUIDE, strokeDash=[2, 4], strokeWidth=0.7)
        .encode(y=y, yOffset=offset, x=alt.X("from_s:Q"), x2="to_s")
    )
    labels = (
        alt.Chart(guides)
        .mark_text(align="right", baseline="middle", fontSize=12, color=INK)
        .encode(y=y, yOffset=offset, x=x, text="label:N")
    )
    tips = [
        alt.Tooltip("model:N"),
        alt.Tooltip("case:N"),
        alt.Tooltip("latency_s:Q", title="latency, s", format=".3f"),
        alt.Tooltip("what:N", title="what happened"),
    ]
    answered = (
        alt.Chart(points)
        .mark_point(shape="circle", filled=True, size=22, opacity=0.8, color=_MODEL)
        .encode(x=x, y=y, yOffset=offset, tooltip=tips)
        .transform_filter("datum.kind === 'answered'")
    )
    failed = (
        alt.Chart(points)
        .mark_point(shape="cross", angle=45, filled=True, size=70, color=INK)
        .encode(x=x, y=y, yOffset=offset, tooltip=tips)
        .transform_filter("datum.kind === 'failed'")
    )
    drawn = alt.layer(lines, labels, answered, failed).properties(height=_ROW_PX * max(1, len(models)) + 4)
    return Drawing(drawn.configure_view(stroke=None).to_dict())


def frames(points: pd.DataFrame, models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Returns what the picture reads: the calls with their height in the row, and lines of even latencies.

    Heights are logarithms of seconds, from the fastest to the slowest of these calls; a call without a latency, such as
    one that was refused, stands at the bottom of its row.
    """
    latency_s = points["latency_s"].to_numpy(dtype=float)
    known = np.log10(latency_s[latency_s > 0])
    low, high = (known.min(), known.max()) if len(known) else (-1.0, 1.0)
    margin = max(_MARGIN, _MARGIN * (high - low))
    low, high = low - margin, high + margin
    height = np.full(len(points), 0.0)
    height[latency_s > 0] = (known - low) / (high - low)
    inside = [step for step in _STEPS_S if low <= np.log10(step) <= high]
    if len(inside) > _MOST_LINES:
        tens = inside[::2] if np.isclose(np.log10(inside[0]) % 1, 0) else inside[1::2]
        inside = tens[:: math.ceil(len(tens) / _MOST_LINES)]
    start_s, end_s = (points["at_s"].min(), points["at_s"].max()) if len(points) else (0.0, 1.0)
    # Their names stand at the right of the latest call.
    edge_s = end_s + _ROOM * max(end_s - start_s, 1.0)
    ends = (start_s, end_s, edge_s)
    guides = [(name, (np.log10(step) - low) / (high - low), *ends, _label(step)) for name in models for step in inside]
    return {
        "points": points.assign(height=height),
        "guides": pd.DataFrame(guides, columns=["model", "height", "from_s", "to_s", "at_s", "label"]),
    }


def _label(step_s: float) -> str:
    return f"{step_s:g} s" if step_s >= 0.1 else f"{1000 * step_s:g} ms"


def described(points: pd.DataFrame, models: Sequence[str]) -> str:
    """Returns the picture in a sentence."""
    if points.empty:
        return "No call has ended yet."
    failed = int((points["kind"] == "failed").sum())
    middles = points[points["kind"] == "answered"].groupby("model")["latency_s"].median()
    told = ", ".join(f"{name} {seconds(float(middles[name]))}" for name in models if name in middles.index)
    return (
        f"Latency of the latest {len(points)} calls over time, a row a model, {failed} of them failed. "
        f"Middle latency: {told or 'none answered'}."
    )
