"""What the other rooms ask the store, each question a function."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from routebench.errors import StoreError, nearest
from routebench.store.cases import case_from_row, case_row, model_from_row, model_row
from routebench.store.store import Row, Store
from routebench.types import Case, ErrorKind, Model


@dataclass(frozen=True, slots=True)
class Cell:
    """One wanted answer: which request stands for which case, model and sample."""

    case_id: str
    model: str
    sample: int
    model_key: str
    request_key: str


@dataclass(frozen=True, slots=True)
class UngradedAnswer:
    """An ok completion that the primary grader of its case has not seen."""

    case_id: str
    request_key: str
    run_id: str
    text: str


def register(
    store: Store,
    *,
    suite: str,
    run_id: str,
    cases: Sequence[tuple[Case, str]],
    models: Sequence[tuple[Model, str]],
    cells: Sequence[Cell],
    at: datetime,
) -> None:
    """Writes what a run wants: cases with their content hash, models with their key, and the cells between them."""
    with store.connect() as con:
        con.execute("BEGIN")
        rows = [case_row(suite, case, digest, position) for position, (case, digest) in enumerate(cases)]
        store.insert(con, "cases", rows, replace=True)
        store.insert(con, "models", [model_row(model, key, at) for model, key in models], replace=True)
        store.insert(con, "cells", [_cell_row(suite, run_id, cell) for cell in cells], replace=True)
        con.execute("COMMIT")


def _cell_row(suite: str, run_id: str, cell: Cell) -> Row:
    return {
        "suite": suite,
        "case_id": cell.case_id,
        "model": cell.model,
        "sample": cell.sample,
        "model_key": cell.model_key,
        "request_key": cell.request_key,
        "run_id": run_id,
    }


def write_run(store: Store, row: Row) -> None:
    """Inserts or replaces a row of table `runs`."""
    with store.connect() as con:
        store.insert(con, "runs", [row], replace=True)


def add_completions(store: Store, rows: Sequence[Row]) -> None:
    """Adds completions; one that is there already is left as it is, so that a journal can be read twice."""
    with store.connect() as con:
        store.insert(con, "completions", rows)


def add_grades(store: Store, rows: Sequence[Row]) -> None:
    """Adds grades, replacing those of the same answer and grader."""
    with store.connect() as con:
        store.insert(con, "grades", rows, replace=True)


def answered(store: Store, request_keys: Iterable[str]) -> dict[str, ErrorKind | None]:
    """Returns request key -> None for an answer, or the kind of its error; keys without a row are left out."""
    wanted = pa.table({"request_key": pa.array(list(request_keys), type=pa.string())})
    with store.connect() as con:
        con.register("wanted", wanted)
        rows = con.execute("""
            SELECT request_key, arg_max(error_kind, (started_at, run_id)), bool_or(status = 'ok')
            FROM completions SEMI JOIN wanted USING (request_key) GROUP BY request_key""").fetchall()
    return {key: None if ok else kind for key, kind, ok in rows}


def ungraded(store: Store, suite: str) -> list[UngradedAnswer]:
    """Returns the ok answers of a suite that have no grade by their case's primary grader."""
    with store.connect() as con:
        rows = con.execute(
            """
            SELECT DISTINCT a.case_id, a.request_key, a.run_id, a.text
            FROM answers a JOIN cases c ON c.suite = a.suite AND c.case_id = a.case_id
            WHERE a.suite = ? AND a.status = 'ok' AND NOT EXISTS (
                SELECT 1 FROM grades g WHERE g.suite = a.suite AND g.case_id = a.case_id
                    AND g.request_key = a.request_key AND g.run_id = a.run_id AND g.grader = c.grader)
            ORDER BY a.case_id, a.request_key""",
            [suite],
        ).fetchall()
    return [UngradedAnswer(*row) for row in rows]


def suite_names(store: Store) -> list[str]:
    """Returns the suites that the store holds, sorted."""
    with store.connect() as con:
        return [name for (name,) in con.execute("SELECT DISTINCT suite FROM cases ORDER BY 1").fetchall()]


def read_cases(store: Store, suite: str) -> list[Case]:
    """Returns a suite's cases in file order.

    Raises:
        StoreError: the store holds no such suite; those that it holds are named.
    """
    rows = _dicts(store, "SELECT * FROM cases WHERE suite = ? ORDER BY position, case_id", [suite])
    if not rows:
        names = suite_names(store)
        held = f"it holds {', '.join(names)}" if names else "it is empty"
        raise StoreError(f"store {store.path} has no suite {suite!r}{nearest(suite, names)}; {held}")
    return [case_from_row(row) for row in rows]


def read_models(store: Store, suite: str) -> list[Model]:
    """Returns the models that a suite's cells point at, in the order of their first registration."""
    rows = _dicts(
        store,
        """
        SELECT m.* FROM models m
        WHERE (m.model_key, m.name) IN (SELECT model_key, model FROM cells WHERE suite = ?)
        ORDER BY m.registered_at, m.rowid""",
        [suite],
    )
    return [model_from_row(row) for row in rows]


def read_outcomes(store: Store, suite: str) -> pd.DataFrame:
    """Returns the outcomes view of a suite: one row a cell, in the order of cases and models."""
    return sql(store, "SELECT * FROM outcomes WHERE suite = ? ORDER BY case_id, model, sample", [suite])


def read_answers(store: Store, suite: str) -> pd.DataFrame:
    """Returns text, error, score and times of every cell of a suite."""
    return sql(store, "SELECT * FROM answers WHERE suite = ? ORDER BY position, model, sample", [suite])


def read_completions(store: Store, suite: str) -> list[dict[str, Any]]:
    """Returns the stored completions behind a suite's cells, as rows."""
    return _dicts(
        store,
        """
        SELECT DISTINCT c.* FROM completions c JOIN answers a USING (request_key, run_id)
        WHERE a.suite = ? ORDER BY c.request_key""",
        [suite],
    )


def sql(store: Store, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
    """Runs one query and returns a pandas frame."""
    with store.connect() as con:
        return con.execute(query, list(parameters)).df()


def _dicts(store: Store, query: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
    with store.connect() as con:
        cursor = con.execute(query, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def completion_row(run_id: str, request_key: str, flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the row of table `completions` for the flat form of a completion."""
    row = dict(flat)
    row["run_id"], row["request_key"] = run_id, request_key
    if row.get("started_at") is not None and isinstance(row["started_at"], str):
        row["started_at"] = datetime.fromisoformat(row["started_at"])
    if row.get("usage_raw") is not None:
        row["usage_raw"] = json.dumps(row["usage_raw"])
    return row
