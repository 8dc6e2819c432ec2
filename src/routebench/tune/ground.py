"""The training half as every form meets it: under guards, and with small slices where they stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from routebench.errors import NoEligibleModelError
from routebench.evaluate import Choices, Outcomes, Replayed, replay
from routebench.evaluate.choices import ACCEPTED, NOBODY, BoolArray, Checks, FloatArray, IntArray
from routebench.evaluate.frontier import Hull, SingleModel, single_models, weighted_mean
from routebench.evaluate.paired import Difference, paired
from routebench.evaluate.stakes import damage_of
from routebench.rules import RuleSet
from routebench.rules.guards import Gatekeeper
from routebench.strategies.learned.gain import Gain
from routebench.strategies.prompts import readings
from routebench.tune.constraints import Point
from routebench.tune.slices import Slices


@dataclass(frozen=True, eq=False)
class Ground:
    """What all forms are tried on: the training half, and what stands above any form.

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

    @cached_property
    def singles(self) -> tuple[SingleModel, ...]:
        """Every model alone."""
        return single_models(self.train)

    @property
    def best_quality(self) -> float:
        """Of the best single model."""
        return max(single.quality for single in self.singles)

    @cached_property
    def hull(self) -> Hull:
        """What mixes of two single models reach."""
        return Hull.of(self.singles)

    @cached_property
    def alone(self) -> Mapping[str, FloatArray]:
        """Model -> its score on every case, failures 0, NaN where a cell is missing; shape (n,)."""
        models, n = self.train.models, self.train.n
        return {name: replay(self.train, Choices.same(models, (name,), n)).score for name in models}

    @property
    def bar(self) -> FloatArray:
        """The best single model's score on every case, shape (n,)."""
        return self.alone[self.baseline[0]]

    def replay(self, choices: Choices) -> Replayed:
        """Replays decisions as the runtime would have them under the guards and the rule for small slices."""
        return replay(self.train, self.held(choices))

    def held(self, choices: Choices) -> Choices:
        """Returns decisions as the runtime would have them under the guards and the rule for small slices."""
        pairs = zip(choices.parts, choices.checks_by_part, strict=True)
        held = [(share, *self._held(chains, checks)) for (share, chains), checks in pairs]
        parts = tuple((share, chains) for share, chains, _ in held)
        checks = tuple(checks for _, _, checks in held) if choices.checks else ()
        return replace(choices, parts=parts, checks=checks)

    def _held(self, chains: IntArray, checks: Checks | None) -> tuple[IntArray, Checks | None]:
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

    def point(self, place: int, one: Replayed, n_rules: int = 0) -> Point:
        """Returns what an operating point reaches."""
        weight = self.train.weight
        cost = weighted_mean(one.cost_usd, weight)
        quality = weighted_mean(one.score, weight)
        worst = self.slices.worst(one.score - self.bar)
        return Point(
            place,
            0.0 if quality is None else quality,
            None if cost is None else 1000 * cost,
            one.latency_quantile(0.95),
            None if worst is None else worst[1],
            self._error(one.score - self.bar),
            self._error(one.score),
            damage_of(one.score, self.train.cases.stakes_usd, weight).usd_per_1k,
            n_rules,
            None if worst is None else worst[0],
        )

    def mix(self, cost_usd: float | None) -> tuple[Mapping[str, float], FloatArray]:
        """Returns the shares of the best mix of two models at a cost, the dearest where it is unknown, and its scores.

        Args:
            cost_usd: of a request.
        """
        shares = self.hull.mix_at(float("inf") if cost_usd is None else cost_usd)
        scores = np.zeros(self.train.n)
        for name, share in shares.items():
            scores += share * self.alone[name]
        return shares, scores

    def over_mix(self, score: FloatArray, cost_usd: FloatArray) -> Difference:
        """Returns how far a policy is above the mix of two models at its own cost, on the same cases.

        Args:
            score: of the policy, shape (n,).
            cost_usd: of the policy, shape (n,).
        """
        _, mixed = self.mix(weighted_mean(cost_usd, self.train.weight))
        return self.compared(score, mixed)

    def compared(self, first: FloatArray, second: FloatArray) -> Difference:
        """Returns the paired difference of two policies' scores, shape (n,) each."""
        return paired(first, second, self.train.cases.cluster, self.train.weight)

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
