"""The tuner's picture: every operating point, the form in hand, where the setting stands, and the mix to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from routebench.dash.format import money, percent
from routebench.dash.parts import INK, PAPER
from routebench.dash.tuning.standing import Standing
from routebench.dash.tuning.state import Tuning
from routebench.evaluate.intervals import mean_interval
from routebench.tune import Curve, Point, Study

_MODEL, _STRATEGY, _REFERENCE = "#0072B2", "#D55E00", "#767676"
_HEIGHT = 360
_STEPS = 41
_FONT_PX = 13
_ROOM = 0.03


def scatter(*, log: bool) -> Any:
    """Returns the chart; its rows come from `frames`.

    Args:
        log: whether costs are drawn on a logarithmic axis; one of $0 has no place there.
    """
    dollars = alt.Scale(type="log" if log else "linear", nice=False, zero=False, padding=24)
    font = {"labelFontSize": _FONT_PX, "titleFontSize": _FONT_PX, "titleFontWeight": "normal"}
    title = f"cost per 1,000 requests (USD{', log scale' if log else ''})"
    x = alt.X("cost:Q", title=title, scale=dollars, axis=alt.Axis(format="$.2~g", tickCount=6, **font))
    share = alt.Scale(nice=False, zero=False, padding=16)
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
        *_named(of("models").encode(x=x, y=y, text="label:N"), dy=-9, weight="normal"),
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
        *_named(of("you").encode(x=x, y=y, text="name:N"), dy=18, weight="bold"),
    ]
    return alt.layer(*layers).properties(height=_HEIGHT).configure_view(stroke=None).configure_axis(gridOpacity=0.4)


def _named(chart: Any, *, dy: int, weight: str) -> list[Any]:
    """The names of marks, at the right of a mark or at its left by column `order`, on a rim of paper."""
    font = {"dy": dy, "fontSize": _FONT_PX, "fontWeight": weight}
    sides = (("left", 9), ("right", -9))
    rims = ({"stroke": PAPER, "strokeWidth": 4, "strokeOpacity": 0.7, "color": PAPER}, {"color": INK})
    return [
        chart.transform_filter(f"datum.order === {side}").mark_text(align=align, dx=dx, **font, **rim)
        for side, (align, dx) in enumerate(sides)
        for rim in rims
    ]


def can_be_log(study: Study) -> bool:
    """Whether every cost that would be drawn is above 0."""
    costs = [one.cost_usd for one in study.ground.singles if one.cost_usd is not None and one.usable]
    costs += [one.cost_usd_per_1k for curve in study.curves for one in curve.points if one.cost_usd_per_1k is not None]
    return bool(costs) and min(costs) > 0


def field_frames(study: Study) -> dict[str, pd.DataFrame]:
    """Returns what stays while a setting moves: sources `points`, `models` and `hull`."""
    least = _least(study)
    points = pd.concat([_curve_frame(curve, least) for curve in study.curves] or [_NOTHING])
    return {"points": points, "models": _model_frame(study, least), "hull": _hull_frame(study)}


def hidden(study: Study) -> int:
    """Returns how many points and models are not drawn: they score too low, or fail more than half the cases."""
    least = _least(study)
    low = sum(point.quality < least for curve in study.curves for point in curve.points)
    return low + sum(single.quality < least or not single.usable for single in study.ground.singles)


def _least(study: Study) -> float:
    """The mean score below which nothing is drawn: what the cheapest end of the mixes beats by far is no choice."""
    hull = study.ground.hull
    low, high = (hull.value(cost) for cost in hull.cost_range)
    return low - max(_ROOM, (high - low) / 2)


def moving_frames(tuning: Tuning) -> dict[str, pd.DataFrame]:
    """Returns what moves with the setting: sources `curve`, `you`, `best`, `floor` and `cap`."""
    curve, best, asked = tuning.curve, tuning.best_point, tuning.constraints
    floor = asked.floor(tuning.study.ground.best_quality)
    cap = asked.max_cost_usd_per_1k
    return {
        "curve": _NOTHING if curve is None else _curve_frame(curve, _least(tuning.study)),
        "you": _you_frame(tuning.now, _middle(tuning.study)),
        "best": _NOTHING if best is None else _rows([_point_row(best[0], best[1], "best that meets what is asked")]),
        "floor": pd.DataFrame({"quality": [floor] if np.isfinite(floor) else []}, dtype=float),
        "cap": pd.DataFrame({"cost": [] if cap is None else [cap]}, dtype=float),
    }


def described(tuning: Tuning) -> str:
    """The picture in a sentence."""
    now, best = tuning.now, tuning.best_point
    n = sum(len(curve.points) for curve in tuning.study.curves)
    text = (
        f"Cost against mean score of {n} operating points of {len(tuning.study.curves)} forms, on train out of fold. "
    )
    text += f"You are at {_told(now)} with {now.name}; the fixed mix of two models at that cost is the dashed line."
    if best is not None and (best[0], best[1].index) != (now.form, now.place):
        text += f" The best that meets what is asked is {best[0]} {best[1].index}, {_reached(best[1])}."
    return text


def names_of(names: Sequence[str]) -> tuple[str, int] | None:
    """Reads the name of a clicked point: its form and place; None where it is none."""
    form, _, place = names[0].rpartition("#") if names else ("", "", "")
    return (form, int(place)) if form and place.isdigit() else None


_COLUMNS = ("name", "label", "told", "cost", "quality", "order")
_NOTHING = pd.DataFrame({name: [] for name in _COLUMNS})


def _rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(_COLUMNS)) if rows else _NOTHING


def _curve_frame(curve: Curve, least: float) -> pd.DataFrame:
    return _rows(
        [
            {**_point_row(curve.name, curve.points[place], curve.choices[place].label), "order": number}
            for number, place in enumerate(curve.order)
            if curve.points[place].cost_usd_per_1k is not None and curve.points[place].quality >= least
        ]
    )


def _point_row(form: str, point: Point, label: str) -> dict[str, Any]:
    return {
        "name": f"{form}#{point.index}",
        "label": f"{form} {point.index}: {label}",
        "told": _reached(point),
        "cost": point.cost_usd_per_1k,
        "quality": point.quality,
        "order": 0,
    }


def _reached(point: Point) -> str:
    return f"{percent(point.quality)} for {money(point.cost_usd_per_1k)}"


def _model_frame(study: Study, least: float) -> pd.DataFrame:
    """The single models that are drawn; column `order` says whether a name stands at the left of its mark."""
    singles, middle = study.ground.singles, _middle(study)
    usable = [one for one in singles if one.usable and one.quality >= least]
    drawn = [(one.name, 1000 * one.cost_usd, one.quality) for one in usable if one.cost_usd is not None]
    return _rows(
        [
            {
                "name": name,
                "label": name,
                "told": f"{percent(quality)} for {money(cost)}",
                "cost": cost,
                "quality": quality,
                "order": int(cost > middle),
            }
            for name, cost, quality in drawn
        ]
    )


def _middle(study: Study) -> float:
    """The cost in the middle of the picture: right of it names stand at the left of their marks."""
    low, high = study.ground.hull.cost_range
    return 1000 * float(np.sqrt(low * high))


def _hull_frame(study: Study) -> pd.DataFrame:
    """What a fixed mix of two single models reaches on train, with its ribbon; empty where no cost is known."""
    ground = study.ground
    hull, train = ground.hull, ground.train
    low, high = max(hull.cost_range[0], float(hull.cost_usd[0])), hull.cost_range[1]
    steps = np.geomspace(low, high, _STEPS) if low > 0 else np.linspace(low, high, _STEPS)
    corners = hull.cost_usd[(hull.cost_usd >= low) & (hull.cost_usd <= high)]
    rows = []
    for cost in np.unique(np.concatenate([steps, corners])) if high > low else ():
        interval = mean_interval(ground.mix(float(cost))[1], train.cases.cluster, train.weight, share=True)
        if interval is not None and interval.ci95 is not None:
            rows.append((1000 * float(cost), interval.mean, *interval.ci95))
    return pd.DataFrame(rows, columns=["cost", "quality", "low", "high"], dtype=float)


def _you_frame(now: Standing, middle: float) -> pd.DataFrame:
    if now.quality is None or now.cost_usd_per_1k is None:
        return pd.DataFrame({name: [] for name in (*_COLUMNS, "low", "high", "cost_low", "cost_high")})
    low, high = now.quality.ci95 or (now.quality.mean, now.quality.mean)
    cost = now.cost_usd_per_1k
    cost_low, cost_high = cost.ci95 or (cost.mean, cost.mean)
    row = {
        "name": now.name,
        "label": f"{now.name}: {now.label}",
        "told": _told(now),
        "cost": cost.mean,
        "quality": now.quality.mean,
        "order": int(cost.mean > middle),
        "low": low,
        "high": high,
        # A logarithmic axis has no place for what an interval of few cases may reach below.
        "cost_low": max(cost_low, cost.mean / 10),
        "cost_high": cost_high,
    }
    return pd.DataFrame([row])


def _told(now: Standing) -> str:
    quality = None if now.quality is None else now.quality.mean
    cost = None if now.cost_usd_per_1k is None else now.cost_usd_per_1k.mean
    return f"{percent(quality)} for {money(cost)}"
