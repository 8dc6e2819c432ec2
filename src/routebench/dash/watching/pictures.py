"""The latest calls as a picture: a row a model, latency over time, failures as crosses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from routebench.dash.format import seconds
from routebench.dash.parts import INK

_ROW_PX = 64
_MODEL = "#0072B2"
_GUIDE = "#767676"
_STEPS_S = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)


def latencies(models: Sequence[str]) -> Any:
    """Returns the picture for some models; it reads `points` and `guides`, as `frames` makes them."""
    points, guides = alt.NamedData("points"), alt.NamedData("guides")
    # One scale for all rows, so that a row's height means the same everywhere: the frames hold it, from 0 to 1.
    offset = alt.YOffset("height:Q", scale=alt.Scale(domain=[0, 1], reverse=True, padding=0))
    y = alt.Y("model:N", title=None, sort=list(models), axis=alt.Axis(labelLimit=180, domain=False, ticks=False))
    x = alt.X("at_s:Q", title="seconds since the run began", axis=alt.Axis(grid=False, tickCount=8))
    lines = alt.Chart(guides).mark_rule(color=_GUIDE, strokeDash=[2, 4], strokeWidth=0.7).encode(y=y, yOffset=offset)
    labels = (
        alt.Chart(guides)
        .mark_text(align="right", baseline="bottom", dy=-1, dx=-2, fontSize=11, color=INK)
        .encode(y=y, yOffset=offset, x=alt.value("width"), text="label:N")
    )
    tips = [
        alt.Tooltip("model:N"),
        alt.Tooltip("case:N"),
        alt.Tooltip("latency_s:Q", title="latency, s", format=".3f"),
        alt.Tooltip("what:N", title="what happened"),
    ]
    answered = (
        alt.Chart(points)
        .mark_point(shape="circle", filled=True, size=18, opacity=0.6, color=_MODEL)
        .encode(x=x, y=y, yOffset=offset, tooltip=tips)
        .transform_filter("datum.kind === 'answered'")
    )
    failed = (
        alt.Chart(points)
        .mark_point(shape="cross", angle=45, filled=True, size=70, color=INK)
        .encode(x=x, y=y, yOffset=offset, tooltip=tips)
        .transform_filter("datum.kind === 'failed'")
    )
    return alt.layer(lines, labels, answered, failed).properties(height=_ROW_PX * max(1, len(models)) + 4)


def frames(points: pd.DataFrame, models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Returns what the picture reads: the calls with their height in the row, and the lines of even latencies.

    Heights are logarithms of seconds between the two powers of ten that hold all of them; a call without a latency,
    such as one that was refused, stands at the bottom of its row.
    """
    known = points["latency_s"].to_numpy(dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    low = np.floor(np.log10(known.min())) if len(known) else -1.0
    high = max(np.ceil(np.log10(known.max())), low + 1) if len(known) else 1.0
    with np.errstate(divide="ignore"):
        height = (np.log10(points["latency_s"].to_numpy(dtype=float)) - low) / (high - low)
    placed = points.assign(height=np.where(np.isfinite(height), np.clip(height, 0.03, 0.97), 0.03))
    marks = [step for step in _STEPS_S if low - 1e-9 <= np.log10(step) <= high + 1e-9]
    guides = [
        (name, (np.log10(step) - low) / (high - low), f"{step:g} s" if step >= 0.1 else f"{1000 * step:g} ms")
        for name in models
        for step in marks
    ]
    return {"points": placed, "guides": pd.DataFrame(guides, columns=["model", "height", "label"])}


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
