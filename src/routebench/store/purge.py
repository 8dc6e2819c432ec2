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
        StoreError: no case or answer is meant, or the file cannot be written anew; the store is as it was.
    """
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
        # A judge's verdict on an answer belongs to no cell, and says why in words: verdicts go with any case's texts.
        con.execute(
            f"""
            CREATE TEMP TABLE {_ANSWERS} AS
            SELECT request_key, run_id FROM completions
            WHERE request_key IN (SELECT request_key FROM cells JOIN {_CASES} USING (suite, case_id))
                OR ($before IS NOT NULL AND started_at < $before)
                OR (EXISTS (SELECT 1 FROM {_CASES}) AND request_key NOT IN (SELECT request_key FROM cells))""",  # noqa: S608 - our names
            {"before": before},
        )
        n_cases, n_answers = _count(con, _CASES), _count(con, _ANSWERS)
        if not n_cases and not n_answers:
            con.execute("ROLLBACK")
            raise StoreError(
                f"store {store.path}: nothing there is meant; see its case ids and groups in table `cases`"
            )
        con.execute(
            f"""
            UPDATE cases SET messages = '[]', request = NULL, target = NULL, has_text = false
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
        con.execute("UPDATE registered SET mark = NULL")
        con.execute("COMMIT")
        for table in (_CASES, _ANSWERS):
            con.execute(f"DROP TABLE {table}")
    rewrite(store)
    return Purged(n_cases, n_answers)


def rewrite(store: Store) -> None:
    """Writes the file of a store anew, so that nothing that was deleted is left in it.

    Raises:
        StoreError: there is no room; the store is as it was.
    """
    fresh = store.path.with_name(f".{store.path.name}.rewritten")
    fresh.unlink(missing_ok=True)
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
        with store.held():
            os.replace(fresh, store.path)  # noqa: PTH105 - replaces in one step
            Path(f"{store.path}.wal").unlink(missing_ok=True)
    except (duckdb.Error, OSError) as error:
        fresh.unlink(missing_ok=True)
        raise StoreError(
            f"store {store.path}: cannot be written anew ({str(error).splitlines()[0]}); texts are deleted, but the file "
            "may still hold them in pages that are not used: make room and purge again"
        ) from None


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
    return int(row[0]) if row else 0
