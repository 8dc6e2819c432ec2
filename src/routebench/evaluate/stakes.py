"""What wrong answers cost: the stakes of cases, and the damage to be expected of a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from routebench.evaluate.choices import FloatArray
from routebench.evaluate.outcomes import Outcomes


@dataclass(frozen=True, slots=True)
class Damage:
    """What the wrong answers of a policy are expected to cost.

    Attributes:
        usd_per_1k: of 1,000 requests like the cases whose stakes are known; None where none is.
        n: cases whose stakes and score are known.
        n_unknown: cases that nobody can tell the damage of.
    """

    usd_per_1k: float | None
    n: int
    n_unknown: int

    @property
    def reading(self) -> str:
        """The damage as a sentence."""
        if self.usd_per_1k is None:
            return "What wrong answers cost is unknown: no case has stakes."
        unknown = f"; of {self.n_unknown:,} others the stakes are unknown" if self.n_unknown else ""
        return (
            f"Expected damage by wrong answers: ${_dollars(self.usd_per_1k)} per 1,000 requests, over the {self.n:,} "
            f"cases whose stakes are known{unknown}."
        )

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"usd_per_1k": self.usd_per_1k, "n": self.n, "n_unknown": self.n_unknown}


def damage_of(score: FloatArray, stakes_usd: FloatArray, weight: FloatArray) -> Damage:
    """Returns the expected damage of a replay: 1,000 times the mean of stakes x (1 - score).

    The mean is over the cases whose stakes are known: what is unknown is neither free nor like the others.

    Args:
        score: in [0, 1], NaN where unknown, shape (n,).
        stakes_usd: US dollars that a wrong answer costs, NaN where unknown, shape (n,).
        weight: requests that each case stands for, shape (n,).
    """
    known = ~(np.isnan(score) | np.isnan(stakes_usd))
    n = int(known.sum())
    if not n:
        return Damage(None, 0, len(score))
    lost = stakes_usd[known] * (1 - score[known])
    return Damage(1000 * float(np.average(lost, weights=weight[known])), n, len(score) - n)


def with_stakes(outcomes: Outcomes, stakes_usd: Mapping[str, float]) -> Outcomes:
    """Returns the outcomes with the stakes of whole classes filled in.

    What a case says itself stands. Of several classes that it is in, the highest stakes count.

    Args:
        outcomes: the matrix.
        stakes_usd: category or tag -> US dollars that a wrong answer costs.
    """
    cases = outcomes.cases
    filled = np.full(len(cases), np.nan)
    for label, usd in stakes_usd.items():
        tagged = np.fromiter((label in tags for tags in cases.tags), dtype=bool, count=len(cases))
        inside = tagged | (cases.category == label)
        filled[inside] = np.fmax(filled[inside], usd)
    known = ~np.isnan(cases.stakes_usd)
    return replace(outcomes, cases=replace(cases, stakes_usd=np.where(known, cases.stakes_usd, filled)))


def _dollars(value: float) -> str:
    """Three digits, and no exponent that people take for a small sum."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
