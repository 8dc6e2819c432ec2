"""Single cases behind the figures: where a strategy did better than its baseline, and where worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.evaluate.comparison import Comparison
from routebench.types import Case


@dataclass(frozen=True, slots=True)
class RoutedCase:
    """A held-out case under a strategy and under another, the baseline where nobody says which.

    Attributes:
        model: the one that answered, None where none did.
        cost_usd: what the strategy's answer cost, None while unknown.
        baseline_model: the one that answered for the baseline.
    """

    case: Case
    model: str | None
    score: float
    cost_usd: float | None
    baseline_model: str | None
    baseline_score: float
    baseline_cost_usd: float | None


def routed_well(comparison: Comparison, name: str, n: int = 3, *, against: str | None = None) -> list[RoutedCase]:
    """Returns cases with a better score than the baseline's, then those with the same score for less money."""
    cases = _routed(comparison, name, against)
    better = sorted(
        (one for one in cases if one.score > one.baseline_score), key=lambda one: one.baseline_score - one.score
    )
    cheaper = sorted(
        (one for one in cases if one.score == one.baseline_score > 0 and _saving(one) > 0),
        key=lambda one: -_saving(one),
    )
    return _varied([*better, *cheaper], n)


def routed_badly(comparison: Comparison, name: str, n: int = 3, *, against: str | None = None) -> list[RoutedCase]:
    """Returns cases with a worse score than the baseline's, the worst first."""
    worse = [one for one in _routed(comparison, name, against) if one.score < one.baseline_score]
    return _varied(sorted(worse, key=lambda one: (one.score - one.baseline_score, -(one.case.stakes_usd or 0))), n)


def _routed(comparison: Comparison, name: str, against: str | None) -> list[RoutedCase]:
    own, base = comparison[name].first.replayed, comparison[against or comparison.baseline].first.replayed
    models = comparison.models
    return [
        RoutedCase(
            case,
            _likeliest(own.answered_by[place], models),
            float(own.score[place]),
            _known(own.cost_usd[place]),
            _likeliest(base.answered_by[place], models),
            float(base.score[place]),
            _known(base.cost_usd[place]),
        )
        for place, case in enumerate(comparison.half.test.cases)
    ]


def _varied(cases: Sequence[RoutedCase], n: int) -> list[RoutedCase]:
    """The first of every category before the second of any."""
    seen: dict[str | None, int] = {}
    turns = []
    for place, one in enumerate(cases):
        turn = seen.get(one.case.category, 0)
        seen[one.case.category] = turn + 1
        turns.append((turn, place))
    return [cases[place] for _, place in sorted(turns)[:n]]


def _likeliest(shares: np.ndarray, models: Sequence[str]) -> str | None:
    at = int(np.argmax(shares))
    return models[at] if shares[at] > 0 else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _saving(one: RoutedCase) -> float:
    return 0.0 if one.cost_usd is None or one.baseline_cost_usd is None else one.baseline_cost_usd - one.cost_usd
