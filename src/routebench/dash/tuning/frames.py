"""The rows of the tuner's picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from routebench.dash.format import money, percent
from routebench.dash.tuning.standing import Standing
from routebench.dash.tuning.state import Tuning
from routebench.evaluate.intervals import mean_interval
from routebench.tune import Curve, Point, Study

_STEPS = 41
_ROOM = 0.03


def can_be_log(study: Study) -> bool:
    """Whether every cost that would be drawn is above 0."""
    costs = [one.cost_usd for one in study.ground.singles if one.cost_usd is not None and one.usable]
    costs += [one.cost_usd_per_1k for curve in study.curves for one in curve.points if one.cost_usd_per_1k is not None]
    return bool(costs) and min(costs) > 0


def field_frames(study: Study) -> dict[str, pd.DataFrame]:
    """Returns what stays while a setting moves: sources `points`, `models` and `hull`."""
    least = _least(study)
    points = pd.concat([_curve_frame(curve, curve.order, least) for curve in study.curves] or [_NOTHING])
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
    """Returns what moves with the setting: sources `curve`, `you`, `best`, `floor` and `cap`.

    On the curve are the form's efficient points alone: a line through the others would only show how far they fall.
    """
    curve, best, asked = tuning.curve, tuning.best_point, tuning.constraints
    floor = asked.floor(tuning.study.ground.best_quality)
    cap = asked.max_cost_usd_per_1k
    return {
        "curve": _NOTHING if curve is None else _curve_frame(curve, curve.efficient, _least(tuning.study)),
        "you": _you_frame(tuning.now),
        "best": _NOTHING if best is None else _rows([_point_row(best[0], best[1], "best that meets what is asked")]),
        "floor": pd.DataFrame({"quality": [floor] if np.isfinite(floor) else []}, dtype=float),
        "cap": pd.DataFrame({"cost": [] if cap is None else [cap]}, dtype=float),
    }


_COLUMNS = ("name", "label", "told", "cost", "quality", "order")
_NOTHING = pd.DataFrame({name: [] for name in _COLUMNS})


def _rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(_COLUMNS)) if rows else _NOTHING


def _curve_frame(curve: Curve, places: Sequence[int], least: float) -> pd.DataFrame:
    return _rows(
        [
            {**_point_row(curve.name, curve.points[place], curve.choices[place].label), "order": number}
            for number, place in enumerate(places)
            if curve.points[place].cost_usd_per_1k is not None and curve.points[place].quality >= least
        ]
    )


def _point_row(form: str, point: Point, label: str) -> dict[str, Any]:
    return {
        "name": f"{form}#{point.index}",
        "label": f"{form} {point.index}: {label}",
        "told": reached(point),
        "cost": point.cost_usd_per_1k,
        "quality": point.quality,
        "order": 0,
    }


def reached(point: Point) -> str:
    """What a point reaches: its mean score for its cost."""
    return f"{percent(point.quality)} for {money(point.cost_usd_per_1k)}"


def _model_frame(study: Study, least: float) -> pd.DataFrame:
    """The single models that are drawn."""
    usable = [one for one in study.ground.singles if one.usable and one.quality >= least]
    drawn = [(one.name, 1000 * one.cost_usd, one.quality) for one in usable if one.cost_usd is not None]
    return _rows(
        [
            {
                "name": name,
                "label": name,
                "told": f"{percent(quality)} for {money(cost)}",
                "cost": cost,
                "quality": quality,
                "order": 0,
            }
            for name, cost, quality in drawn
        ]
    )


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


def _you_frame(now: Standing) -> pd.DataFrame:
    if now.quality is None or now.cost_usd_per_1k is None:
        return pd.DataFrame({name: [] for name in (*_COLUMNS, "low", "high", "cost_low", "cost_high")})
    low, high = now.quality.ci95 or (now.quality.mean, now.quality.mean)
    cost = now.cost_usd_per_1k
    cost_low, cost_high = cost.ci95 or (cost.mean, cost.mean)
    row = {
        "name": now.name,
        "label": f"{now.name}: {now.label}",
        "told": told(now),
        "cost": cost.mean,
        "quality": now.quality.mean,
        "order": 0,
        "low": low,
        "high": high,
        # A logarithmic axis has no place for what an interval of few cases may reach below.
        "cost_low": max(cost_low, cost.mean / 10),
        "cost_high": cost_high,
    }
    return pd.DataFrame([row])


def told(now: Standing) -> str:
    """Where a policy stands: its mean score for its cost."""
    quality = None if now.quality is None else now.quality.mean
    cost = None if now.cost_usd_per_1k is None else now.cost_usd_per_1k.mean
    return f"{percent(quality)} for {money(cost)}"
