"""Figures that rest on a judge, corrected and widened by what people said about some of the answers.

Prediction-powered inference (Angelopoulos et al., Science 382 (2023) 669, with the power tuning of PPI++): the judge's
mean over all cases, plus the mean of what people said more or less than the judge on those that they graded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from routebench.evaluate.choices import BoolArray, Choices, FloatArray, Groups
from routebench.evaluate.estimates import Studentised, mean_estimate
from routebench.evaluate.intervals import Interval
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.paired import Difference
from routebench.evaluate.replay import replay

JUDGING = frozenset({"judge", "pairwise"})
"""Graders whose scores are a model's opinion."""
MIN_LABELS = 30
"""With fewer graded answers the judge's error is not known well enough to correct anything."""
_SAME = 1e-12


@dataclass(frozen=True)
class Judged:
    """The test half's scores by judge and by people.

    Attributes:
        judge: strategy -> score of each case, as the suite's graders gave it, shape (n,).
        human: strategy -> the same by people, NaN where none of them graded the answer, or where several models may
            give it and some answer was drawn: with which probability all were is not known; shape (n,).
        chance: strategy -> the probability with which the answer was drawn to be graded, NaN while unknown, shape (n,).
        failed: strategy -> cases to which no answer came: a 0 that nobody has to judge, shape (n,).
        by_judge: cases that a judge scores; the others have no error of measurement, shape (n,).
        answered_by: strategy -> probability that each model gives the answer, shape (n, m).
    """

    judge: Mapping[str, FloatArray]
    human: Mapping[str, FloatArray]
    chance: Mapping[str, FloatArray]
    failed: Mapping[str, BoolArray]
    by_judge: BoolArray
    answered_by: Mapping[str, FloatArray]
    groups: Groups
    weight: FloatArray

    @classmethod
    def of(cls, test: Outcomes, chosen: Mapping[str, Choices]) -> Judged | None:
        """Replays choices on what people said; None where no judge scored or nobody checked it."""
        by_judge = np.isin(test.cases.grader, sorted(JUDGING))
        if test.human is None or not by_judge.any():
            return None
        people = replace(test, score=test.human)
        replayed = {name: replay(test, one) for name, one in chosen.items()}
        if test.human_chance is None:
            chance = {name: np.full(test.n, np.nan) for name in chosen}
        else:
            # That a failed request scores 0 is known for sure.
            drawn = replace(test, score=test.human_chance)
            chance = {name: replay(drawn, one).score + replayed[name].failed for name, one in chosen.items()}
        failed = {name: one.failed > 1 - _SAME for name, one in replayed.items()}
        human = {}
        for name, one in chosen.items():
            sure = failed[name] | (replayed[name].answered_by.max(axis=1) > 1 - _SAME)
            human[name] = np.where(sure | np.isnan(chance[name]), replay(people, one).score, np.nan)
        return cls(
            judge={name: one.score for name, one in replayed.items()},
            human=human,
            chance=chance,
            failed=failed,
            by_judge=by_judge,
            answered_by={name: one.answered_by for name, one in replayed.items()},
            groups=test.keys,
            weight=test.weight,
        )

    def interval(self, name: str) -> Interval | None:
        """Mean score on the human scale with its interval; None with too few grades by people."""
        found = self._estimate(name)
        if found is None:
            return None
        low, high = found[0].interval()
        value = min(1.0, max(0.0, found[0].value))
        return Interval(value, max(0.0, low), min(1.0, high), _method(found[1]))

    def widened(self, plain: Difference, first: str, second: str) -> Difference:
        """The difference of two strategies on the human scale; as it was with too few grades by people."""
        # Where one and the same answer came the difference is 0, whoever grades it. Scores must not decide that: a
        # judge that finds two answers equal may be wrong.
        own, other = self.answered_by[first], self.answered_by[second]
        same = (np.abs(own - other) < _SAME).all(axis=1) & (own.max(axis=1) > 1 - _SAME)
        known = ~np.isnan(self.judge[first] + self.judge[second])
        # Each side by its own chances: those of two answers to one case to be drawn together are not their product.
        sides = [self._on_human_scale(name, same, known) for name in (first, second)]
        if plain.estimate is None or sides[0] is None or sides[1] is None:
            return plain
        values = sides[0].values - sides[1].values
        estimate = mean_estimate(values, self.groups[known], self.weight[known])
        if estimate is None:
            return plain
        estimate = replace(estimate, freedom=min(estimate.freedom, sides[0].freedom, sides[1].freedom))
        noninferior = estimate.p_above(-plain.margin)
        return replace(
            plain,
            delta=estimate.value,
            estimate=estimate,
            p_noninferior=noninferior,
            p_adjusted=estimate.p_value(),
            p_noninferior_adjusted=noninferior,
        )

    def note(self, name: str) -> str | None:
        """How the judge's error was allowed for."""
        found = self._estimate(name)
        return None if found is None else _method(found[1])

    def _estimate(self, name: str) -> tuple[Studentised, int] | None:
        exact = ~self.by_judge | self.failed[name]
        return prediction_powered(
            self.judge[name], self.human[name], exact, self.groups, self.weight, self.chance[name]
        )

    def _on_human_scale(self, name: str, same: BoolArray, known: BoolArray) -> _OnHumanScale | None:
        exact = ~self.by_judge | self.failed[name] | same
        judge, human, chance = (values[name][known] for values in (self.judge, self.human, self.chance))
        return _on_human_scale(judge, human, exact[known], self.weight[known], chance)


def prediction_powered(
    judge: FloatArray,
    human: FloatArray,
    exact: BoolArray,
    groups: Groups,
    weight: FloatArray,
    chance: FloatArray | None = None,
) -> tuple[Studentised, int] | None:
    """Returns the mean on the human scale, and how many grades by people it rests on; None with fewer than 30.

    The graded cases are taken as a random part of those that a judge scores, drawn with the chances that are given.

    Args:
        judge: value of each case by the judge, NaN where unknown, shape (n,).
        human: the same by people, NaN where nobody graded it, shape (n,).
        exact: cases whose value has no error of measurement, shape (n,).
        groups: cluster of each case, shape (n,).
        weight: of each case, shape (n,).
        chance: the probability with which each was drawn to be graded by people, NaN while unknown, shape (n,); all
            alike when left out.
    """
    known = ~np.isnan(judge)
    drawn = np.full(len(judge), np.nan) if chance is None else chance
    found = _on_human_scale(judge[known], human[known], exact[known], weight[known], drawn[known])
    estimate = None if found is None else mean_estimate(found.values, groups[known], weight[known])
    if found is None or estimate is None:
        return None
    return replace(estimate, freedom=min(estimate.freedom, found.freedom)), found.count


@dataclass(frozen=True, slots=True)
class _OnHumanScale:
    """Values of which the weighted mean is what people would say; `freedom` as the graded ones allow."""

    values: FloatArray
    freedom: float
    count: int


def _on_human_scale(
    judge: FloatArray, human: FloatArray, exact: BoolArray, weight: FloatArray, chance: FloatArray
) -> _OnHumanScale | None:
    """What each case adds to the mean on the human scale; None with too few grades by people."""
    labelled = ~np.isnan(human) & ~exact
    count = int(labelled.sum())
    if count < MIN_LABELS:
        return None
    # How many cases each graded one stands for.
    stands_for = labelled / complete_chance(chance, labelled, ~exact, weight)
    asked, open_ = weight * stands_for, weight * ~exact
    scale = float(open_.sum() / asked.sum())
    truth = np.where(labelled, human, 0.0)
    # With as much of the judge as makes it steadiest: the slope of what people say on what the judge says.
    told = truth[labelled] - np.average(truth[labelled], weights=asked[labelled])
    guess = judge[labelled] - np.average(judge[labelled], weights=asked[labelled])
    spread = float(np.average(guess**2, weights=asked[labelled]))
    power = float(np.average(told * guess, weights=asked[labelled])) / spread if spread > 0 else 0.0
    used = float(np.clip(power, 0.0, 1.0)) * judge
    # Mean of the judge over all, and of what people said beyond it over those that they graded.
    beyond = np.average(truth - used, weights=asked)
    values = np.where(exact, judge, used + beyond + scale * stands_for * (truth - used - beyond))
    # Kish's effective number of graded cases.
    effective = float(stands_for.sum() ** 2 / (stands_for**2).sum())
    return _OnHumanScale(values, effective - 1.0, count)


def complete_chance(chance: FloatArray, labelled: BoolArray, open_: BoolArray, weight: FloatArray) -> FloatArray:
    """Returns chances to be graded in which graded cases without a known one count as a random part of what is open.

    Args:
        chance: NaN while unknown, shape (n,).
        labelled: what people graded, shape (n,).
        open_: what they could have graded, shape (n,).
        weight: of each case, shape (n,).
    """
    unknown = labelled & ~(chance > 0)
    if not unknown.any():
        return np.where(labelled, chance, 1.0)
    share = float((weight * unknown).sum() / (weight * open_).sum())
    return np.where(labelled & ~unknown, chance, share)


def _method(labels: int) -> str:
    return f"prediction-powered, {labels} grades by people; the fixed mix, slices and AIQ stay on the judge's scale"
