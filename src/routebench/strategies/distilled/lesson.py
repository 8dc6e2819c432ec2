"""What a teacher expects of the training prompts, beside what was seen of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.sweep import LambdaSweep
from routebench.strategies.base import lambda_grid
from routebench.strategies.learned.strategy import Learned

_POINTS = 20
_RATES_LOOKED_AT = 801


@dataclass(frozen=True, eq=False)
class Lesson:
    """n training prompts under a arms, which are models, or models with another to fall back to.

    Attributes:
        scores: expected contrasts of scores, shape (n, a).
        costs: expected charges in US dollars, shape (n, a).
        seen_scores: contrasts of the scores that were seen, shape (n, a).
        seen_costs: charges that were seen, shape (n, a).
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
        seen = teacher.grounds_
        return cls((scores + own_scores) / 2, (costs + own_costs) / 2, seen.contrasts, seen.charges, seen.weight)

    @classmethod
    def within(cls, teacher: Learned, index: IntArray) -> Self:
        """Asks a teacher about some of its training prompts as if it knew no others, by position."""
        from threadpoolctl import threadpool_limits

        seen = teacher.grounds_
        # The products are short: a second thread mostly waits for the first, and for other programs.
        with threadpool_limits(limits=1):
            expected = teacher.expect_within(index)
        return cls(*expected, seen.contrasts[index], seen.charges[index], seen.weight[index])

    def utilities(self, rate: float) -> tuple[FloatArray, FloatArray]:
        """Returns expected and seen scores less the cost weight times the costs, shape (n, a) each."""
        return self.scores - rate * self.costs, self.seen_scores - rate * self.seen_costs

    def rates(self, points: int = _POINTS) -> FloatArray:
        """Returns cost weights whose operating points lie evenly along the cost, from the dearest to the cheapest.

        An even grid of weights would have most of its points where one model takes everything.
        """
        grid = lambda_grid(np.average(self.seen_costs, axis=0, weights=self.weight), _RATES_LOOKED_AT)
        sweep = LambdaSweep(tuple(map(str, range(self.scores.shape[1]))), self.scores, self.costs, grid)
        spent = np.minimum.accumulate(sweep.reached(self.scores, self.costs, self.weight).cost_usd)
        wanted = np.linspace(spent[0], spent[-1], points)
        nearest = np.abs(spent - wanted[:, None]).argmin(axis=1)
        found: FloatArray = grid[np.unique(nearest)]
        return found
