"""What each place of a chain predicts from its answer: the score that is lost by going on to the last model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routebench.evaluate.choices import FloatArray, IntArray
from routebench.rules.answers.head import AnswerHead
from routebench.strategies.cascading.chains import Cells, Chain, Point, accepted
from routebench.strategies.cascading.ladder import Fold, Ladder, Level, fit_ladder
from routebench.strategies.cascading.table import AnswerTable

_WORDS = 8.0
"""How much the words of a text, a row of length 1, weigh beside one number of its surface."""
_ALONE: tuple[tuple[str, ...], ...] = (
    ("request_surface",),
    ("request_words",),
    ("answer_surface",),
    ("request_surface", "answer_surface"),
    ("request_surface", "answer_surface", "request_words", "answer_words"),
)
_AFTER_OTHERS: tuple[tuple[str, ...], ...] = (
    ("agreement",),
    ("agreement", "answer_surface"),
    ("agreement", "request_surface", "answer_surface"),
    ("agreement", "request_surface", "answer_surface", "request_words", "answer_words"),
)
AGREED, APART = 1.0, -1.0
"""The value of keeping an answer where only agreement counts."""


class Heads:
    """Fits what chains need, each regression once.

    Args:
        cells: of the training cases.
        table: their answers.
        models: the names.
        fold_cases: (inside, outside) positions of cases.
        agree_only: nothing is learned: an answer is worth keeping where an earlier one comes down to the same.
    """

    def __init__(
        self, cells: Cells, table: AnswerTable, models: Sequence[str], fold_cases: Sequence[Fold], *, agree_only: bool
    ) -> None:
        self._cells, self._table, self._models, self._agree_only = cells, table, tuple(models), agree_only

        def rows(cases: IntArray) -> IntArray:
            found: IntArray = (cases[:, None] * table.samples + np.arange(table.samples)).reshape(-1)
            return found

        self._folds = [(rows(inside), rows(outside)) for inside, outside in fold_cases]
        self._fitted: dict[Chain, Ladder] = {}

    def out_of_fold(self, chain: Chain) -> list[FloatArray]:
        """Returns what is lost by going on, of every place but the last, predicted for the training rows out of fold.

        NaN where there is no answer, or nothing was learned from the row.
        """
        if self._agree_only:
            return self._agreed(chain, self._table)
        return [-self._ladder(chain[: place + 1]).out_of_fold[:, chain[-1]] for place in range(len(chain) - 1)]

    def run(self, cells: Cells, point: Point) -> tuple[FloatArray, FloatArray]:
        """Returns score and cost of every training row at a point, by predictions out of fold."""
        return cells.run(point.chain, accepted(point, self.out_of_fold(point.chain)))

    def predicted(self, chain: Chain, table: AnswerTable) -> list[FloatArray]:
        """Returns the same for the rows of another table, by the head that is written down."""
        if self._agree_only:
            return self._agreed(chain, table)
        head, names = self.head(chain), [self._models[model] for model in chain]
        found = []
        for place in range(len(chain) - 1):
            values = np.full(table.rows, np.nan)
            for row in range(table.rows):
                features = table.sparse(row, names[place], names[:place])
                if features is not None:
                    values[row] = head.value_of(*features, place=place)
            found.append(values)
        return found

    def head(self, chain: Chain) -> AnswerHead:
        """Returns the head of a chain, a row of weights for every place but the last."""
        ladders = [self._ladder(chain[: place + 1]) for place in range(len(chain) - 1)]
        weights = np.array([-one.weights[chain[-1]] for one in ladders])
        return AnswerHead(weights, np.array([-one.bias[chain[-1]] for one in ladders]), self._table.spec)

    def _agreed(self, chain: Chain, table: AnswerTable) -> list[FloatArray]:
        names = [self._models[model] for model in chain]
        found = []
        for place in range(len(chain) - 1):
            values = np.where(table.known(names[place]), APART, np.nan)
            for earlier in names[:place]:
                values[table.agrees(earlier, names[place])] = AGREED
            found.append(values)
        return found

    def _ladder(self, asked: Chain) -> Ladder:
        """The regressions on the last of some models' answers, with every model's gain over it as a target."""
        if asked not in self._fitted:
            names = [self._models[model] for model in asked]
            columns = self._table.matrix(names[-1], names[:-1])
            known = self._table.known(names[-1]) & (self._cells.weight > 0)
            gains = self._cells.score - self._cells.score[:, [asked[-1]]]
            levels = self._levels(columns[known], _ALONE if len(asked) == 1 else _AFTER_OTHERS)
            self._fitted[asked] = fit_ladder(columns, gains, self._cells.weight, known, levels, self._folds)
        return self._fitted[asked]

    def _levels(self, columns: FloatArray, blocks: Sequence[Sequence[str]]) -> list[Level]:
        spread = columns.std(axis=0)
        where = self._table.spec.blocks
        made = []
        for names in blocks:
            own = np.concatenate([np.arange(where[name].start, where[name].stop) for name in names])
            own = own[spread[own] > 1e-9]
            words = np.isin(own, _columns(where["request_words"])) | np.isin(own, _columns(where["answer_words"]))
            if len(own):
                made.append(Level(own, np.where(words, _WORDS, 1 / spread[own])))
        return made


def _columns(block: slice) -> IntArray:
    return np.arange(block.start, block.stop)
