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
