"""The pictures of a suite: counts as bars, lengths as a histogram, missing answers as a heat map."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import pandas as pd

from routebench.dash.browsing.state import Count
from routebench.dash.charts import Drawing
from routebench.dash.parts import INK

MOST_BARS = 25
"""Values of a facet that are drawn; the rarer ones stand in the table beside."""
_GREY = "#767676"
_STEP_PX, _FONT_PX = 24, 13
_CELL_PX = 30
# Text on a heat map stands on its own ground, which a dark page does not change.
_ON_DARK, _ON_LIGHT = "#fefefe", "#101010"
_FONT: dict[str, Any] = {"labelFontSize": _FONT_PX, "titleFontSize": _FONT_PX, "titleFontWeight": "normal"}


@cache
def bars(*, by_weight: bool, title: str = "") -> Drawing:
    """Counts of a facet: all cases pale, those that the other choices leave full; what is selected is outlined.

    It reads `counts`, as `bar_rows` makes them.

    Args:
        by_weight: whether the bars are shares of the requests, else numbers of cases.
        title: of the axis of a histogram, whose bars stand side by side; without it they lie one below the other.
    """
    import altair as alt

    upright = bool(title)

    amount = "share of requests (%)" if by_weight else "cases"
    chosen = alt.param(name="selected", value=[])
    names = alt.Axis(labelLimit=170, **_FONT, **({"labelAngle": -40} if upright else {}))
    name: dict[str, Any] = {"field": "name", "type": "nominal", "sort": None, "title": title or None}
    size = {"axis": alt.Axis(tickMinStep=1, tickCount=5, **_FONT), "title": amount}
    tips = [
        alt.Tooltip("name:N", title=title or "value"),
        alt.Tooltip("told:N", title="cases"),
        alt.Tooltip("weight:N"),
    ]

    def layer(field: str, opacity: float, **marks: Any) -> Any:
        if upright:
            where = {"x": alt.X(**name, axis=names), "y": alt.Y(f"{field}:Q", stack=None, **size)}
        else:
            where = {"y": alt.Y(**name, axis=names), "x": alt.X(f"{field}:Q", stack=None, **size)}
        drawn = alt.Chart(alt.NamedData("counts")).mark_bar(color=_GREY, opacity=opacity, cursor="pointer", **marks)
        return drawn.encode(tooltip=tips, **where)

    outlined = alt.condition("indexof(selected, datum.name) >= 0", alt.value(INK), alt.value("transparent"))
    # Where some are chosen, the others of their facet stand back.
    full = alt.condition("!selected.length || indexof(selected, datum.name) >= 0", alt.value(1.0), alt.value(0.0))
    front = layer("shown", 1.0, strokeWidth=2).encode(stroke=outlined, opacity=full)
    made = alt.layer(layer("all", 0.35), front).add_params(chosen)
    made = made.properties(height=230) if upright else made.properties(height=alt.Step(_STEP_PX))
    return Drawing(made.configure_view(stroke=None).to_dict())


def bar_rows(counts: Sequence[Count], *, by_weight: bool, chosen: Collection[str] = ()) -> pd.DataFrame:
    """Rows for `bars`: the first `MOST_BARS` values, and those that are chosen."""
    drawn = [one for place, one in enumerate(counts) if place < MOST_BARS or one.value in chosen]
    rows = [
        (
            one.value,
            100 * one.weight if by_weight else one.n,
            100 * one.shown_weight if by_weight else one.shown,
            f"{one.shown:,} of {one.n:,} shown",
            f"{one.weight:.1%} of the requests",
        )
        for one in drawn
    ]
    return pd.DataFrame(rows, columns=["name", "all", "shown", "told", "weight"])


def lengths_rows(counts: Sequence[Count], *, by_weight: bool) -> pd.DataFrame:
    """Rows for an upright `bars`: every bin between the shortest and the longest prompt."""
    filled = [place for place, one in enumerate(counts) if one.n]
    inside = counts[filled[0] : filled[-1] + 1] if filled else []
    return bar_rows(inside, by_weight=by_weight)


def described(title: str, counts: Sequence[Count]) -> str:
    """Bars in a sentence."""
    told = ", ".join(f"{one.value} {one.n:,}" for one in counts[:MOST_BARS] if one.n)
    more = "" if len(counts) <= MOST_BARS else f", and {len(counts) - MOST_BARS:,} more"
    return f"Cases by {title}: {told}{more}."


def gaps(n_models: int) -> Drawing:
    """Missing answers by model and category: the colour is the share of the cells, the number how many they are.

    It reads `gaps`, as `Cells.gaps` makes them.
    """
    import altair as alt

    x = alt.X("category:N", sort=None, title="category", axis=alt.Axis(labelAngle=-40, labelLimit=150, **_FONT))
    y = alt.Y("model:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, **_FONT))
    colour = alt.Color(
        "share:Q",
        title="share of cells missing",
        scale=alt.Scale(scheme="cividis", domain=[0, 1]),
        legend=alt.Legend(format="%", orient="top", labelFontSize=_FONT_PX, titleFontSize=_FONT_PX, titleLimit=260),
    )
    tips = [alt.Tooltip(f"{name}:N") for name in ("model", "category")]
    tips += [alt.Tooltip(f"{name}:Q", format=",") for name in ("cells", "missing", "failed")]
    outlined = alt.condition("indexof(selected, datum.name) >= 0", alt.value(INK), alt.value("transparent"))
    source = alt.Chart(alt.NamedData("gaps"))
    ground = source.mark_rect(strokeWidth=2, cursor="pointer").encode(
        x=x, y=y, color=colour, stroke=outlined, tooltip=tips
    )
    ink = alt.condition("datum.share < 0.55", alt.value(_ON_DARK), alt.value(_ON_LIGHT))
    numbers = source.mark_text(fontSize=_FONT_PX, cursor="pointer").encode(
        x=x, y=y, text=alt.Text("missing:Q", format=","), color=ink, tooltip=tips
    )
    made = alt.layer(ground, numbers).add_params(alt.param(name="selected", value=[]))
    return Drawing(made.properties(height=_CELL_PX * max(1, n_models)).configure_view(stroke=None).to_dict())


def described_gaps(frame: pd.DataFrame) -> str:
    """The heat map in a sentence."""
    missing, cells = int(frame["missing"].sum()), int(frame["cells"].sum())
    if not missing:
        return f"Every one of {cells:,} answers is there, or its failure is."
    worst = frame.sort_values("missing", ascending=False, kind="stable").head(3)
    told = ", ".join(f"{name} {n:,}" for name, n in zip(worst["name"], worst["missing"], strict=True) if n)
    return f"{missing:,} of {cells:,} answers are missing, most of them: {told}."
