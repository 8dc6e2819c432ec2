"""Grading an answer before its text goes: what a store that keeps no whole texts files of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from routebench.errors import ConfigError
from routebench.grade.graders import grade
from routebench.grade.judge import is_judged
from routebench.messages import answer_text
from routebench.redact import Privacy
from routebench.store import Cell
from routebench.suites import Suite
from routebench.types import Case, Completion


class Filing:
    """Says what of an answer is written, and grades it while its text is whole.

    Args:
        suite: whose cases the answers are to.
        cells: which answer belongs to which case.
        privacy: what may be kept of texts.
        now: the wall clock.
    """

    def __init__(self, suite: Suite, cells: Iterable[Cell], privacy: Privacy, now: Callable[[], datetime]) -> None:
        self._suite = suite
        self._privacy = privacy
        self._now = now
        # Two cases may ask the same and be graded differently.
        self._cases: dict[str, dict[str, Case]] = {}
        for cell in cells:
            self._cases.setdefault(cell.request_key, {})[cell.case_id] = suite[cell.case_id]

    def __call__(self, request_key: str, completion: Completion) -> tuple[Completion, Sequence[Mapping[str, Any]]]:
        """Returns what of the answer to a request is kept, and its grades by functions."""
        grades = []
        for case in self._cases.get(request_key, {}).values():
            if completion.status == "ok" and not is_judged(case):
                given = grade(case, answer_text(completion.text, completion.tool_calls))
                grades.append(
                    {
                        "suite": self._suite.name,
                        "case_id": case.id,
                        "grader": case.grader.key,
                        "score": given.score,
                        "detail": self._privacy.of_text(given.detail),
                        "graded_at": self._now().astimezone(UTC).replace(tzinfo=None).isoformat(),
                    }
                )
        return self._privacy.of_completion(completion), grades


def check_privacy(suite: Suite, privacy: Privacy) -> None:
    """Checks that every case can be graded with what is kept of its answers.

    Raises:
        ConfigError: a judge would have to read texts that are not kept.
    """
    judged = next((case for case in suite if is_judged(case)), None) if privacy.text == "none" else None
    if judged is not None:
        raise ConfigError(
            f"case {judged.id!r} is graded by a judge, and a store with `text: none` keeps no answer for it to read; "
            "write `text: redacted`, or give the case a grader that is a function"
        )
