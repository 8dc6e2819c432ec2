"""What a teacher expects of the training prompts, beside what was seen of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.sweep import LambdaSweep
from routebench.strategies.base import lambda_grid
from routebench.strategies.learned.gain import Gain
from routebench.strategies.learned.strategy import Learned

_POINTS = 20
_RATES_LOOKED_AT = 801


@dataclass(frozen=True, eq=False)
class Lesson:
    """n training prompts under m models.

    Attributes:
        scores: expected contrasts of scores, shape (n, m).
        costs: expected US dollars, shape (n, m).
        seen_scores: contrasts of the scores that were seen, shape (n, m).
        seen_costs: US dollars that were seen, shape (n, m).
        weight: requests that each prompt stands for, shape (n,).
    """

    scores: FloatArray
    costs: FloatArray
    seen_scores: FloatArray
    seen_costs: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, teacher: Learned, train: Outcomes) -> Self:
        """Asks a teacher that was fitted on these training outcomes.

        What it expects of a prompt is averaged from two answers: one that knows the prompt's own outcomes, and one from
        other prompts alone. The first is too sure of what it knows, the second a bit duller than it is on new prompts.

        Raises:
            OutcomesError: it was fitted on others.
        """
        scores, costs = teacher.expect_out_of_fold()
        if teacher.models_ != train.models or len(scores) != train.n:
            raise OutcomesError(
                f"the teacher was fitted on {len(scores)} cases of {', '.join(teacher.models_)}, and not on these "
                f"{train.n} of suite {train.suite!r}: fit it on the same outcomes, or leave it out"
            )
        own_scores, own_costs = teacher.expect(train.requests)
        seen = Gain.of(train)
        return cls((scores + own_scores) / 2, (costs + own_costs) / 2, seen.contrasts, seen.costs, train.weight)

    def take(self, index: IntArray) -> Self:
        """Returns some of the prompts, by position."""
        return replace(
            self,
            scores=self.scores[index],
            costs=self.costs[index],
            seen_scores=self.seen_scores[index],
            seen_costs=self.seen_costs[index],
            weight=self.weight[index],
        )

    def utilities(self, rate: float) -> tuple[FloatArray, FloatArray]:
        """Returns expected and seen scores less the cost weight times the costs, shape (n, m) each."""
        return self.scores - rate * self.costs, self.seen_scores - rate * self.seen_costs

    def rates(self, models: Sequence[str], points: int = _POINTS) -> FloatArray:
        """Returns cost weights whose operating points lie evenly along the cost, from the dearest to the cheapest.

        An even grid of weights would have most of its points where one model takes everything.
        """
        grid = lambda_grid(np.average(self.seen_costs, axis=0, weights=self.weight), _RATES_LOOKED_AT)
        sweep = LambdaSweep(tuple(models), self.scores, self.costs, grid)
        spent = np.minimum.accumulate(sweep.reached(self.scores, self.costs, self.weight).cost_usd)
        wanted = np.linspace(spent[0], spent[-1], points)
        nearest = np.abs(spent - wanted[:, None]).argmin(axis=1)
        found: FloatArray = grid[np.unique(nearest)]
        return found
