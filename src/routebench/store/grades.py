"""What people, tables and judges said about a suite's answers, each question a function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from routebench.store.bulk import Added, Table, upload
from routebench.store.cases import case_row
from routebench.store.queries import read_cases, read_content_hashes, sql
from routebench.store.store import Store
from routebench.types import Case

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PEOPLE = "human"
"""The grader whose score is the mean of what people said; what one of them said is of grader `human#<name>`."""

_GIVEN = Table(
    "grades",
    ("suite", "case_id", "request_key", "run_id", "grader"),
    ("graded_at",),
    "SELECT suite, case_id, request_key, run_id, grader, score, detail, rater, told_at AS graded_at FROM incoming",
)
_MEANS = Table(
    "grades",
    _GIVEN.key,
    _GIVEN.times,
    f"""
    SELECT suite, case_id, request_key, run_id, '{PEOPLE}' AS grader, avg(score) AS score, NULL AS detail,
        string_agg(rater, ', ' ORDER BY rater) AS rater, max(graded_at) AS graded_at
    FROM grades WHERE suite IN (SELECT suite FROM incoming) AND starts_with(grader, '{PEOPLE}#')
    GROUP BY suite, case_id, request_key, run_id""",  # noqa: S608 - a constant
)


def add_ratings(store: Store, rows: pa.Table) -> Added:
    """Writes grades that were given elsewhere, and the means of what people said; returns what was new or other.

    Args:
        store: where.
        rows: suite, case_id, request_key, run_id, grader, score, detail, rater, told_at; `human#<name>` is a person.
    """
    with upload(store) as into:
        into.write(rows, (_GIVEN,))
        given = into.added("grades")
        into.write(rows, (_MEANS,))
    return given


def read_places(store: Store, suite: str) -> pd.DataFrame:
    """Returns where a grade goes: case_id, model, sample, the case's grader, request_key, run_id, status.

    One row a cell; `run_id` and `status` are NULL where nothing was asked yet.
    """
    return sql(
        store,
        """
        SELECT cells.case_id, cells.model, cells.sample, cases.grader AS primary_grader, cells.request_key,
            latest.run_id, latest.status
        FROM cells JOIN cases USING (suite, case_id) LEFT JOIN latest USING (request_key)
        WHERE suite = ?""",
        [suite],
    )


def read_ratings(store: Store, suite: str) -> pd.DataFrame:
    """Returns what single people said: rater, score, and `answer`, the number of the answer that a grade is of.

    Numbers follow cases and requests, so that a bootstrap over answers is the same for every run of them.
    """
    return sql(
        store,
        f"""
        SELECT rater, score, dense_rank() OVER (ORDER BY case_id, request_key, run_id) AS answer
        FROM grades WHERE suite = ? AND starts_with(grader, '{PEOPLE}#') AND score IS NOT NULL
        ORDER BY ALL""",  # noqa: S608 - a constant
        [suite],
    )


def read_verdicts(store: Store, suite: str, graders: Sequence[str]) -> pd.DataFrame:
    """Returns the grades of a suite's cases whose primary grader is one of some names.

    Columns: grader, rater, and the first 60 characters of detail.
    """
    return sql(
        store,
        """
        SELECT split_part(g.grader, '#', 1) AS grader, g.rater, left(g.detail, 60) AS detail
        FROM grades g JOIN cases ON cases.suite = g.suite AND cases.case_id = g.case_id AND cases.grader = g.grader
        WHERE g.suite = ? AND list_contains(?, split_part(g.grader, '#', 1))
        ORDER BY ALL""",
        [suite, list(graders)],
    )


def revise_cases(store: Store, suite: str, cases: Iterable[tuple[Case, str]]) -> int:
    """Writes how cases are graded now, where they ask what they asked before; returns how many had changed.

    Grades under the new grader that were given against another target are taken away: `ungraded` yields those answers
    again. What people and tables said stays. Cases that are new, or that ask something else, wait for the next run.

    Args:
        store: where.
        suite: the suite's name.
        cases: in the order of the suite, each with its content hash.
    """
    known = read_content_hashes(store, suite)
    changed = {
        case.id: (case, digest, position)
        for position, (case, digest) in enumerate(cases)
        if known.get(case.id, digest) != digest
    }
    old = {case.id: case for case in read_cases(store, suite)} if changed else {}
    rows = [
        case_row(suite, case, digest, position)
        for case, digest, position in changed.values()
        if _asked(case) == _asked(old[case.id])
    ]
    if not rows:
        return 0
    # What is registered is no longer what a mark stands for.
    store.insert("registered", [{"suite": suite, "mark": None}], replace=True)
    with store.connect() as con:
        con.execute(
            """
            DELETE FROM grades
            WHERE suite = $suite AND NOT list_contains(['human', 'imported'], grader)
                AND (case_id, grader) IN (SELECT unnest($ids::VARCHAR[]), unnest($graders::VARCHAR[]))""",
            {"suite": suite, "ids": [row["case_id"] for row in rows], "graders": [row["grader"] for row in rows]},
        )
    store.insert("cases", rows, replace=True)
    return len(rows)


def _asked(case: Case) -> Any:
    request = case.request
    return (
        [dict(message) for message in request.messages],
        [dict(tool) for tool in request.tools],
        request.response_format,
        dict(request.params),
    )
