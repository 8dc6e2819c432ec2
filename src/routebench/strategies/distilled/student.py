"""Student: weights of hashed words and the surface of a request, learned from what a teacher expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from routebench.evaluate.choices import Choices, FloatArray
from routebench.evaluate.outcomes import Outcomes
from routebench.evaluate.splits import folds
from routebench.rules import Default
from routebench.rules import Learned as LearnedPart
from routebench.rules.learned.features import FeatureSpec
from routebench.rules.learned.head import LinearHead, SparseRows
from routebench.rules.learned.surface import SURFACE
from routebench.rules.learned.utility import UtilityHead
from routebench.strategies.distilled.lesson import Lesson
from routebench.strategies.distilled.pupil import Pupil
from routebench.strategies.prompts import hashed_rows
from routebench.strategies.ridge import fit_ridges, ridges_at
from routebench.strategies.scorers import column_scale
from routebench.types import Request

MAX_BYTES = 16 * 1024
"""Of an artifact: so small that it is reviewed beside the rules.yaml and that nobody minds it in a repository."""

_PENALTIES = np.geomspace(1e-2, 1e4, 13)
_HASHED_WORDS = 512
_MAX_HASHED_WORDS = 1024
_PROMPTS_A_COLUMN = 2
_DESCRIPTION_BYTES = 1024
_BYTES_A_WEIGHT = 2
_BYTES_A_BIAS = 4


class Student(Pupil):
    """Predicts what the teacher expects by weighted sums of 512 hashed words and the surface: a file of some KiB.

    Ridge regression of expected contrasts and costs; the weights of an operating point are those of the contrasts less
    lambda times those of the costs, kept in 16 bits and used as they are kept.

    Args:
        teacher: fitted on the same outcomes; one is fitted when left out.
        models: settings of the models for `to_ruleset`; by name only when left out.
        guards: guards that every rule set carries.

    Attributes:
        spec_: after `fit`: what is read of a request.
        heads_: after `fit`: a head for every cost weight.
    """

    name = "student"
    spec_: FeatureSpec
    heads_: tuple[UtilityHead, ...]

    def _learn(self, train: Outcomes, lesson: Lesson) -> None:
        self.spec_ = spec_for(train.models, train.n)
        columns = hashed_rows(train.requests, self.spec_).toarray()
        self._scale = column_scale(columns, self.spec_)
        arms = self.teacher_.grounds_.arms
        # What to fall back to is the next of the order here.
        self._alone = np.array([arms.index((name,)) for name in train.models])
        # Dollars are small numbers: costs of the size of contrasts, so that one penalty serves both.
        self._dollar = (_size(lesson.scores) or 1.0) / (_size(lesson.costs) or 1.0)
        self._columns = columns * self._scale
        found = fit_ridges(
            self._columns, self._targets(lesson), lesson.weight, list(folds(train, n_folds=5)), _PENALTIES
        )
        self._penalty = found.penalty
        weights = self._priced(found.weights * self._scale[:, None])
        bias = self._priced(found.bias)
        self.heads_ = tuple(
            UtilityHead(LinearHead(one.T, other, self.spec_, "identity"), self.models_).halved()
            for one, other in zip(weights, bias, strict=True)
        )

    def _targets(self, lesson: Lesson) -> FloatArray:
        return np.hstack([lesson.scores[:, self._alone], lesson.costs[:, self._alone] * self._dollar])

    def _priced(self, found: FloatArray) -> list[FloatArray]:
        """What was found for contrasts less lambda times what was found for costs, for every lambda."""
        m = len(self.models_)
        return [found[..., :m] - rate / self._dollar * found[..., m:] for rate in self.rates_]

    def _decided(self, requests: Sequence[Request]) -> Sequence[Choices]:
        found = hashed_rows(requests, self.spec_)
        rows = SparseRows(found.indptr, found.indices, found.data)
        return [
            Choices.single(self.models_, head.rank_rows(rows), self._label(place))
            for place, head in enumerate(self.heads_)
        ]

    def _decided_out_of_fold(self) -> Sequence[Choices]:
        predicted = np.empty((self._train.n, 2 * len(self.models_)))
        for inside, outside in folds(self._train, n_folds=5):
            lesson = Lesson.within(self.teacher_, inside)
            weights, bias = ridges_at(self._columns[inside], self._targets(lesson), lesson.weight, self._penalty)
            predicted[outside] = self._columns[outside] @ weights + bias
        return [
            Choices.single(self.models_, np.argsort(-utilities, axis=1, kind="stable"), self._label(place))
            for place, utilities in enumerate(self._priced(predicted))
        ]

    def part(self, point: int) -> LearnedPart:
        """Returns the `learned` of a rule set that decides as this strategy does at one operating point.

        Its settings lack `head`: whoever writes the rules.yaml saves the head beside it first, and adds the artifact's
        name and sha256.
        """
        return LearnedPart({}, self.heads_[point])

    def _parts(self, place: int) -> Mapping[str, Any]:
        # The default decides where guards leave no model that the head knows.
        best = self.models_[int(np.argmax(self.heads_[place].head.bias))]
        return {"learned": self.part(place), "default": Default(route=(best,))}


def spec_for(models: Sequence[str], n: int) -> FeatureSpec:
    """Returns what is read of a request: 512 hashed words and the surface.

    More words, up to 1,024, where there are two training prompts a column; fewer where the weights of all models would
    not fit into 16 KiB.

    Args:
        models: names.
        n: training prompts.
    """
    described = _DESCRIPTION_BYTES + sum(len(name.encode()) + 4 for name in models)
    room = MAX_BYTES - described - _BYTES_A_BIAS * len(models)
    fits = room // (_BYTES_A_WEIGHT * len(models)) - len(SURFACE)
    wanted = min(_MAX_HASHED_WORDS, max(_HASHED_WORDS, n // _PROMPTS_A_COLUMN))
    return FeatureSpec(max(0, min(wanted, fits)))


def _size(values: FloatArray) -> float:
    """The root of the mean square: of costs that hardly differ the deviations would be the noise of adding."""
    return float(np.sqrt((values**2).mean()))
