"""The tuner's figures as rows: where the setting stands, what is best, what the test half said, and what flips."""

from __future__ import annotations

from typing import Any

import pandas as pd

from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.dash.parts import Column
from routebench.dash.tuning.standing import Standing
from routebench.dash.tuning.state import Tuning
from routebench.dash.tuning.version import Version
from routebench.tune import Tuned
from routebench.tune.trials import Trial

FIGURE_COLUMNS = (
    Column("where", "measured on"),
    Column("what", "what"),
    Column("quality", "mean score [95%]", align="right"),
    Column("cost", "$ per 1,000", align="right"),
    Column("mix", "vs fixed mix at its cost", align="right"),
    Column("best", "vs best single", align="right"),
    Column("p95", "p95", align="right"),
    Column("worst", "worst slice"),
    Column("damage", "damage, $ per 1,000", align="right"),
)
FLIP_COLUMNS = (
    Column("case", "case"),
    Column("category", "category"),
    Column("change", "score", align="right", show=lambda value: f"{'▲' if value > 0 else '▼'} {value:+.2g}"),
    Column("before", "before: answered by"),
    Column("now", "now: answered by"),
    Column("cost", "cost, $ per 1,000", align="right", show=lambda value: f"{value:+.3g}"),
)
VERSION_COLUMNS = (
    Column("name", "version"),
    Column("what", "point"),
    Column("quality", "mean score on train, out of fold", align="right"),
    Column("cost", "$ per 1,000", align="right"),
    Column("mix", "vs fixed mix", align="right"),
    Column("test", "mean score on test", align="right"),
)
TRAIN, TEST = "train, out of fold", "test, held out"


def figure_frame(tuning: Tuning, tuned: Tuned | None, look: str) -> pd.DataFrame:
    """Returns rows of FIGURE_COLUMNS: train and test are never averaged.

    Args:
        tuning: the state.
        tuned: what the test half said; None while it is sealed.
        look: which look that was, and of which setting.
    """
    rows = [_standing_row(tuning.now)]
    best = tuning.best.trial
    if best is not None and (best.form.name, best.point.index) != (tuning.now.form, tuning.now.place):
        rows.append(_trial_row(best))
    if tuned is not None:
        rows.append(_tuned_row(tuned, look))
    return pd.DataFrame(rows, columns=[column.name for column in FIGURE_COLUMNS]).set_index(
        pd.Index([str(number) for number in range(len(rows))])
    )


def _standing_row(one: Standing) -> dict[str, Any]:
    worst = UNKNOWN if one.worst is None else f"{one.worst[0]} {points(-one.worst[1])}"
    return {
        "where": TRAIN,
        "what": f"you: {one.name}",
        "quality": UNKNOWN if one.quality is None else percent(one.quality.mean, one.quality.ci95),
        "cost": UNKNOWN if one.cost_usd_per_1k is None else money(one.cost_usd_per_1k.mean, one.cost_usd_per_1k.ci95),
        "mix": points(one.over_mix.delta, one.over_mix.ci95),
        "best": points(one.over_best.delta, one.over_best.ci95),
        "p95": seconds(one.latency_p95_s),
        "worst": worst,
        "damage": money(one.damage.usd_per_1k),
    }


def _trial_row(best: Trial) -> dict[str, Any]:
    point = best.point
    worst = UNKNOWN
    if point.worst_slice is not None and point.worst_drop is not None:
        worst = f"{point.worst_slice} {points(-point.worst_drop)}"
    return {
        "where": TRAIN,
        "what": f"best: {best.form.name} {point.index}",
        "quality": percent(point.quality),
        "cost": money(point.cost_usd_per_1k),
        "mix": points(best.gain),
        "best": points(best.over_baseline),
        "p95": seconds(point.latency_p95_s),
        "worst": worst,
        "damage": money(point.damage_usd_per_1k),
    }


def _tuned_row(tuned: Tuned, look: str) -> dict[str, Any]:
    own, worst = tuned.own, tuned.own.worst_slice
    interval, mix, base = own.quality_ci95, own.versus_fixed_mix, own.versus_baseline
    return {
        "where": f"{TEST} ({look})",
        "what": "fixed mix" if tuned.abstained or tuned.found.trial is None else tuned.found.trial.form.name,
        "quality": percent(own.quality, None if interval is None else interval.ci95),
        "cost": money(own.cost_usd_per_1k),
        "mix": UNKNOWN if mix is None else points(mix.delta, mix.ci95),
        "best": UNKNOWN if base is None else points(base.delta, base.ci95),
        "p95": seconds(own.latency_s(0.95)),
        "worst": UNKNOWN if worst is None else f"{worst.name} {points(worst.delta, worst.ci95)}",
        "damage": money(tuned.damage.usd_per_1k),
    }


def version_frame(versions: list[Version]) -> pd.DataFrame:
    """Returns rows of VERSION_COLUMNS, a version each."""
    rows = [
        {
            "name": one.name,
            "what": f"{one.standing.name} {one.standing.label}".strip(),
            "quality": _standing_row(one.standing)["quality"],
            "cost": _standing_row(one.standing)["cost"],
            "mix": _standing_row(one.standing)["mix"],
            "test": "sealed" if one.tuned is None else _tuned_row(one.tuned, "")["quality"],
        }
        for one in versions
    ]
    return pd.DataFrame(rows, columns=[column.name for column in VERSION_COLUMNS]).set_index(
        pd.Index([str(number) for number in range(len(rows))])
    )


def shares_told(one: Standing) -> str:
    """Where requests go, the largest share first: `small 62%, large 38%`."""
    ranked = sorted(one.shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.0%}" if share >= 0.005 else f"{name} <1%" for name, share in ranked)
