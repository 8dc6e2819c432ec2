"""The cheapest model unless a request looks costly to get wrong: one number of the request, one threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from routebench.errors import InputError, OutcomesError
from routebench.evaluate.cases import rows_of
from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.frontier import single_models
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.splits import folds
from routebench.evaluate.sweep import sweep_pairs
from routebench.rules import Default, Guard, Reading, Rule, RuleSet
from routebench.strategies.base import Policy, lambda_grid
from routebench.strategies.prompts import readings
from routebench.strategies.tiers import Ladder, chain_choices
from routebench.types import Model, Request

SIGNALS: Mapping[str, Callable[[Reading], float]] = {
    "input_tokens": lambda reading: reading.input_tokens,
    "words": lambda reading: len(reading.text("user").words),
    "turns": lambda reading: reading.turns,
    "digits": lambda reading: reading.text("user").digits,
    "has_code": lambda reading: reading.text("user").has_code,
    "has_tools": lambda reading: bool(reading.request.tools),
    "json_schema": lambda reading: reading.wants_json_schema,
    "has_images": lambda reading: reading.has_images,
}
"""What a request can look costly by: keys of a condition."""
_YES_OR_NO = frozenset({"has_code", "has_tools", "json_schema", "has_images"})
_MOST_CUTS = 24
"""Thresholds tried a signal: more would only fit the training cases closer."""
_Z = 1.0
"""Standard errors by which a rule has to beat the best single model at its own cost weight; below it there is none."""


@dataclass(frozen=True, slots=True)
class CostRule:
    """Requests whose signal is at least `at` go to the place `high`, the others to `low`.

    Attributes:
        signal: None where every request goes to `low`.
    """

    low: int
    high: int
    signal: str | None = None
    at: float = 0.0

    def of(self, signals: Mapping[str, FloatArray], n: int) -> IntArray:
        """Returns the place that each of n requests goes to, shape (n,)."""
        if self.signal is None:
            return np.full(n, self.low, dtype=np.intp)
        return np.where(signals[self.signal] >= self.at, self.high, self.low)

    def when(self, *, above: bool) -> dict[str, Any]:
        """Returns the condition for requests above the threshold, or below it."""
        assert self.signal is not None
        if self.signal in _YES_OR_NO:
            return {self.signal: above}
        at = int(self.at) if self.at == int(self.at) else self.at
        return {self.signal: {"ge" if above else "lt": at}}


class CostThreshold(Policy):
    """One readable threshold between two models; one point a trade of score for cost.

    For every cost weight the signal, the pair of models and the threshold with the best training score - weight * cost
    are taken, and where they do not beat the best single model by a standard error, that model.

    Args:
        max_cost_usd_per_request: models whose mean training cost is above it, or unknown, are never chosen.
        models: settings of the models for `to_ruleset`; by name only when left out.
        guards: guards that every rule set carries.
    """

    name = "cost_threshold"
    rules_: list[CostRule]

    def __init__(
        self,
        max_cost_usd_per_request: float | None = None,
        *,
        models: Sequence[Model] = (),
        guards: Sequence[Guard] = (),
    ) -> None:
        self.max_cost_usd_per_request = max_cost_usd_per_request
        if max_cost_usd_per_request is not None:
            self.name = f"cost_threshold:{max_cost_usd_per_request:g}"
        self.models = tuple(models)
        self.guards = tuple(guards)

    @classmethod
    def within(cls, cap: str) -> Self:
        """Reads the argument of `cost_threshold:0.01`, US dollars a request.

        Raises:
            InputError: it is no amount.
        """
        try:
            amount = float(cap)
        except ValueError:
            amount = -1.0
        if not 0 < amount < float("inf"):
            raise InputError(f"cost_threshold:{cap}: {cap!r} is no amount in US dollars; write cost_threshold:0.01")
        return cls(amount)

    def _fit(self, outcomes: Outcomes) -> None:
        affordable = outcomes.select(self._affordable(outcomes))
        ladder = Ladder.of(affordable, affordable.models)
        known = ladder.known
        self.chains_, self._known = ladder.chains, known
        self._scores, self._costs = ladder.scores[known], ladder.costs_usd[known]
        graded = affordable.take(known)
        self._weight = graded.weight
        self._rates = lambda_grid(self._costs.mean(axis=0))
        self._signals = signals_of(graded.requests)
        self._folds = list(folds(graded, n_folds=5))
        self.rules_ = self._sweep(np.arange(graded.n))

    def _affordable(self, outcomes: Outcomes) -> list[str]:
        """The models within the cap, by growing cost; an unknown cost is the dearest."""
        singles = single_models(outcomes)
        by_cost = sorted(singles, key=lambda one: np.inf if one.cost_usd is None else one.cost_usd)
        cap = self.max_cost_usd_per_request
        found = [one.name for one in by_cost if cap is None or (one.cost_usd is not None and one.cost_usd <= cap)]
        if not found:
            least = by_cost[0]
            costs = "has no known cost" if least.cost_usd is None else f"costs {least.cost_usd:.3g}"
            raise OutcomesError(
                f"{self.name}: no model of suite {outcomes.suite!r} costs at most {cap:g} US dollars a request on the "
                f"training cases; {least.name} {costs}; raise max_cost_usd_per_request"
            )
        return found

    def _sweep(self, index: IntArray) -> list[CostRule]:
        """The best rule on some of the cases, one a cost weight."""
        scores, costs, weight = self._scores[index], self._costs[index], self._weight[index]
        signals = {name: values[index] for name, values in self._signals.items()}
        found: list[tuple[CostRule, float, float]] = []
        for name, values in signals.items():
            cuts = _cuts(values)
            if len(cuts):
                binned = np.searchsorted(cuts, values, side="right").astype(float)
                found += [
                    (CostRule(one.low, one.high, name, float(cuts[int(one.threshold) - 1])), one.cost_usd, one.quality)
                    for one in sweep_pairs(binned, scores, costs, weight)
                    if 1 <= one.threshold <= len(cuts)
                ]
        quality, cost = np.array([one[2] for one in found]), np.array([one[1] for one in found])
        chosen = []
        for rate in self._rates:
            utility = scores - rate * costs
            single = int(np.argmax(weight @ utility))
            alone = CostRule(single, single)
            best = found[int(np.argmax(quality - rate * cost))][0] if found else alone
            gained = utility[np.arange(len(index)), best.of(signals, len(index))] - utility[:, single]
            chosen.append(best if _surely_gains(gained, weight) else alone)
        return chosen

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest."""
        signals, n = signals_of(requests), len(requests)
        return [
            chain_choices(self.models_, self.chains_, rule.of(signals, n), self._label(rule)) for rule in self.rules_
        ]

    def train_curve(self) -> Sequence[Choices]:
        """The curve by rules that were chosen without the case, five folds by group."""
        signals, n = signals_of(self._train.requests), self._train.n
        places = [rule.of(signals, n) for rule in self.rules_]
        for inside, outside in self._folds:
            part = {name: values[outside] for name, values in self._signals.items()}
            for row, rule in zip(places, self._sweep(inside), strict=True):
                row[self._known[outside]] = rule.of(part, len(outside))
        return [
            chain_choices(self.models_, self.chains_, row, f"lambda={rate:.3g}")
            for row, rate in zip(places, self._rates, strict=True)
        ]

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set of one rule, for the dearer model, and a default."""
        rule = self.rules_[point]
        given = {model.name: model for model in self.models}
        rules: tuple[Rule, ...] = ()
        cheap = min(rule.low, rule.high)
        if rule.signal is not None:
            above = rule.high > rule.low
            rules = (Rule(rule.signal, rule.when(above=above), self.chains_[max(rule.low, rule.high)]),)
        return RuleSet(
            name=self.name,
            models={name: given.get(name, Model(name, provider="recorded", model=name)) for name in self.models_},
            guards=self.guards,
            rules=rules,
            default=Default(route=self.chains_[cheap]),
        )

    def _label(self, rule: CostRule) -> str:
        low, high = self.chains_[rule.low][0], self.chains_[rule.high][0]
        if rule.signal is None:
            return f"always {low}"
        what = rule.signal if rule.signal in _YES_OR_NO else f"{rule.signal} >= {rule.at:g}"
        return f"{what} {high}, else {low}"


def signals_of(requests: Sequence[Request]) -> dict[str, FloatArray]:
    """Returns every signal of each request, by name, shape (n,) each; worked out once a suite."""

    def read(some: Sequence[Request]) -> FloatArray:
        rows = [[float(of(reading)) for of in SIGNALS.values()] for reading in readings(some)]
        return np.array(rows, dtype=float).reshape(len(rows), len(SIGNALS))

    table: FloatArray = rows_of(requests, "signals of cost", read)
    return dict(zip(SIGNALS, table.T, strict=True))


def _cuts(values: FloatArray) -> FloatArray:
    """Thresholds worth trying: values of the signal itself, evenly over the requests, none that all are above."""
    distinct = np.unique(values)[1:]
    if len(distinct) <= _MOST_CUTS:
        return distinct
    spread = np.quantile(values, np.linspace(0, 1, _MOST_CUTS + 2)[1:-1], method="higher")
    return np.unique(spread[spread > values.min()])


def _surely_gains(gained: FloatArray, weight: FloatArray) -> bool:
    share = weight / weight.sum()
    mean = float(share @ gained)
    return mean > _Z * float(np.sqrt(share**2 @ (gained - mean) ** 2))
