"""Taking texts out of a store for good; scores, costs and times stay.

A database keeps what was deleted in pages that it has not used again, so the file is written anew afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from routebench.errors import StoreError
from routebench.store.store import Store

_CASES = "purged_cases"
_ANSWERS = "purged_answers"


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge took out.

    Attributes:
        n_cases: cases whose prompt, target and reference are gone.
        n_answers: answers, verdicts of judges among them, whose text is gone.
    """

    n_cases: int
    n_answers: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `purge --json` prints."""
        return asdict(self)

    def __str__(self) -> str:
        return f"texts of {self.n_cases} cases and {self.n_answers} answers are gone; scores, costs and times are kept"


def purge(
    store: Store,
    *,
    cases: Sequence[str] = (),
    groups: Sequence[str] = (),
    before: datetime | None = None,
) -> Purged:
    """Takes the texts of some cases, and of every answer to them, out of a store.

    Args:
        store: whose.
        cases: by id, in every suite.
        groups: by group, in every suite.
        before: cases all of whose answers began before this time (UTC), and all answers that did.

    Raises:
        StoreError: no case or answer is meant, and the store is as it was; or the file cannot be written anew.
    """
    try:
        purged = _delete(store, cases, groups, before)
        _rewrite(store)
    except (duckdb.Error, OSError) as error:
        raise StoreError(
            f"store {store.path}: purging did not end ({str(error).splitlines()[0]}); the store can be used as before, "
            "but its file may still hold the texts: make room and purge again"
        ) from None
    return purged


def _delete(store: Store, cases: Sequence[str], groups: Sequence[str], before: datetime | None) -> Purged:
    with store.connect() as con:
        con.execute("BEGIN")
        con.execute(
            f"""
            CREATE TEMP TABLE {_CASES} AS
            SELECT suite, case_id FROM cases
            WHERE list_contains($cases, case_id) OR list_contains($groups, group_key)
                OR ($before IS NOT NULL AND (suite, case_id) IN (
                    SELECT (cells.suite, cells.case_id) FROM cells JOIN completions USING (request_key)
                    GROUP BY cells.suite, cells.case_id HAVING max(completions.started_at) < $before))""",  # noqa: S608 - our names
            {"cases": list(cases), "groups": list(groups), "before": before},
        )
        con.execute(
            f"""
            CREATE TEMP TABLE {_ANSWERS} AS
            SELECT request_key, run_id FROM completions
            WHERE request_key IN (SELECT request_key FROM cells JOIN {_CASES} USING (suite, case_id))
                OR ($before IS NOT NULL AND started_at < $before)""",  # noqa: S608 - our names
            {"before": before},
        )
        # A judge's verdict on an answer belongs to no cell, and says why in words: verdicts go with any answer's text.
        con.execute(
            f"""
            INSERT INTO {_ANSWERS}
            SELECT request_key, run_id FROM completions
            WHERE request_key NOT IN (SELECT request_key FROM cells)
                AND (request_key, run_id) NOT IN (SELECT (request_key, run_id) FROM {_ANSWERS}) AND EXISTS (
                SELECT 1 FROM {_CASES} UNION ALL SELECT 1 FROM {_ANSWERS} SEMI JOIN cells USING (request_key))"""  # noqa: S608 - our names
        )
        n_cases, n_answers = _count(con, _CASES), _count(con, _ANSWERS)
        if not n_cases and not n_answers:
            con.execute("ROLLBACK")
            raise StoreError(
                f"store {store.path}: nothing there is meant; see its case ids and groups in table `cases`"
            )
        con.execute(
            f"""
            UPDATE cases SET messages = '[]', request = NULL, target = NULL, has_text = false,
                grader_options = to_json({{'name': split_part(grader, '#', 1)}})
            FROM {_CASES} AS gone WHERE cases.suite = gone.suite AND cases.case_id = gone.case_id"""  # noqa: S608 - our names
        )
        con.execute(
            f"""
            UPDATE completions SET text = NULL, error = NULL, tool_calls = NULL, reasoning = NULL, usage_raw = NULL
            FROM {_ANSWERS} AS gone
            WHERE completions.request_key = gone.request_key AND completions.run_id = gone.run_id"""  # noqa: S608 - our names
        )
        con.execute(
            f"""
            UPDATE grades SET detail = NULL FROM {_CASES} AS gone
            WHERE grades.suite = gone.suite AND grades.case_id = gone.case_id"""  # noqa: S608 - our names
        )
        con.execute(
            f"""
            UPDATE grades SET detail = NULL FROM {_ANSWERS} AS gone
            WHERE grades.request_key = gone.request_key AND grades.run_id = gone.run_id"""  # noqa: S608 - our names
        )
        con.execute(
            f"""
            UPDATE blind_verdicts SET note = NULL FROM blind_items AS item JOIN blind_batches USING (batch_id)
            WHERE blind_verdicts.batch_id = item.batch_id AND blind_verdicts.place = item.place AND (
                (suite, case_id) IN (SELECT (suite, case_id) FROM {_CASES})
                OR (left_key, left_run) IN (SELECT (request_key, run_id) FROM {_ANSWERS})
                OR (right_key, right_run) IN (SELECT (request_key, run_id) FROM {_ANSWERS}))"""  # noqa: S608 - our names
        )
        con.execute("UPDATE registered SET mark = NULL")
        con.execute("COMMIT")
        for table in (_CASES, _ANSWERS):
            con.execute(f"DROP TABLE {table}")
    return Purged(n_cases, n_answers)


def _rewrite(store: Store) -> None:
    """Writes the file of a store anew, so that nothing that was deleted is left in it."""
    fresh = store.path.with_name(f".{store.path.name}.rewritten")
    _remove(fresh)
    try:
        with store.connect() as con:
            con.execute("CHECKPOINT")
            here = con.execute("SELECT current_database()").fetchone()
            assert here is not None
            path = str(fresh).replace("'", "''")
            con.execute(f"ATTACH '{path}' AS rewritten (STORAGE_VERSION 'v1.5.0')")
            try:
                con.execute(f"COPY FROM DATABASE {here[0]} TO rewritten")
            finally:
                con.execute("DETACH rewritten")
            os.chmod(fresh, store.path.stat().st_mode)  # noqa: PTH101 - as the file that it takes the place of
            # While we hold the file: what another process writes to it in between would be lost.
            Path(f"{store.path}.wal").unlink(missing_ok=True)
            os.replace(fresh, store.path)  # noqa: PTH105 - replaces in one step
    finally:
        _remove(fresh)


def _remove(path: Path) -> None:
    """Removes a database that was begun, and its log."""
    path.unlink(missing_ok=True)
    Path(f"{path}.wal").unlink(missing_ok=True)


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
    return int(row[0]) if row else 0
