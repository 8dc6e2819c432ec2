"""One case with what several strategies answered to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate import Comparison
from routebench.types import Case, GradedAnswer

_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Way:
    """How one strategy took a case.

    Attributes:
        name: of the strategy.
        model: who answered, the likeliest of a mix; None where nobody did.
        share: how likely that is.
        score: of the case, over a mix and over samples in expectation; 0 where nobody answered.
        cost_usd: likewise, with what deciding and failed tries cost; None while unknown.
        decided_by: the rule, phase or label that decided; None where nobody knows.
    """

    name: str
    model: str | None
    share: float
    score: float
    cost_usd: float | None
    decided_by: str | None


@dataclass(frozen=True, slots=True)
class Side:
    """One answer, and the strategies that give it.

    Attributes:
        model: who answered; None where nobody did.
        ways: the strategies.
        answer: what was recorded, of the first sample; None where nobody can look it up.
        n_samples: how many answers of that model to that case are known.
    """

    model: str | None
    ways: tuple[Way, ...]
    answer: GradedAnswer | None
    n_samples: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A case, and its answers side by side.

    Attributes:
        case: without messages where no text is kept.
        sides: the first is what the others are compared with.
    """

    case: Case
    sides: tuple[Side, ...]


def open_case(comparison: Comparison, case_id: str, names: Sequence[str]) -> Opened:
    """Returns a case with what strategies answered; those that give one and the same answer share a side.

    Raises:
        OutcomesError: it is no held-out case of the comparison.
    """
    test = comparison.half.test
    found = np.flatnonzero(test.cases.ids == case_id)
    if not len(found):
        raise OutcomesError(f"no held-out case {case_id!r} is listed here; open one of those in the table")
    row = int(found[0])
    answers = {} if test.answers is None else test.answers.of_case(case_id)
    by_model: dict[str | None, list[Way]] = {}
    for name in names:
        way = _way(comparison, name, row)
        by_model.setdefault(way.model, []).append(way)
    sides = []
    for model, ways in by_model.items():
        own = {sample: answer for (answerer, sample), answer in answers.items() if answerer == model}
        sides.append(Side(model, tuple(ways), own[min(own)] if own else None, len(own)))
    return Opened(test.cases[row], tuple(sides))


def _way(comparison: Comparison, name: str, row: int) -> Way:
    one = comparison[name]
    replayed, choices = one.first.replayed, one.choices
    shares = replayed.answered_by[row]
    likeliest = int(shares.argmax())
    share, cost = float(shares[likeliest]), float(replayed.cost_usd[row])
    return Way(
        name=name,
        model=comparison.half.test.models[likeliest] if share > _SAME else None,
        share=share,
        score=float(replayed.score[row]),
        cost_usd=None if np.isnan(cost) else cost,
        decided_by=None if choices is None else choices.decided_by(row),
    )
