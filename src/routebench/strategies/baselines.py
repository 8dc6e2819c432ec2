"""The policies that embarrass routers; every comparison shows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routebench.errors import OutcomesError, nearest
from routebench.evaluate.choices import Choices
from routebench.evaluate.frontier import Hull, SingleModel, oracle_curve, single_models, weighted_mean
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.replay import replay
from routebench.strategies.base import Policy
from routebench.types import Request

_FALLBACK_FROM = 0.02
"""A model that fails more often than this on train is also tried as the head of a chain with a fallback."""


class Always(Policy):
    """One chain for every request: a model, and perhaps others to fall back to.

    Args:
        models: the chain, such as `"small"` or `"tool>small"`.
    """

    kind = "model"

    def __init__(self, models: str) -> None:
        self.chain = tuple(part.strip() for part in models.split(">"))
        self.name = f"always:{'>'.join(self.chain)}"

    def _fit(self, outcomes: Outcomes) -> None:
        for model in self.chain:
            if model not in outcomes.models:
                known = ", ".join(outcomes.models)
                raise OutcomesError(f"{self.name}: no model {model!r}{nearest(model, outcomes.models)}; known: {known}")

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point."""
        return [Choices.same(self.models_, self.chain, len(requests), label=self.name)]


class _ChosenOnTrain(Policy):
    """One model for every request, chosen by its training means."""

    kind = "reference"
    model_: str

    def _fit(self, outcomes: Outcomes) -> None:
        self.model_ = self._choose(single_models(outcomes)).name

    def _choose(self, singles: Sequence[SingleModel]) -> SingleModel:
        raise NotImplementedError

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point."""
        return [Choices.same(self.models_, (self.model_,), len(requests), label=f"always {self.model_}")]


class BestSingle(_ChosenOnTrain):
    """The model with the best training quality, failures counted as 0; of equals the cheaper."""

    name = "best_single"

    def _choose(self, singles: Sequence[SingleModel]) -> SingleModel:
        return max(singles, key=lambda single: (single.quality, -cost_of(single)))


class Cheapest(_ChosenOnTrain):
    """The model with the least training cost among those that answer at least half the cases."""

    name = "cheapest"

    def _choose(self, singles: Sequence[SingleModel]) -> SingleModel:
        usable = [single for single in singles if single.usable] or list(singles)
        return min(usable, key=lambda single: (cost_of(single), -single.quality))


class BestChain(Policy):
    """The best model with the best fallback, for every request: what a tool that abstains gives without any rule."""

    name = "best_chain"
    kind = "reference"
    chain_: tuple[str, ...]

    def _fit(self, outcomes: Outcomes) -> None:
        def quality_then_cost(chain: tuple[str, ...]) -> tuple[float, float]:
            found = replay(outcomes, Choices.same(outcomes.models, chain, outcomes.n))
            quality = weighted_mean(found.score, outcomes.weight)
            cost = weighted_mean(found.cost_usd, outcomes.weight)
            return (-1.0 if quality is None else quality, -float("inf") if cost is None else -cost)

        self.chain_ = max(chains_to_try(outcomes), key=quality_then_cost)

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point."""
        return [Choices.same(self.models_, self.chain_, len(requests), label=" > ".join(self.chain_))]


class RandomMix(Policy):
    """Every model with the same share."""

    name = "random_mix"
    kind = "reference"

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point, in expectation over the draw."""
        n, m = len(requests), len(self.models_)
        parts = [Choices.same(self.models_, (model,), n) for model in self.models_]
        return [Choices.mix([1 / m] * m, parts, label="every model alike")]


class FixedMix(Policy):
    """The best mix of two single models, chosen on train: the deployable twin of the Zero router.

    Args:
        points: how many mixes along the hull.
    """

    name = "fixed_mix"
    kind = "reference"

    def __init__(self, points: int = 21) -> None:
        self.points = points

    def _fit(self, outcomes: Outcomes) -> None:
        self._hull = Hull.of(single_models(outcomes))

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Mixes along the training hull, from the cheapest model to the best."""
        low, high = self._hull.cost_range
        budgets = np.linspace(low, high, self.points) if high > low else np.array([low])
        return [self.at_cost(float(budget), len(requests)) for budget in budgets]

    def at_cost(self, cost_usd: float, n: int) -> Choices:
        """The mix that costs so much a request on train, for n requests."""
        shares = self._hull.mix_at(cost_usd)
        parts = [Choices.same(self.models_, (name,), n) for name in shares]
        label = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
        return Choices.mix(list(shares.values()), parts, label=label)


class Oracle(Policy):
    """Sees every outcome and picks the best for each case: the upper bound, no candidate."""

    name = "oracle"
    kind = "reference"

    def peek(self, outcomes: Outcomes) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest."""
        return oracle_curve(outcomes)

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Never called: an oracle cannot decide without outcomes."""
        raise OutcomesError(f"{self.name} needs the outcomes of the {len(requests)} requests; it cannot be deployed")


def cost_of(single: SingleModel) -> float:
    """Returns a model's cost to sort by; an unknown one sorts as the dearest."""
    return single.cost_usd if single.cost_usd is not None else float("inf")


def chains_to_try(outcomes: Outcomes) -> list[tuple[str, ...]]:
    """Returns every single model, and for models that often fail or abstain every pair with a fallback."""
    singles = [(name,) for name in outcomes.models]
    failing = [
        name
        for name in outcomes.models
        if np.nanmean(replay(outcomes, Choices.same(outcomes.models, (name,), outcomes.n)).failed) > _FALLBACK_FROM
    ]
    return [*singles, *((head, name) for head in failing for name in outcomes.models if name != head)]
