"""Every form that a rule set could take, tried at every operating point on the training cases, out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from routebench.errors import NoEligibleModelError
from routebench.evaluate import Choices, Outcomes, Replayed, Strategy, replay
from routebench.evaluate.choices import ACCEPTED, NOBODY, BoolArray, Checks, FloatArray, IntArray
from routebench.evaluate.frontier import Hull, single_models, weighted_mean
from routebench.evaluate.paired import paired
from routebench.evaluate.protocol import decided_out_of_fold
from routebench.rules import RuleSet
from routebench.rules.guards import Gatekeeper
from routebench.strategies.learned.gain import Gain
from routebench.strategies.prompts import readings
from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.slices import Slices

_KEEPS = 0.8
"""A more readable form may be worth less than the best one by a fifth of its gain over the fixed mix."""


class Deployable(Strategy, Protocol):
    """A strategy that has a form in a rules.yaml at every operating point."""

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set."""
        ...


@dataclass(frozen=True, eq=False)
class Trial:
    """One form at the operating point that meets the constraint best.

    Attributes:
        form: fitted on the training half.
        point: as it did out of fold.
        replayed: likewise, a case at a time.
        gain: mean score above the fixed mix of two models at its own cost, out of fold.
        gain_se: its standard error; infinite where too few cases differ.
        over_baseline: mean score above the best single model, out of fold.
        curve_gain: what all operating points of the form gain over mixes of two models, out of fold, in AIQ.
    """

    form: Deployable
    point: Point
    replayed: Replayed
    gain: float
    gain_se: float
    over_baseline: float
    curve_gain: float

    @property
    def told(self) -> bool:
        """Whether the gain is more than its standard error."""
        return self.gain > self.gain_se

    def ruleset(self) -> RuleSet:
        """The rule set of this point."""
        return self.form.to_ruleset(self.point.index)


@dataclass(frozen=True, eq=False)
class Ground:
    """What all trials are held on: the training half, and what stands above any form.

    Attributes:
        train: the training half.
        slices: of it.
        allowed: which models guards and limits allow each case, shape (n, m); None where they allow everything.
        baseline: the best single model's chain.
        gain: measures operating points against mixes of two models.
    """

    train: Outcomes
    slices: Slices
    allowed: BoolArray | None
    baseline: tuple[str, ...]
    gain: Gain

    @property
    def best_quality(self) -> float:
        """Of the best single model."""
        return max(single.quality for single in single_models(self.train))

    def of(self, form: Deployable, constraints: Constraints) -> Trial | None:
        """Tries every operating point of a fitted form; None where none is known to meet the constraint."""
        bar = replay(self.train, Choices.same(self.train.models, self.baseline[:1], self.train.n)).score
        replays = [self._replay(choices) for choices in decided_out_of_fold(form, self.train)]
        points = [self._point(place, one, bar, constraints) for place, one in enumerate(replays)]
        point = choose(points, constraints, self.best_quality)
        if point is None:
            return None
        replayed = replays[point.index]
        gain, error = gain_over_mix(self.train, replayed)
        over = weighted_mean(replayed.score - bar, self.train.weight)
        if over is None:
            return None
        costs = np.array([np.nan if one.cost_usd_per_1k is None else one.cost_usd_per_1k / 1000 for one in points])
        curve_gain = self.gain.of_curve(costs, np.array([one.quality for one in points]))
        return Trial(form, point, replayed, gain, error, over, curve_gain)

    def _replay(self, choices: Choices) -> Replayed:
        pairs = zip(choices.parts, choices.checks_by_part, strict=True)
        held = [(share, *self._held(chains, checks)) for (share, chains), checks in pairs]
        parts = tuple((share, chains) for share, chains, _ in held)
        checks = tuple(checks for _, _, checks in held) if choices.checks else ()
        return replay(self.train, replace(choices, parts=parts, checks=checks))

    def _held(self, chains: IntArray, checks: Checks | None) -> tuple[IntArray, Checks | None]:
        """Chains under the rule for small slices and under the guards, as the runtime would have them."""
        models = self.train.models
        width = max(chains.shape[1], len(self.baseline), 0 if self.allowed is None else len(models))
        held = np.pad(chains, ((0, 0), (0, width - chains.shape[1])), constant_values=-1)
        verdicts = None if checks is None else checks.verdicts
        if verdicts is not None:
            more = ((0, 0), (0, width - verdicts.shape[1]), (0, 0))
            verdicts = np.pad(verdicts, more, constant_values=ACCEPTED)
        kept = np.flatnonzero(self.slices.kept)
        held[kept] = -1
        held[kept, : len(self.baseline)] = [models.index(name) for name in self.baseline]
        if verdicts is not None:
            verdicts[kept] = ACCEPTED
        allowed = np.ones((len(held), len(models)), dtype=bool) if self.allowed is None else self.allowed
        refused = (held >= 0) & ~np.take_along_axis(allowed, np.maximum(held, 0), axis=1)
        for row in np.flatnonzero(refused.any(axis=1)):
            left = np.flatnonzero((held[row] >= 0) & ~refused[row])
            chain = held[row, left] if len(left) else np.array([*np.flatnonzero(allowed[row])] or [NOBODY])
            held[row] = -1
            held[row, : len(chain)] = chain
            if verdicts is not None:
                told = verdicts[row, left]
                verdicts[row] = ACCEPTED
                verdicts[row, : len(told)] = told
        return held, None if checks is None else replace(checks, verdicts=verdicts)

    def _point(self, place: int, one: Replayed, bar: FloatArray, constraints: Constraints) -> Point:
        cost = weighted_mean(one.cost_usd, self.train.weight)
        quality = weighted_mean(one.score, self.train.weight)
        worst = self.slices.worst(one.score - bar)
        return Point(
            place,
            0.0 if quality is None else quality,
            None if cost is None else 1000 * cost,
            one.latency_quantile(0.95),
            None if worst is None else worst[1],
            self._error(one.score if constraints.min_quality is not None else one.score - bar),
        )

    def _error(self, values: FloatArray) -> float:
        """The standard error of a weighted mean over groups."""
        known = ~np.isnan(values)
        weight = self.train.weight[known]
        if not weight.sum():
            return 0.0
        apart = weight * (values[known] - np.average(values[known], weights=weight))
        return float(np.sqrt((np.bincount(self.train.cases.cluster[known], weights=apart) ** 2).sum()) / weight.sum())


def allowed_by(ruleset: RuleSet, train: Outcomes) -> BoolArray | None:
    """Returns which models the guards and limits of a rule set allow each case; None where they allow everything."""
    gatekeeper = Gatekeeper(ruleset)
    allowed = np.zeros((train.n, len(train.models)), dtype=bool)
    for row, reading in enumerate(readings(train.requests)):
        try:
            models = gatekeeper.admit(reading).models
        except NoEligibleModelError:
            continue
        allowed[row, [train.models.index(name) for name in models]] = True
    return None if allowed.all() else allowed


def gain_over_mix(train: Outcomes, one: Replayed) -> tuple[float, float]:
    """Mean gain over the fixed mix at the same training cost, and its standard error, infinite where too few differ."""
    hull = Hull.of(single_models(train))
    cost = weighted_mean(one.cost_usd, train.weight)
    shares = hull.mix_at(float("inf") if cost is None else cost)
    parts = [Choices.same(train.models, (name,), train.n) for name in shares]
    mix = replay(train, Choices.mix(list(shares.values()), parts))
    difference = paired(one.score, mix.score, train.keys, train.weight)
    if difference.ci95 is None:
        return difference.delta, float("inf")
    return difference.delta, (difference.ci95[1] - difference.ci95[0]) / (2 * 1.96)


def best_of(trials: Sequence[Trial], constraints: Constraints, rate: float) -> tuple[Trial, Trial | None]:
    """Returns the trial to use and the runner-up.

    The best one by the constraint is used, or the first that is worth nearly as much: the forms come with the more
    readable ones first. What a trial is worth is its score less its cost, at the rate at which mixes trade them.
    """
    points = [replace(trial.point, index=place) for place, trial in enumerate(trials)]
    ranked = sorted(points, key=constraints.rank)
    first = trials[ranked[0].index]
    least = _worth(first, rate) - (1 - _KEEPS) * max(0.0, first.gain)
    best = next((one for one in trials[: ranked[0].index] if _worth(one, rate) >= least), first)
    others = [trials[point.index] for point in ranked if trials[point.index] is not best]
    return best, others[0] if others else None


def _worth(trial: Trial, rate: float) -> float:
    cost = trial.point.cost_usd_per_1k
    if cost is None:
        # An unknown cost must not look like a bargain; where costs buy nothing, it does not matter.
        return trial.point.quality if rate == 0 else float("-inf")
    return trial.point.quality - rate * cost


def exchange_rate(train: Outcomes) -> float:
    """Returns the score that a US dollar more for 1,000 requests buys with mixes of the cheapest and the best model."""
    hull = Hull.of(single_models(train))
    cost = 1000 * float(hull.cost_usd[-1] - hull.cost_usd[0])
    return float(hull.quality[-1] - hull.quality[0]) / cost if cost > 0 else 0.0
