"""Giving every answer its grade by a function; `judging` does so by a model."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from routebench.grade.graders import grade
from routebench.grade.judge import is_judged
from routebench.redact import FULL, Privacy
from routebench.store import Store, UngradedAnswer, add_grades, ungraded
from routebench.suites import Suite
from routebench.types import Case, Grade


def grade_answers(store: Store, suite: Suite, at: datetime, privacy: Privacy = FULL) -> int:
    """Grades every answer that its case's grader has not seen and that needs no judge; returns how many that were.

    An answer out of which personal data was taken stays unscored: a run grades it while it is whole.
    """
    judged = {case.id for case in suite if is_judged(case)}
    graded = 0
    for answers in ungraded(store, suite.name):
        mine = [answer for answer in answers if answer.case_id not in judged]
        cases = [suite[answer.case_id] for answer in mine]
        add_grades(
            store,
            [
                grade_row(suite, case, answer, _graded(case, answer.text, privacy), at)
                for case, answer in zip(cases, mine, strict=True)
            ],
        )
        graded += len(mine)
    return graded


def _graded(case: Case, text: str | None, privacy: Privacy) -> Grade:
    if text is None:
        return Grade(case.grader.name, None, "the text of the answer was not kept")
    if privacy.lacks(text):
        return Grade(case.grader.name, None, "the answer was kept without personal data: ask again (--cache refresh)")
    return grade(case, text)


def grade_row(
    suite: Suite,
    case: Case,
    answer: UngradedAnswer,
    graded: Grade,
    at: datetime,
    *,
    cost_usd: float | None = 0.0,
    rater: str | None = None,
) -> dict[str, Any]:
    """Returns the row of table `grades`; `rater` is who graded, where that is not a function."""
    return {
        "suite": suite.name,
        "case_id": case.id,
        "request_key": answer.request_key,
        "run_id": answer.run_id,
        "grader": case.grader.key,
        "score": graded.score,
        "detail": graded.detail,
        "grader_cost_usd": cost_usd,
        "rater": rater,
        "graded_at": at,
    }
