"""What models answered to the cases of a suite, for policies that look at answers; read only when one does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from routebench.types import Answer, GradedAnswer

AnswersOfModel = Mapping[tuple[str, int], Answer]
"""(case id, sample) -> what one model answered."""


class Answers:
    """The recorded answers of a suite, of every model from the first look at it on.

    Halves and folds of one suite share them, so that nothing is read twice.

    Args:
        read: takes names of models and returns the answers of each; those of which nothing was kept are left out.
        read_case: takes a case's id and returns all answers to it with their grades, by (model, sample); None where
            nobody can look one case up.

    Attributes:
        derived: what was worked out from single answers, by name.
    """

    def __init__(
        self,
        read: Callable[[Sequence[str]], Mapping[str, AnswersOfModel]],
        read_case: Callable[[str], Mapping[tuple[str, int], GradedAnswer]] | None = None,
    ) -> None:
        self._read = read
        self._read_case = read_case
        self._held: dict[str, AnswersOfModel] = {}
        self.derived: dict[str, Any] = {}

    def want(self, models: Iterable[str]) -> None:
        """Reads the answers of some models in one go, as far as they are not held yet."""
        lacking = [name for name in dict.fromkeys(models) if name not in self._held]
        if lacking:
            found = self._read(lacking)
            self._held |= {name: found.get(name, {}) for name in lacking}

    def get(self, case_id: str, model: str, sample: int) -> Answer | None:
        """Returns one answer, None where nothing of it was kept."""
        self.want((model,))
        return self._held[model].get((case_id, sample))

    def of_case(self, case_id: str) -> Mapping[tuple[str, int], GradedAnswer]:
        """Returns every answer to one case with its grade, by (model, sample); empty where nobody can look it up."""
        return {} if self._read_case is None else self._read_case(case_id)
