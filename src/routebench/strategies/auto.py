"""The strategies that choose among strategies, on train alone; or a fixed mix, where prompts tell nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.embedding import Embedder, find_embedder
from routebench.errors import OutcomesError
from routebench.evaluate.choices import Choices, FloatArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.protocol import decided_out_of_fold
from routebench.evaluate.replay import replay
from routebench.evaluate.sweep import Joined
from routebench.strategies.base import Policy
from routebench.strategies.cascade import Cascade
from routebench.strategies.complexity import Complexity
from routebench.strategies.cost_threshold import CostThreshold
from routebench.strategies.learned.gain import Gain
from routebench.strategies.learned.strategy import Learned
from routebench.strategies.similarity import Similarity
from routebench.types import Request

_RESAMPLES = 40


@dataclass(frozen=True, slots=True)
class Candidate:
    """A strategy that could be chosen, as it did on the training cases out of fold.

    Attributes:
        gain: over mixes of single models, in AIQ.
        lead: of its gain over the first candidate's.
        lead_se: standard error of that lead, by resampled groups.
    """

    policy: Policy
    gain: float
    lead: float
    lead_se: float


class Auto(Policy):
    """Chooses among strategies that decide from the prompt alone, by their out-of-fold gain on train.

    The first candidate learns from the text in every way at once, and is fitted first: where it finds that prompts do
    not tell models apart beyond chance, nothing is chosen and the fixed mix stands. Another candidate is preferred only
    where its lead over the first is more than one standard error: the largest of several gains is partly luck.

    Args:
        embedder: an embedding model that reads prompts besides, or its name, such as `minilm`.

    Attributes:
        chosen_: after `fit`: the strategy that decides.
        candidates_: after `fit`: all of them, the first included; it alone where it abstains.
    """

    name = "auto"
    chosen_: Policy
    candidates_: tuple[Candidate, ...]

    def __init__(self, embedder: Embedder | str | None = None) -> None:
        self.embedder = find_embedder(embedder) if isinstance(embedder, str) else embedder
        if self.embedder is not None:
            self.name = f"{self.name}:{self.embedder.name}"

    def _fit(self, outcomes: Outcomes) -> None:
        first = Learned(self.embedder).fit(outcomes)
        self.abstained = first.abstained
        others: Sequence[Policy] = () if first.abstained else (Similarity(self.embedder), Complexity(), CostThreshold())
        self.candidates_ = _held_out([first, *(one.fit(outcomes) for one in others)], outcomes)
        ahead = [one for one in self.candidates_ if one.lead > one.lead_se]
        self.chosen_ = max(ahead, key=lambda one: one.gain).policy if ahead else first

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """The curve of the strategy that was chosen."""
        return self.chosen_.curve(requests)

    def train_curve(self) -> Sequence[Choices]:
        """Its out-of-fold curve."""
        return self.chosen_.train_curve()


class AutoCascade(Auto):
    """Chooses as `auto` does, and beside it learns cascades, which look at answers before they decide.

    Its operating points are those of both. Where cascades are not surely better than a fixed mix, or answers are not
    kept, it is `auto`.

    Attributes:
        cascade_: after `fit`: the cascades; None where there are none.
        without_cascade_: after `fit`: why there are none, in words; None where there are some.
    """

    name = "auto_cascade"
    cascade_: Cascade | None
    without_cascade_: str | None

    def _fit(self, outcomes: Outcomes) -> None:
        super()._fit(outcomes)
        self.cascade_, self.without_cascade_ = None, None
        try:
            cascade = Cascade().fit(outcomes)
        except OutcomesError as error:
            self.without_cascade_ = str(error)
            return
        if cascade.abstained:
            self.without_cascade_ = "no cascade is surely better than a fixed mix on the training cases"
            return
        self.abstained = False
        self.cascade_ = cascade

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """The operating points of both; `check` says which answers are kept."""
        curve = super().curve(requests)
        return curve if self.cascade_ is None else Joined((curve, self.cascade_.curve(requests)))

    def train_curve(self) -> Sequence[Choices]:
        """The same, out of fold."""
        curve = super().train_curve()
        return curve if self.cascade_ is None else Joined((curve, self.cascade_.train_curve()))

    def check(self, choices: Choices, outcomes: Outcomes) -> Choices:
        """Looks at the recorded answers that cascades come to.

        Raises:
            OutcomesError: none is kept.
        """
        return choices if self.cascade_ is None else self.cascade_.check(choices, outcomes)


def _held_out(policies: Sequence[Policy], train: Outcomes) -> tuple[Candidate, ...]:
    """What each policy gains out of fold, and its lead over the first."""
    gain = Gain.of(train)
    # Cost and score of every case at every operating point: resampled groups are then sums over rows.
    tables = [_table(policy, train) for policy in policies]
    names, member = np.unique(train.keys, return_inverse=True)
    draw = np.random.default_rng(0)
    weights = [train.weight]
    for _ in range(_RESAMPLES if len(policies) > 1 else 0):
        counts = np.bincount(draw.integers(0, len(names), len(names)), minlength=len(names))
        weights.append(train.weight * counts[member])
    gains = np.array([[_gain(gain.weighed(weight), *table, weight) for table in tables] for weight in weights])
    leads = gains - gains[:, :1]
    spread = leads[1:].std(axis=0) if len(leads) > 1 else np.zeros(len(policies))
    return tuple(
        Candidate(policy, float(gains[0, place]), float(leads[0, place]), float(spread[place]))
        for place, policy in enumerate(policies)
    )


def _table(policy: Policy, train: Outcomes) -> tuple[FloatArray, FloatArray]:
    replays = [replay(train, choices) for choices in decided_out_of_fold(policy, train)]
    return np.array([one.cost_usd for one in replays]), np.array([one.score for one in replays])


def _gain(gain: Gain, cost: FloatArray, score: FloatArray, weight: FloatArray) -> float:
    return gain.of_curve(_means(cost, weight), _means(score, weight))


def _means(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted means of what is known, one an operating point."""
    known = ~np.isnan(values)
    total = known @ weight
    sums: FloatArray = np.nan_to_num(values) @ weight
    return np.asarray(np.divide(sums, total, out=np.full(len(values), np.nan), where=total > 0))
