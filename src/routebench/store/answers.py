"""What models said to the cases of a suite, for policies that look at answers before they are accepted."""

from __future__ import annotations

import json
from collections.abc import Sequence

from routebench.store.queries import counted
from routebench.store.store import Store
from routebench.types import Answer, GradedAnswer, ToolCall

_ROWS_AT_ONCE = 10_000
# As the matrix joins them; the name that is put into it is one of two of ours.
_ANSWERS = """
    WITH cell AS (
        SELECT hash(request_key) AS h, case_id, model, sample FROM cells
        WHERE suite = $suite AND list_contains($models, model)),
    done AS (
        SELECT hash(request_key) AS h, text, tool_calls, finish_reason FROM {counted}
        WHERE status = 'ok' AND (text IS NOT NULL OR tool_calls IS NOT NULL))
    SELECT cell.model, cell.case_id, cell.sample, done.text, done.tool_calls, done.finish_reason
    FROM cell JOIN done ON done.h = cell.h"""

_CASE = """
    WITH cell AS (SELECT model, sample, request_key FROM cells WHERE suite = $suite AND case_id = $case)
    SELECT cell.model, cell.sample, done.status, done.error_kind, done.error, done.text, done.tool_calls,
        done.finish_reason, done.cost_usd, done.latency_s, grades.grader, grades.rater, grades.score, grades.detail
    FROM cell JOIN {counted} done ON done.request_key = cell.request_key
    LEFT JOIN cases ON cases.suite = $suite AND cases.case_id = $case
    LEFT JOIN grades ON grades.suite = $suite AND grades.case_id = $case AND grades.request_key = done.request_key
        AND grades.run_id = done.run_id AND grades.grader = cases.grader"""


def read_case_answers(store: Store, suite: str, case_id: str) -> dict[tuple[str, int], GradedAnswer]:
    """Returns what every model answered to one case, by (model, sample), with grades; failures are among them."""
    with store.connect() as con:
        rows = con.execute(_CASE.format(counted=counted(con)), {"suite": suite, "case": case_id}).fetchall()
    found = {}
    for model, sample, status, error_kind, error, text, calls, finish, cost, latency, *grade in rows:
        asked = tuple(ToolCall(**call) for call in json.loads(calls) or ()) if calls else ()
        failed = status != "ok"
        said = Answer(None if failed else text, asked, finish)
        found[model, sample] = GradedAnswer(said, error_kind, error if failed else None, cost, latency, *grade)
    return found


def read_said(store: Store, suite: str, models: Sequence[str]) -> dict[str, dict[tuple[str, int], Answer]]:
    """Returns the answers behind a suite's matrix: model -> (case id, sample) -> what it said.

    Text, tool calls and finish reason are read; costs and times stand in the matrix. Failures are left out, and so are
    answers whose text was purged or never kept.

    Args:
        store: where they are.
        suite: its name.
        models: whose answers.
    """
    found: dict[str, dict[tuple[str, int], Answer]] = {name: {} for name in models}
    with store.connect() as con:
        cursor = con.execute(_ANSWERS.format(counted=counted(con)), {"suite": suite, "models": list(models)})
        # Part by part: as rows of Python the texts would stand in memory a second time.
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            for model, case_id, sample, text, calls, finish_reason in rows:
                asked = tuple(ToolCall(**call) for call in json.loads(calls) or ()) if calls else ()
                if text is not None or asked:
                    found[model][case_id, sample] = Answer(text, asked, finish_reason)
    return found
