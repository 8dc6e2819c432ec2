"""The picture of a blind batch: how far each side is preferred, or how each model scores."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from routebench.dash.grading.result import Graded
from routebench.dash.parts import INK
from routebench.evaluate.verdicts import EVERYBODY

_MODEL, _REFERENCE = "#0072B2", "#767676"
_ROW_PX = 34


def picture_rows(result: Graded) -> pd.DataFrame:
    """Returns what is drawn: name, value, low, high, told; an unknown interval is a bare point."""
    columns = ["name", "value", "low", "high", "told"]
    if result.kind == "pairwise":
        # Of many models each against all others: every pair would be a page of its own.
        several = [one for one in result.standings if one.against == EVERYBODY]
        shown = [(f"{one.name} v. {one.against}", one.preferred, one.n, "pairs") for one in several or result.standings]
    else:
        shown = [(name, mean, n, "answers") for name, (n, mean) in result.scores.items()]
    rows = []
    for name, mean, n, unit in shown:
        low, high = mean.ci95 or (mean.mean, mean.mean)
        rows.append((name, mean.mean, low, high, f"{n} {unit}"))
    return pd.DataFrame(rows, columns=columns)


def standing_chart(result: Graded, n_rows: int) -> Any:
    """Returns points with their intervals, one a row, and for pairs the line of no preference."""
    pairs = result.kind == "pairwise"
    title = "preferred, ties half" if pairs else "mean score"
    scale = alt.Scale(domain=[0, 1])
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=320, labelFontSize=13))
    x = alt.X(
        "value:Q", title=title, scale=scale, axis=alt.Axis(format="%", tickCount=10, labelFontSize=13, titleFontSize=13)
    )
    base = alt.Chart(alt.NamedData("sides"))
    layers = [
        base.mark_rule(strokeWidth=2, color=_MODEL).encode(y=y, x=alt.X("low:Q", scale=scale), x2="high:Q"),
        base.mark_point(filled=True, size=110, color=_MODEL, opacity=1).encode(
            y=y,
            x=x,
            tooltip=[
                alt.Tooltip("name:N", title="side"),
                alt.Tooltip("value:Q", title=title, format=".1%"),
                alt.Tooltip("low:Q", format=".1%"),
                alt.Tooltip("high:Q", format=".1%"),
                alt.Tooltip("told:N", title="from"),
            ],
        ),
        base.mark_text(align="left", dx=10, dy=-9, fontSize=13, color=INK).encode(y=y, x=x, text="told:N"),
    ]
    if pairs:
        middle = alt.Chart(alt.NamedData("middle"))
        layers.insert(0, middle.mark_rule(strokeDash=[5, 4], color=_REFERENCE).encode(x=alt.X("at:Q", scale=scale)))
    return alt.layer(*layers).properties(width="container", height=_ROW_PX * max(1, n_rows))


def middle_rows() -> pd.DataFrame:
    """Returns where neither side is preferred."""
    return pd.DataFrame({"at": [0.5]})
