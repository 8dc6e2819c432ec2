"""The tuner's picture: every operating point, the form in hand, where the setting stands, and the mix to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from routebench.dash.parts import INK, PAPER
from routebench.dash.tuning.frames import reached, told
from routebench.dash.tuning.names import HEIGHT_PX, PADDING_PX, PADDING_UPRIGHT_PX
from routebench.dash.tuning.state import Tuning

_MODEL, _STRATEGY, _REFERENCE = "#0072B2", "#D55E00", "#767676"
_FONT_PX = 13


def scatter(*, log: bool) -> Any:
    """Returns the chart; its rows come from `frames` and `names`.

    Args:
        log: whether costs are drawn on a logarithmic axis; one of $0 has no place there.
    """
    dollars = alt.Scale(type="log" if log else "linear", nice=False, zero=False, padding=PADDING_PX)
    font = {"labelFontSize": _FONT_PX, "titleFontSize": _FONT_PX, "titleFontWeight": "normal"}
    title = f"cost per 1,000 requests (USD{', log scale' if log else ''})"
    x = alt.X("cost:Q", title=title, scale=dollars, axis=alt.Axis(format="$.2~g", tickCount=6, **font))
    share = alt.Scale(nice=False, zero=False, padding=PADDING_UPRIGHT_PX)
    upright = alt.Axis(format=".0%", **font)
    y = alt.Y("quality:Q", title="mean score on train, out of fold", scale=share, axis=upright)
    low = alt.Y("low:Q", title="mean score on train, out of fold", scale=share, axis=upright)
    tips = [alt.Tooltip("label:N", title="point"), alt.Tooltip("told:N", title="reaches")]

    def of(source: str) -> Any:
        return alt.Chart(alt.NamedData(source))

    layers = [
        of("hull").mark_area(opacity=0.22, color=_REFERENCE).encode(x=x, y=low, y2="high:Q"),
        of("hull").mark_line(strokeDash=[6, 4], color=_REFERENCE).encode(x=x, y=y),
        of("floor").mark_rule(color=INK, strokeDash=[2, 3], strokeWidth=1).encode(y=y),
        of("cap").mark_rule(color=INK, strokeDash=[2, 3], strokeWidth=1).encode(x=x),
        of("points")
        .mark_point(shape="diamond", size=36, color=_REFERENCE, filled=True, opacity=0.6, cursor="pointer")
        .encode(x=x, y=y, tooltip=tips),
        of("curve").mark_line(color=_STRATEGY, strokeWidth=1.5, opacity=0.6).encode(x=x, y=y, order="order:Q"),
        of("curve")
        .mark_point(shape="diamond", size=52, color=_STRATEGY, filled=True, opacity=1, cursor="pointer")
        .encode(x=x, y=y, tooltip=tips),
        of("models")
        .mark_point(shape="circle", size=90, color=_MODEL, filled=True, opacity=1)
        .encode(x=x, y=y, tooltip=tips),
        *_named(of("models").encode(x=x, y=y, text="label:N"), weight="normal"),
        of("best")
        .mark_point(shape="diamond", size=420, color=INK, filled=False, strokeWidth=2, opacity=1)
        .encode(x=x, y=y, tooltip=tips),
        of("you").mark_rule(color=_STRATEGY, strokeWidth=2).encode(x=x, y=low, y2="high:Q"),
        of("you")
        .mark_rule(color=_STRATEGY, strokeWidth=2)
        .encode(x=alt.X("cost_low:Q", scale=dollars), x2="cost_high:Q", y=y),
        of("you")
        .mark_point(shape="diamond", size=230, color=_STRATEGY, filled=True, stroke=INK, strokeWidth=2, opacity=1)
        .encode(x=x, y=y, tooltip=tips),
        *_named(of("you").encode(x=x, y=y, text="name:N"), weight="bold"),
    ]
    return alt.layer(*layers).properties(height=HEIGHT_PX).configure_view(stroke=None).configure_axis(gridOpacity=0.4)


def _named(chart: Any, *, weight: str) -> list[Any]:
    """The names of marks where `names` has found a place for them, on a rim of paper."""
    placed = {"dx": {"expr": "datum.dx"}, "dy": {"expr": "datum.dy"}, "align": {"expr": "datum.align"}}
    rims = ({"stroke": PAPER, "strokeWidth": 4, "strokeOpacity": 0.7, "color": PAPER}, {"color": INK})
    return [chart.mark_text(fontSize=_FONT_PX, fontWeight=weight, **placed, **rim) for rim in rims]


def described(tuning: Tuning) -> str:
    """The picture in a sentence."""
    now, best = tuning.now, tuning.best_point
    n = sum(len(curve.points) for curve in tuning.study.curves)
    text = (
        f"Cost against mean score of {n} operating points of {len(tuning.study.curves)} forms, on train out of fold. "
    )
    text += f"You are at {told(now)} with {now.name}; the fixed mix of two models at that cost is the dashed line."
    if best is not None and (best[0], best[1].index) != (now.form, now.place):
        text += f" The best that meets what is asked is {best[0]} {best[1].index}, {reached(best[1])}."
    return text


def names_of(names: Sequence[str]) -> tuple[str, int] | None:
    """Reads the name of a clicked point: its form and place; None where it is none."""
    form, _, place = names[0].rpartition("#") if names else ("", "", "")
    return (form, int(place)) if form and place.isdigit() else None
