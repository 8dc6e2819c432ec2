"""Whether a rule set still pays under today's price book: the stored tokens costed anew, and measured again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np

from routebench.checking.ages import created_on
from routebench.checking.gates import Bounds, Gate, usd
from routebench.checking.measuring import Measurement
from routebench.evaluate import Comparison, Outcomes
from routebench.matrix import open_outcomes
from routebench.repricing import look_up_models
from routebench.store import read_models
from routebench.types import Model, Price

_SAME_PRICE = 1e-6
_SAME_COST = 0.01
"""Costs that came without a price, from a file, are rounded; a smaller change of them is no change of a price."""


@dataclass(frozen=True, slots=True)
class _Moved:
    """Outcomes under today's prices.

    Attributes:
        changes: model name -> today's cost of its stored tokens against the stored cost, less one.
        left_alone: model name -> why its costs are as they were.
    """

    outcomes: Outcomes
    changes: Mapping[str, float]
    left_alone: Mapping[str, str]


def price_gate(measurement: Measurement, before: Comparison, bounds: Bounds, at: datetime) -> Gate:
    """Fails where prices have moved so far that the rule set is no longer what it was chosen for.

    That is: it was cheaper than the best single model and is not; it was better than the fixed mix at its own cost and
    is not; or it kept the bound on cost and does not.
    """
    models = read_models(measurement.store, measurement.suite)
    moved = _move(measurement, models, at)
    beside = f"; not looked at: {_list(moved.left_alone)}" if moved.left_alone else ""
    if len(moved.left_alone) == len(measurement.outcomes.models):
        return Gate("prices", None, f"prices: of no model does the price book tell today's price{beside}")
    if not moved.changes:
        since = _since(models, moved.left_alone) or created_on(measurement.ruleset.evidence)
        told = "the outcomes were made" if since is None else str(since)
        return Gate("prices", ok=True, reading=f"prices: no price has moved since {told}{beside}")
    after = measurement.compared(moved.outcomes)
    problems = _problems(measurement, before, after, bounds)
    old, new = (usd(measurement.own(one).cost_usd_per_1k) for one in (before, after))
    best_old, best_new = (usd(one["best_single"].cost_usd_per_1k) for one in (before, after))
    changes = ", ".join(f"{name} {change:+.1%}" for name, change in moved.changes.items())
    reading = (
        f"prices: {changes}; 1,000 requests cost {new} in place of {old}, with the best single model {best_new} in "
        f"place of {best_old}"
    )
    return Gate("prices", not problems, "; ".join([reading, *problems]) + beside)


def _move(measurement: Measurement, models: list[Model], at: datetime) -> _Moved:
    found = look_up_models(models, at)
    stored = {model.name: model.price for model in models}
    wanted = {name: price for name, price in found.prices.items() if price != stored[name]}
    left = dict(found.left_alone)
    outcomes = measurement.outcomes
    if not wanted:
        return _Moved(outcomes, {}, left)
    anew = open_outcomes(measurement.store, measurement.suite, prompts=measurement.prompts, prices=wanted)
    cost, changes = outcomes.cost_usd.copy(), {}
    for name in wanted:
        column = outcomes.models.index(name)
        old, new = outcomes.cost_usd[:, column], anew.cost_usd[:, column]
        both = ~(np.isnan(old) | np.isnan(new))
        if not old[both].sum():
            left[name] = "no stored cost with its tokens"
            continue
        change = float(new[both].sum() / old[both].sum() - 1)
        if abs(change) > _threshold(stored[name]):
            changes[name] = change
            # A call whose tokens nobody told keeps the cost that is stored.
            cost[:, column] = np.where(np.isnan(new), old, new)
    return _Moved(replace(outcomes, cost_usd=cost, cacheable_usd=None), changes, left)


def _problems(measurement: Measurement, before: Comparison, after: Comparison, bounds: Bounds) -> list[str]:
    was, now = measurement.own(before), measurement.own(after)
    problems = []
    if _is_cheaper(before, was.cost_usd_per_1k) and not _is_cheaper(after, now.cost_usd_per_1k):
        problems.append("it is no longer cheaper than the best single model")
    verdicts = [None if one.versus_fixed_mix is None else one.versus_fixed_mix.verdict for one in (was, now)]
    if verdicts[0] == "better" and verdicts[1] != "better":
        problems.append("it is no longer better than the fixed mix at its own cost")
    if bounds.keeps_cost(was.cost_usd_per_1k) and not bounds.keeps_cost(now.cost_usd_per_1k):
        problems.append(f"it no longer costs at most {usd(bounds.max_cost_usd_per_1k)}")
    return [*problems, "tune again after `routebench reprice`"] if problems else []


def _is_cheaper(comparison: Comparison, cost: float | None) -> bool:
    best = comparison["best_single"].cost_usd_per_1k
    return cost is not None and best is not None and cost < best


def _threshold(price: Price | None) -> float:
    return _SAME_COST if price is None else _SAME_PRICE


def _since(models: list[Model], left: Mapping[str, str]) -> date | None:
    days = [model.price_date for model in models if model.price_date is not None and model.name not in left]
    return min(days, default=None)


def _list(left: Mapping[str, str]) -> str:
    reasons: dict[str, list[str]] = {}
    for name, why in left.items():
        reasons.setdefault(why, []).append(name)
    return ", ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
