"""Scores and costs of every model, expected from the prompt's text; or a fixed mix, where the text tells nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routebench.embedding import Embedder, find_embedder
from routebench.evaluate.choices import Choices, FloatArray, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.splits import folds
from routebench.evaluate.sweep import Joined
from routebench.strategies.base import Policy
from routebench.strategies.baselines import FixedMix
from routebench.strategies.learned.chance import Chance, by_chance
from routebench.strategies.learned.gain import Gain
from routebench.strategies.learned.ladder import Expected, Ladder, OutOfFold, by_gain, explained, least_squares
from routebench.strategies.learned.levels import smoothers
from routebench.strategies.learned.representation import Representation
from routebench.types import Request

_FOLDS = 5
_PROMPTS_APART = 2_000
_COST_LEVELS = ("surface", "text")


class Learned(Policy):
    """Expects every model's score and cost of a prompt, and picks the best score - lambda * (cost + stakes * P(wrong)).

    What is expected of scores is their contrast: a model's score less the prompt's mean over the models. A ladder of
    levels, from ridges on the prompt's surface and text over similar prompts and clusters to the recognised category,
    is trusted as far as it proves itself out of fold. Single models are on the curve too, and a model that often fails
    or abstains is also chosen together with another to fall back to. Where prompts do not tell models apart beyond
    chance, the policy abstains: it is the fixed mix.

    Args:
        embedder: an embedding model that reads prompts besides, or its name, such as `minilm`.
        gate: whether it abstains where prompts do not tell models apart beyond chance.

    Attributes:
        chance_: after `fit`: how often shuffled outcomes are explained as well; None without the gate.
        gain_: after `fit`: the out-of-fold gain over mixes of single models, in AIQ.
        trust_: after `fit`: how far each level is trusted.
        grounds_: after `fit`: the training outcomes by arm, and the cost weights of the curve.
    """

    name = "learned"
    chance_: Chance | None

    def __init__(self, embedder: Embedder | str | None = None, *, gate: bool = True) -> None:
        self.embedder = find_embedder(embedder) if isinstance(embedder, str) else embedder
        self.gate = gate
        if self.embedder is not None:
            self.name = f"learned:{self.embedder.name}"

    def _fit(self, outcomes: Outcomes) -> None:
        from threadpoolctl import threadpool_limits

        # The products are short: a second thread mostly waits for the first, and for other programs.
        with threadpool_limits(limits=1):
            self._learn(outcomes)

    def _learn(self, outcomes: Outcomes) -> None:
        self._representation = Representation(self.embedder).fit(outcomes.requests)
        rows, labels = self._representation.rows(outcomes.requests), outcomes.cases.category
        gain = Gain.of(outcomes)
        # Of few prompts a single partition into folds says little; of many, it is enough.
        times = int(np.clip(_PROMPTS_APART // outcomes.n, 1, _FOLDS))
        apart = OutOfFold(rows, labels, [fold for time in range(times) for fold in folds(outcomes, _FOLDS, seed=time)])
        scores, costs, self.gain_ = _out_of_fold(apart, gain)
        self.trust_ = scores.trust
        self.chance_ = None
        if self.gate:
            contrasts = gain.contrasts
            self.chance_ = by_chance(
                lambda order: explained(apart.expect(contrasts[order]), contrasts[order]), outcomes.keys
            )
        self.abstained = self.gain_ <= 0 or (self.chance_ is not None and not self.chance_.enough)
        self.grounds_ = gain
        self._apart = scores.expected, costs.expected
        self._rows = rows
        prepared = smoothers(rows, labels)
        self._scores = Ladder(prepared, gain.contrasts, scores.trust)
        self._costs = Ladder(prepared, gain.charges, costs.trust)
        self._mix = FixedMix().fit(outcomes)

    def expect(self, requests: Sequence[Request]) -> tuple[FloatArray, FloatArray]:
        """Returns expected contrasts of scores, and charges in US dollars, of n requests under a arms, shape (n, a)."""
        rows = self._representation.rows(requests)
        return self._scores.expect(rows), np.maximum(self._costs.expect(rows), 0.0)

    def expect_out_of_fold(self) -> tuple[FloatArray, FloatArray]:
        """Returns the same of the training prompts, each expected from the others."""
        return self._apart

    def expect_within(self, index: IntArray) -> tuple[FloatArray, FloatArray]:
        """Returns the same of some training prompts as if there were no others: their own outcomes are known.

        Whoever learns from these expectations, and is held out on the other prompts, has seen nothing of them.

        Args:
            index: positions of the prompts, shape (k,).
        """
        rows, gain = self._rows[index], self.grounds_
        prepared = smoothers(rows, self._train.cases.category[index])
        known = {name: weight for name, weight in self._scores.trust.items() if name in prepared}
        scores = Ladder(prepared, gain.contrasts[index], known).expect(rows)
        return scores, np.maximum(Ladder(prepared, gain.charges[index], self._costs.trust).expect(rows), 0.0)

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a lambda, from quality at any price to the cheapest, then the single models."""
        return self._curve(requests, None if self.abstained else self.expect(requests))

    def train_curve(self) -> Sequence[Choices]:
        """The curve on expectations from other prompts."""
        return self._curve(self._train.requests, None if self.abstained else self._apart)

    def _curve(self, requests: Sequence[Request], expected: tuple[FloatArray, FloatArray] | None) -> Joined:
        routed = self._mix.curve(requests) if expected is None else self.grounds_.curve(*expected)
        return Joined((routed, self.grounds_.constant(len(requests))))


class _Trusted:
    """What a ladder expects of the training prompts out of fold, and the trust in its levels."""

    def __init__(self, expected: Expected, trust: dict[str, float]) -> None:
        self.trust = trust
        self.expected = expected.combined(trust)


def _out_of_fold(apart: OutOfFold, gain: Gain) -> tuple[_Trusted, _Trusted, float]:
    """Trusts the levels by the outcomes of a gain, true or shuffled; returns scores, costs and what they gain."""
    costs = apart.expect(gain.charges, _COST_LEVELS)
    # Dollars are small numbers, and the trust does not depend on their unit.
    trusted_costs = _Trusted(costs, least_squares(costs, gain.charges))
    trusted_costs.expected = np.maximum(trusted_costs.expected, 0.0)
    contrasts = gain.contrasts
    scores = apart.expect(contrasts)
    trust, gained = by_gain(
        scores, least_squares(scores, contrasts), lambda expected: gain(expected, trusted_costs.expected)
    )
    return _Trusted(scores, trust), trusted_costs, gained
