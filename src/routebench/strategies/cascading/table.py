"""The recorded answers of a suite as rows of numbers, worked out once an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.evaluate.answers import Answers
from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.evaluate.outcomes import OK, Outcomes
from routebench.rules.answers.features import AnswerSpec, agreement
from routebench.rules.answers.gist import gist
from routebench.rules.answers.surface import answer_surface
from routebench.strategies.prompts import readings

Sparse = tuple[list[int], list[float]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is read of one answer.

    Attributes:
        words: columns from 0 and their values.
        gist: what it comes down to, None where that is nothing.
    """

    words: Sparse
    surface: list[float]
    gist: str | None


class AnswerTable:
    """The answers to n cases in k samples: n * k rows a model, samples of a case side by side.

    Args:
        outcomes: with answers.
        spec: which numbers are read.

    Attributes:
        rows: how many.
        samples: of a case.
        spec: as given.

    Raises:
        OutcomesError: no answer of the suite is kept.
    """

    def __init__(self, outcomes: Outcomes, spec: AnswerSpec) -> None:
        if outcomes.answers is None:
            raise lacking(outcomes)
        self._outcomes = outcomes
        self._answers: Answers = outcomes.answers
        self.spec = spec
        self.samples = outcomes.status.shape[2]
        self.rows = outcomes.n * self.samples
        self._readings = readings(outcomes.requests)
        self._requests: list[Sparse] | None = None
        self._models: dict[str, list[Seen | None]] = {}

    def seen(self, model: str) -> list[Seen | None]:
        """Returns what is read of a model's answers, None where it failed or nothing was kept, one a row."""
        if model not in self._models:
            self._models[model] = [self._seen(model, row) for row in range(self.rows)]
        return self._models[model]

    @cached_property
    def looked_at(self) -> frozenset[int]:
        """Positions of the models of which some answer is kept."""
        return frozenset(place for place, name in enumerate(self._outcomes.models) if self.known(name).any())

    def known(self, model: str) -> BoolArray:
        """Returns which rows have an answer of a model, shape (rows,)."""
        return np.array([one is not None for one in self.seen(model)], dtype=bool)

    def gists(self, model: str) -> npt.NDArray[np.object_]:
        """Returns what a model's answers come down to, None where that is nothing or unknown, shape (rows,)."""
        made = np.empty(self.rows, dtype=object)
        made[:] = [None if one is None else one.gist for one in self.seen(model)]
        return made

    def agrees(self, first: str, second: str) -> BoolArray:
        """Returns in which rows two models came to the same, shape (rows,)."""
        told = np.array([one is not None for one in self.gists(first)], dtype=bool)
        same: BoolArray = told & (self.gists(first) == self.gists(second))
        return same

    def sparse(self, row: int, model: str, earlier: Sequence[str] = ()) -> Sparse | None:
        """Returns the features of an answer, as `AnswerSpec.sparse` gives them; None where there is no answer.

        Args:
            row: which.
            model: that answered.
            earlier: models that were asked before; those that failed there are left out.
        """
        own = self.seen(model)[row]
        if own is None:
            return None
        columns, values = self._request(row)
        start = self.spec.blocks["answer_words"].start
        before = [one for name in earlier if (one := self.seen(name)[row]) is not None]
        held = agreement(
            own.gist,
            dict(zip(*own.words, strict=True)),
            [(one.gist, dict(zip(*one.words, strict=True))) for one in before],
        )
        columns = [*columns, *(start + column for column in own.words[0])]
        columns += range(self.spec.blocks["answer_surface"].start, self.spec.width)
        return columns, [*values, *own.words[1], *own.surface, *held]

    def matrix(self, model: str, earlier: Sequence[str] = ()) -> FloatArray:
        """Returns the features of a model's answers, zeros where there is none, shape (rows, width)."""
        made = np.zeros((self.rows, self.spec.width))
        for row in range(self.rows):
            found = self.sparse(row, model, earlier)
            if found is not None:
                made[row, found[0]] = found[1]
        return made

    def _request(self, row: int) -> Sparse:
        if self._requests is None:
            self._requests = [self.spec.request.sparse(reading) for reading in self._readings]
        found: Sparse = self._requests[row // self.samples]
        return found

    def _seen(self, model: str, row: int) -> Seen | None:
        case, sample = divmod(row, self.samples)
        outcomes = self._outcomes
        if outcomes.status[case, outcomes.models.index(model), sample] != OK:
            return None
        case_id = str(outcomes.cases.ids[case])
        held: dict[tuple[str, int], Seen] = self._answers.derived.setdefault(f"{self.spec} of {model}", {})
        if (case_id, sample) not in held:
            answer = self._answers.get(case_id, model, sample)
            if answer is None:
                return None
            held[case_id, sample] = Seen(
                self.spec.words(answer), answer_surface(self._readings[case], answer), gist(answer)
            )
        return held[case_id, sample]


def lacking(outcomes: Outcomes) -> OutcomesError:
    """Returns the error that says that a suite has no answers to look at."""
    return OutcomesError(
        f"suite {outcomes.suite!r}: a cascade looks at answers, and none is kept here; run the models with "
        "`store.text: full`, import outcomes with a column `response`, or choose by the prompt alone"
    )
