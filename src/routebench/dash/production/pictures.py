"""The pictures of production: one below the other over the same time, in UTC; bands mark the selected stretches."""

from __future__ import annotations

from functools import cache
from typing import Any

from routebench.dash.charts import Drawing, shade
from routebench.dash.parts import INK
from routebench.dash.production.frames import TIMES

_MODEL, _GREY = "#0072B2", "#767676"
_FONT_PX = 13
_LEFT_PX = 206
"""Room beside every picture, so that their times stand one below the other."""
_LANE_PX = 26
_FONT: dict[str, Any] = {"labelFontSize": _FONT_PX, "titleFontSize": _FONT_PX, "titleFontWeight": "normal"}
_CLOCK = (
    "utcFormat(datum.value, utchours(datum.value) + utcminutes(datum.value) + utcseconds(datum.value) === 0 "
    "? '%b %d' : utcseconds(datum.value) ? '%H:%M:%S' : '%H:%M')"
)
_DASHES = ([1, 0], [6, 4], [1, 3])


def volume() -> Drawing:
    """Requests by time; drag over it to select stretches. It reads `periods`, as `frames.period_rows` makes them."""
    import altair as alt

    brush = alt.selection_interval(name="brush", encodings=["x"])
    bars = _over("periods", x2=True).mark_bar(color=_GREY, cursor="pointer")
    y = _y("n:Q", "requests", format="~s", tickMinStep=1)
    full = alt.condition("!selected.length || indexof(selected, datum.name) >= 0", alt.value(1.0), alt.value(0.4))
    drawn = bars.encode(y=y, y2="none:Q", opacity=full, tooltip=_tips("when", "told"))
    return _finished([drawn.add_params(brush)], 70)


def mix(models: tuple[str, ...]) -> Drawing:
    """Shares of models by time. It reads `periods`, `mix` as `frames.mix_rows` makes it, `shifts` and `policies`."""
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

    It reads `periods`, `costs` as `frames.cost_rows` makes them, `evidence` and `policies`.
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
    """Time to the answer and to its first token. It reads `periods`, `times` as `frames.time_rows` makes them."""
    import altair as alt

    scale = alt.Scale(type="log", nice=False, padding=8)
    dash = alt.StrokeDash(
        "what:N",
        sort=list(TIMES),
        scale=alt.Scale(domain=list(TIMES), range=[*_DASHES]),
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

    It reads `periods`, `incidents` and `lanes` as `frames.incident_rows` makes them, and `policies`.

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
