"""The pictures of production: one below the other over the same time, in UTC; bands mark the selected stretches."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from routebench.dash.charts import Drawing, shade
from routebench.dash.format import money, percent, seconds
from routebench.dash.parts import INK

_MODEL, _GREY = "#0072B2", "#767676"
_FONT_PX = 13
_LEFT_PX = 176
"""Room beside every picture, so that their times stand one below the other."""
_LANE_PX = 26
_FONT: dict[str, Any] = {"labelFontSize": _FONT_PX, "titleFontSize": _FONT_PX, "titleFontWeight": "normal"}
_TIMES = ("p50", "p95", "first token p50")
_CLOCK = (
    "utcFormat(datum.value, utchours(datum.value) + utcminutes(datum.value) + utcseconds(datum.value) === 0 "
    "? '%b %d' : utcseconds(datum.value) ? '%H:%M:%S' : '%H:%M')"
)
_DASHES = ([1, 0], [6, 4], [1, 3])


def volume() -> Drawing:
    """Requests by time; drag over it to select stretches. It reads `periods`, as `volume_rows` makes them."""
    import altair as alt

    brush = alt.selection_interval(name="brush", encodings=["x"])
    bars = _over("periods", x2=True).mark_bar(color=_GREY, cursor="pointer")
    y = _y("n:Q", "requests", format="~s", tickMinStep=1)
    full = alt.condition("!selected.length || indexof(selected, datum.name) >= 0", alt.value(1.0), alt.value(0.4))
    drawn = bars.encode(y=y, y2="none:Q", opacity=full, tooltip=_tips("when", "told"))
    return _finished([drawn.add_params(brush)], 70)


def mix(models: tuple[str, ...]) -> Drawing:
    """Shares of models by time. It reads `periods`, `mix` as `mix_rows` makes it, `shifts` and `policies`."""
    return _mix(models)


@cache
def _mix(models: tuple[str, ...]) -> Drawing:
    import altair as alt

    colours = [shade(place, len(models)) for place in range(len(models))]
    shares = alt.Scale(domain=[0, 1.14], nice=False)
    colour = alt.Color(
        "model:N",
        scale=alt.Scale(domain=list(models), range=colours),
        legend=alt.Legend(title=None, orient="top", labelFontSize=_FONT_PX, labelLimit=320, symbolStrokeColor=_GREY),
    )
    bars = (
        _over("mix", x2=True)
        .mark_bar(stroke=_GREY, strokeWidth=0.5, cursor="pointer")
        .encode(
            y=alt.Y(
                "from:Q",
                title="share of answers",
                scale=shares,
                axis=alt.Axis(values=[0, 0.5, 1], format=".0%", **_axis()),
            ),
            y2="to:Q",
            color=colour,
            tooltip=_tips("when", "model", "told"),
        )
    )
    shifts = (
        _over("shifts", "mid_ms")
        .mark_point(shape="triangle-down", filled=True, size=70, color=INK, opacity=1)
        .encode(y=alt.Y("at:Q", title="share of answers", scale=shares), tooltip=_tips("when", "told"))
    )
    return _finished([*_band(), bars, shifts, *_policies(named=True)], 170)


def cost() -> Drawing:
    """Cost of 1,000 requests by time with its interval, and what the evidence says.

    It reads `periods`, `costs` as `cost_rows` makes them, `evidence` and `policies`.
    """
    import altair as alt

    title = "$ per 1,000 requests"
    ribbon = _over("costs", "mid_ms").mark_area(color=_MODEL, opacity=0.22, interpolate="linear")
    line = _over("costs", "mid_ms").mark_line(color=_MODEL, point=alt.OverlayMarkDef(color=_MODEL, size=36))
    y = _y("cost:Q", title, format="$.2~g")
    said = alt.Chart(alt.NamedData("evidence"))
    layers = [
        ribbon.encode(y=_y("low:Q", title, format="$.2~g"), y2="high:Q"),
        line.encode(y=y, tooltip=_tips("when", "told")),
        said.mark_rule(color=_GREY, strokeDash=[6, 4], strokeWidth=1.5).encode(y=y, tooltip=_tips("told")),
        said.mark_text(align="left", baseline="bottom", dx=4, dy=-2, fontSize=_FONT_PX, color=INK).encode(
            x=alt.value(0), y=y, text="told:N"
        ),
    ]
    return _finished([*_band(), *layers, *_policies()], 120)


def times() -> Drawing:
    """Time to the answer and to its first token. It reads `periods`, `times` as `time_rows` makes them, `policies`."""
    import altair as alt

    scale = alt.Scale(type="log", nice=False, padding=8)
    dash = alt.StrokeDash(
        "what:N",
        sort=list(_TIMES),
        scale=alt.Scale(domain=list(_TIMES), range=[*_DASHES]),
        legend=alt.Legend(title=None, orient="top", labelFontSize=_FONT_PX, symbolSize=500),
    )
    axis = alt.Axis(format="~g", tickCount=4, **{**_axis(), "grid": False})
    y = alt.Y("seconds:Q", title="seconds (log)", scale=scale, axis=axis)
    tips = _tips("when", "told")
    lines = _over("times", "mid_ms").mark_line(color=INK, strokeWidth=1.8).encode(y=y, strokeDash=dash)
    # Of their own: with them the legend would show points in place of dashes.
    marks = _over("times", "mid_ms").mark_point(color=INK, filled=True, size=22, opacity=1).encode(y=y, tooltip=tips)
    return _finished([*_band(), lines, marks, *_policies()], 120)


def incidents(count: int) -> Drawing:
    """A lane for everything that went another way than planned, each on a scale of its own.

    It reads `periods`, `incidents` and `lanes` as `incident_rows` makes them, and `policies`.

    Args:
        count: how many lanes.
    """
    return _incidents(max(1, count))


@cache
def _incidents(count: int) -> Drawing:
    import altair as alt

    lanes = alt.Scale(domain=[0, count], reverse=True, nice=False)
    axis = alt.Axis(labels=False, ticks=False, domain=False, grid=False, **_axis())
    y = alt.Y("from:Q", title=None, scale=lanes, axis=axis)
    bars = (
        _over("incidents", x2=True)
        .mark_bar(color=INK, opacity=0.75, cursor="pointer")
        .encode(y=y, y2="to:Q", tooltip=_tips("when", "what", "told"))
    )
    floors = alt.Chart(alt.NamedData("lanes"))
    names = floors.mark_text(
        align="right", baseline="bottom", dx=-8, fontSize=_FONT_PX, color=INK, limit=_LEFT_PX - 12
    ).encode(x=alt.value(0), y=y, text="what:N")
    lines = floors.mark_rule(color=_GREY, strokeWidth=0.6).encode(y=y)
    return _finished([*_band(), lines, bars, names, *_policies()], _LANE_PX * count + 6)


def period_rows(totals: pd.DataFrame) -> pd.DataFrame:
    """Rows of `periods`: every stretch, with its requests."""
    return pd.DataFrame(
        {
            "name": totals["name"],
            "start_ms": totals["start_ms"],
            "end_ms": totals["end_ms"],
            "mid_ms": (totals["start_ms"] + totals["end_ms"]) / 2,
            "n": totals["n"],
            "none": 0,
            "when": totals["when"],
            "told": [f"{n:,} requests" for n in totals["n"]],
        }
    )


def mix_rows(periods: pd.DataFrame, models: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Rows of `mix` and `shifts`, from `Production.periods`."""
    own = periods[periods["model"].notna() & (periods["share"] > 0)]
    totals = periods[periods["model"].isna()].set_index("name")
    rank = {name: place for place, name in enumerate(models)}
    told = [
        f"{percent(share, None if np.isnan(low) else (low, high))} of {round(n / share):,} answered"
        for share, low, high, n in zip(own["share"], own["share_low"], own["share_high"], own["n"], strict=True)
    ]
    made = own.assign(rank=own["model"].map(rank), told=told).sort_values(["start_ms", "rank"], kind="stable")
    ends = made.groupby("name", sort=False)["share"].cumsum() if len(made) else made["share"]
    mixed = pd.DataFrame(
        {
            **{name: made[name] for name in ("name", "start_ms", "end_ms", "model", "told", "when")},
            "from": (ends - made["share"]).clip(lower=0),
            "to": ends.clip(upper=1),
        }
    )
    moved = totals[totals["shifted"] > 0].reset_index()
    shifts = pd.DataFrame(
        {
            "name": moved["name"],
            "mid_ms": (moved["start_ms"] + moved["end_ms"]) / 2,
            "at": 1.06,
            "when": moved["when"],
            "told": [
                f"health moved {n:,} of {of:,} requests" for n, of in zip(moved["shifted"], moved["n"], strict=True)
            ],
        }
    )
    return {"mix": mixed, "shifts": shifts}


def cost_rows(totals: pd.DataFrame, evidence: float | None) -> dict[str, pd.DataFrame]:
    """Rows of `costs` and `evidence`.

    Args:
        totals: of `Production`.
        evidence: US dollars for 1,000 requests by the rule set's own evidence, None while unknown.
    """
    told = [
        f"{money(None if np.isnan(mean) else mean, None if np.isnan(low) else (low, high))} per 1,000"
        + (f", {unknown:,} of unknown cost" if unknown else "")
        for mean, low, high, unknown in zip(
            totals["cost_usd_per_1k"], totals["cost_low"], totals["cost_high"], totals["n_cost_unknown"], strict=True
        )
    ]
    made = pd.DataFrame(
        {
            "name": totals["name"],
            "mid_ms": (totals["start_ms"] + totals["end_ms"]) / 2,
            "cost": totals["cost_usd_per_1k"],
            # Few requests leave a wide interval, which may not reach below nothing.
            "low": totals["cost_low"].clip(lower=0),
            "high": totals["cost_high"],
            "when": totals["when"],
            "told": told,
        }
    )
    said = [] if evidence is None else [(evidence, f"evidence {money(evidence)}")]
    return {"costs": made, "evidence": pd.DataFrame(said, columns=["cost", "told"])}


def time_rows(totals: pd.DataFrame) -> pd.DataFrame:
    """Rows of `times`: three a stretch."""
    columns = ("latency_p50_s", "latency_p95_s", "ttft_p50_s")
    mid = (totals["start_ms"] + totals["end_ms"]) / 2
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "name": totals["name"],
                    "mid_ms": mid,
                    "what": what,
                    # A logarithm of nothing has no place.
                    "seconds": totals[column].where(totals[column] > 0),
                    "when": totals["when"],
                    "told": [f"{what}: {seconds(None if np.isnan(one) else one)}" for one in totals[column]],
                }
            )
            for what, column in zip(_TIMES, columns, strict=True)
        ],
        ignore_index=True,
    )


def incident_rows(found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of `incidents` and `lanes`, from `Production.incidents`."""
    kinds = list(dict.fromkeys(found["what"]))
    lane = {what: place for place, what in enumerate(kinds)}
    most = {what: float(found.loc[found["what"] == what, "share"].max()) for what in kinds}
    floor = found["what"].map(lane).astype(float) + 0.95
    height = found["share"] / found["what"].map(most).astype(float)
    bars = found.assign(
        **{"from": floor - 0.85 * height, "to": floor},
        told=[f"{n:,} requests, {percent(share)}" for n, share in zip(found["n"], found["share"], strict=True)],
    )
    lanes = pd.DataFrame(
        [(f"{what} ≤ {percent(most[what])}", place + 0.95) for what, place in lane.items()], columns=["what", "from"]
    )
    return {"incidents": bars, "lanes": lanes}


def policy_rows(policies: pd.DataFrame) -> pd.DataFrame:
    """Rows of `policies`: a mark where another rule set begins to decide than the one before."""
    later = policies.iloc[1:]
    return pd.DataFrame(
        {
            "at_ms": later["from_ms"],
            "told": [f"{rules} {policy[:7]}" for rules, policy in zip(later["rules"], later["policy"], strict=True)],
        }
    )


def _over(source: str, start: str = "start_ms", *, x2: bool = False) -> Any:
    """A chart of a source over time, from `start` on, and to `end_ms` where its marks are wide."""
    import altair as alt

    chart = alt.Chart(alt.NamedData(source))
    axis = alt.Axis(tickCount=8, grid=False, labelOverlap=True, labelExpr=_CLOCK, **_FONT)
    x = alt.X(f"{start}:T", title=None, scale=alt.Scale(type="utc", nice=False), axis=axis)
    return chart.encode(x=x, x2="end_ms:T") if x2 else chart.encode(x=x)


def _y(field: str, title: str, **axis: Any) -> Any:
    import altair as alt

    return alt.Y(field, title=title, axis=alt.Axis(tickCount=4, **_axis(), **axis))


def _axis() -> dict[str, Any]:
    # A title that lies beside the axis is read without turning the head.
    told = {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": -_LEFT_PX, "titleY": 4}
    return {**_FONT, **told, "minExtent": _LEFT_PX, "maxExtent": _LEFT_PX, "labelOverlap": True}


def _band() -> list[Any]:
    import altair as alt

    chosen = alt.condition("indexof(selected, datum.name) >= 0", alt.value(0.16), alt.value(0.0))
    return [_over("periods", x2=True).mark_rect(color=INK).encode(opacity=chosen)]


def _policies(*, named: bool = False) -> list[Any]:
    import altair as alt

    rule = _over("policies", "at_ms").mark_rule(color=INK, strokeDash=[4, 4], strokeWidth=1.2)
    rule = rule.encode(tooltip=_tips("told"))
    if not named:
        return [rule]
    text = _over("policies", "at_ms").mark_text(align="left", baseline="top", dx=4, dy=1, fontSize=_FONT_PX, color=INK)
    return [rule, text.encode(y=alt.value(0), text="told:N")]


def _tips(*names: str) -> list[Any]:
    import altair as alt

    titles = {"when": "when", "told": "what", "model": "model", "what": "kind"}
    return [alt.Tooltip(f"{name}:N", title=titles[name]) for name in names]


def _finished(layers: list[Any], height: int) -> Drawing:
    import altair as alt

    made = alt.layer(*layers).add_params(alt.param(name="selected", value=[])).properties(height=height)
    return Drawing(made.configure_view(stroke=None).to_dict(validate=False))
