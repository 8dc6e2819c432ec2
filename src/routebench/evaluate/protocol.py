"""What evaluation knows of a strategy, and all that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, Self, runtime_checkable

from routebench.evaluate.choices import Choices
from routebench.evaluate.outcomes import Outcomes
from routebench.types import Request

Kind = Literal["model", "strategy", "reference", "today"]
"""One model for everything, a candidate for production, a bar that candidates are held against, or the router that the
team runs now."""


class Strategy(Protocol):
    """A routing policy that can be replayed on outcomes.

    `fit` sees training outcomes only. `curve` gives the same number of operating points, in the same order, for any
    requests; a policy without a knob has one point. `train_curve` is the curve on the training cases with every
    prediction made out of fold, so that an operating point chosen on it is not flattered.

    Attributes:
        name: what tables call it.
        abstained: after `fit`: whether the evidence was too thin and a fixed mix stands in.
    """

    name: str
    abstained: bool

    @property
    def kind(self) -> Kind:
        """What it is compared as."""
        ...

    def fit(self, outcomes: Outcomes) -> Self:
        """Learns from training outcomes and returns self."""
        ...

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """Decisions for n requests at every operating point."""
        ...

    def train_curve(self) -> Sequence[Choices]:
        """Out-of-fold decisions for the cases of `fit`, at every operating point."""
        ...


@runtime_checkable
class Peeking(Protocol):
    """A reference, not a candidate: it looks at labels or outcomes of what it decides, and says so by this method."""

    def peek(self, outcomes: Outcomes) -> Sequence[Choices]:
        """Decisions at every operating point, with labels and outcomes in view."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A candidate whose decisions go on after an answer: which model is asked next depends on what was answered.

    It peeks at nothing: production has each of these answers in hand before it asks the next model.
    """

    def check(self, choices: Choices, outcomes: Outcomes) -> Choices:
        """Returns choices for the cases of some outcomes with the verdicts on their recorded answers.

        Raises:
            OutcomesError: answers are checked, and none is at hand.
        """
        ...


def decided(strategy: Strategy, outcomes: Outcomes) -> Sequence[Choices]:
    """Returns what a fitted strategy does with cases, at every operating point, ready to be replayed on them.

    This and `decided_out_of_fold` are the only ways from a strategy to a replay: whatever a strategy needs to see
    beyond requests, it gets here.

    Raises:
        OutcomesError: it needs what the outcomes do not hold.
    """
    curve = strategy.peek(outcomes) if isinstance(strategy, Peeking) else strategy.curve(outcomes.requests)
    return _checked(strategy, curve, outcomes)


def decided_out_of_fold(strategy: Strategy, train: Outcomes) -> Sequence[Choices]:
    """Returns the same for the cases that the strategy was fitted on, every prediction made out of fold.

    Raises:
        OutcomesError: it needs what the outcomes do not hold.
    """
    curve = strategy.peek(train) if isinstance(strategy, Peeking) else strategy.train_curve()
    return _checked(strategy, curve, train)


def _checked(strategy: Strategy, curve: Sequence[Choices], outcomes: Outcomes) -> Sequence[Choices]:
    return [strategy.check(one, outcomes) for one in curve] if isinstance(strategy, Checking) else curve
