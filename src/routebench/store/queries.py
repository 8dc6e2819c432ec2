"""What the other rooms ask the store, each question a function."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from routebench.errors import StoreError, nearest
from routebench.messages import answer_text
from routebench.store.cases import case_from_row, case_row, model_from_row, model_row, without_text
from routebench.store.store import Row, Store, insert_new
from routebench.types import Case, ErrorKind, Model, ToolCall

if TYPE_CHECKING:
    import pandas as pd

_ROWS_AT_ONCE = 2000
_KEYS_AT_ONCE = 20_000
_UNGRADED = """
    FROM cells
    JOIN cases USING (suite, case_id)
    JOIN completions USING (request_key)
    WHERE suite = $suite AND status = 'ok' AND NOT EXISTS (
        SELECT 1 FROM grades g WHERE g.suite = cells.suite AND g.case_id = cells.case_id
            AND g.request_key = completions.request_key AND g.run_id = completions.run_id AND g.grader = cases.grader)
"""
_WANTED = "(SELECT unnest(?::VARCHAR[]) AS request_key)"


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
    text: str | None


def register(
    store: Store,
    *,
    suite: str,
    run_id: str,
    cases: Iterable[tuple[Case, str]],
    models: Sequence[tuple[Model, str]],
    cells: Iterable[Cell],
    at: datetime,
    mark: str | None = None,
) -> None:
    """Writes what a run wants: cases with their content hash, models with their key, and the cells between them.

    A text that was purged does not come back, unless the case asks something else now.

    Args:
        store: where.
        suite: the suite's name.
        run_id: who wants it.
        cases: each with its content hash.
        models: each with its key.
        cells: every wanted answer.
        at: when.
        mark: names all of this, for `registered_mark`.
    """
    store.insert("registered", [{"suite": suite, "mark": None}], replace=True)
    purged = _purged(store, suite)
    rows = (
        without_text(row) if purged.get(case.id) == digest else row
        for position, (case, digest) in enumerate(cases)
        for row in [case_row(suite, case, digest, position)]
    )
    store.insert("cases", rows, replace=True)
    rows_of_models = [model_row(model, key, at, place) for place, (model, key) in enumerate(models)]
    store.insert("models", rows_of_models, replace=True)
    store.insert("cells", (_cell_row(suite, run_id, cell) for cell in cells), replace=True)
    # Last: what was written in part is not taken for the whole.
    store.insert("registered", [{"suite": suite, "mark": mark}], replace=True)


def _purged(store: Store, suite: str) -> dict[str, str]:
    """Case id -> content hash of the cases whose text was purged; a run that keeps no text leaves a request."""
    with store.connect() as con:
        return dict(
            con.execute(
                "SELECT case_id, content_hash FROM cases WHERE suite = ? AND NOT has_text AND request IS NULL", [suite]
            ).fetchall()
        )


def registered_mark(store: Store, suite: str) -> str | None:
    """Returns the mark of what was registered last under a suite's name, None where there is none."""
    with store.connect() as con:
        row = con.execute("SELECT mark FROM registered WHERE suite = ?", [suite]).fetchone()
    return row[0] if row else None


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
    """Inserts or replaces a row of table `runs`; its `config` is a mapping."""
    store.insert("runs", [row], replace=True)


def add_import(store: Store, suite: str, *, form: str, files: Sequence[str], is_log: bool, at: datetime) -> None:
    """Notes where a suite's answers were brought in from."""
    row = {"suite": suite, "format": form, "is_log": is_log, "imported_at": at}
    store.insert("imports", [{**row, "file": name} for name in files], replace=True)


def log_source(store: Store, suite: str) -> tuple[str, list[str]] | None:
    """Returns format and files of a suite that was brought in from production logs alone; None for any other."""
    rows = _dicts(store, "SELECT format, file, is_log FROM imports WHERE suite = ? ORDER BY imported_at, file", [suite])
    if not rows or not all(row["is_log"] for row in rows):
        return None
    return rows[0]["format"], [row["file"] for row in rows]


def add_completions(store: Store, rows: Iterable[Row]) -> None:
    """Adds completions; one that is there already is left as it is."""
    store.insert("completions", rows)


def add_journal(store: Store, path: Path) -> int:
    """Reads a journal, one JSON completion a line, into the store; returns the number of those that are new.

    A completion that is there already is left as it is.

    Raises:
        StoreError: a line is no completion, or the store cannot be written; both files are as they were.
    """
    longest, graded = 0, False
    with path.open("rb") as file:
        for line in file:
            longest = max(longest, len(line))
            graded = graded or _GRADED in line
    if not longest:
        return 0
    with store.connect() as con:
        try:
            added = store.read_lines(con, "completions", (), path, longest, insert_new("completions"))
            if graded:
                con.execute(_JOURNALLED_GRADES, [str(path), 2 * longest + 1024])
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise StoreError(
                f"journal {path} cannot be read into {store.path} ({reason}); both are as they were"
            ) from None
    return added


_GRADED = b'"grades": ['
_JOURNALLED_GRADES = """
    INSERT OR REPLACE INTO grades BY NAME
    SELECT g.suite, g.case_id, request_key, run_id, g.grader, g.score, g.detail, 0.0 AS grader_cost_usd, g.graded_at
    FROM (
        SELECT request_key, run_id, unnest(grades) AS g
        FROM read_json(?, format = 'newline_delimited', compression = 'uncompressed', maximum_object_size = ?,
            columns = {
                request_key: 'VARCHAR', run_id: 'VARCHAR',
                grades: 'STRUCT(suite VARCHAR, case_id VARCHAR, grader VARCHAR, score DOUBLE, detail VARCHAR,
                    graded_at TIMESTAMP)[]'}))"""


def add_grades(store: Store, rows: Iterable[Row]) -> None:
    """Adds grades, replacing those of the same answer and grader."""
    store.insert("grades", rows, replace=True)


def answered(store: Store, request_keys: Sequence[str]) -> dict[str, ErrorKind | None]:
    """Returns request key -> None for an answer, or the kind of its error; keys without a row are left out."""
    # The reader's copy of the key and ours should not both stay in memory.
    ours = {key: key for key in request_keys}
    found: dict[str, ErrorKind | None] = {}
    for start in range(0, len(request_keys), _KEYS_AT_ONCE):
        with store.connect() as con:
            rows = con.execute(
                f"""
                SELECT request_key, arg_max(error_kind, (started_at, run_id)), bool_or(status = 'ok')
                FROM completions SEMI JOIN {_WANTED} USING (request_key) GROUP BY request_key""",  # noqa: S608 - a constant
                [request_keys[start : start + _KEYS_AT_ONCE]],
            ).fetchall()
        found.update((ours[key], None if ok else kind) for key, kind, ok in rows)
    return found


def mean_latencies_s(store: Store, model_keys: Sequence[str]) -> dict[str, float]:
    """Returns model key -> the mean latency of its answers, in seconds; models without an answer are left out."""
    with store.connect() as con:
        rows = con.execute(
            """
            SELECT cells.model_key, avg(completions.latency_s)
            FROM cells JOIN completions USING (request_key)
            WHERE list_contains(?, cells.model_key) AND completions.status = 'ok' AND latency_s IS NOT NULL
            GROUP BY 1""",
            [list(model_keys)],
        ).fetchall()
    return dict(rows)


def ungraded(store: Store, suite: str) -> Iterator[list[UngradedAnswer]]:
    """Yields the ok answers of a suite that have no grade by their case's primary grader, in parts.

    What has no score has a grade all the same: an unscored one. Texts are read part by part, so that a large suite
    never stands in memory whole.
    """
    with store.connect() as con:
        rows = con.execute(f"SELECT DISTINCT case_id {_UNGRADED} ORDER BY 1", {"suite": suite}).fetchall()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        cases = [case_id for (case_id,) in rows[start : start + _ROWS_AT_ONCE]]
        with store.connect() as con:
            answers = con.execute(
                f"""
                SELECT DISTINCT case_id, request_key, completions.run_id, text, tool_calls {_UNGRADED}
                    AND case_id IN (SELECT unnest($cases::VARCHAR[]))
                ORDER BY ALL""",
                {"suite": suite, "cases": cases},
            ).fetchall()
        yield [
            UngradedAnswer(case_id, key, run_id, _whole(text, calls)) for case_id, key, run_id, text, calls in answers
        ]


def _whole(text: str | None, tool_calls: str | None) -> str | None:
    """An answer as graders read it, None where it was not kept."""
    calls = [ToolCall(**call) for call in json.loads(tool_calls)] if tool_calls else []
    return None if text is None and not calls else answer_text(text, calls)


def count_unscored(store: Store, suite: str) -> int:
    """Returns how many of a suite's present answers their case's grader left without a score, grader `none` aside."""
    with store.connect() as con:
        row = con.execute(
            """
            SELECT count(*) FROM (
                SELECT DISTINCT g.case_id, g.request_key
                FROM grades g JOIN cells USING (suite, case_id, request_key) JOIN cases USING (suite, case_id)
                WHERE g.suite = ? AND g.score IS NULL AND g.grader = cases.grader AND g.grader <> 'none')""",
            [suite],
        ).fetchone()
    return int(row[0]) if row else 0


def find_completions(store: Store, request_keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns request key -> its row of table `completions`: the newest answer, else the newest error."""
    rows = _dicts(
        store,
        f"""
        SELECT * FROM completions SEMI JOIN {_WANTED} USING (request_key)
        QUALIFY row_number() OVER (
            PARTITION BY request_key ORDER BY (status = 'ok') DESC, started_at DESC NULLS LAST, run_id DESC) = 1""",  # noqa: S608 - a constant
        [list(request_keys)],
    )
    return {row["request_key"]: row for row in rows}


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
        raise _no_suite(store, suite)
    return [case_from_row(row) for row in rows]


def read_content_hashes(store: Store, suite: str) -> dict[str, str]:
    """Returns case id -> content hash of a suite's cases; nothing where there is no such suite."""
    with store.connect() as con:
        return dict(con.execute("SELECT case_id, content_hash FROM cases WHERE suite = ?", [suite]).fetchall())


def _no_suite(store: Store, suite: str) -> StoreError:
    names = suite_names(store)
    held = f"it holds {', '.join(names)}" if names else "it is empty"
    return StoreError(f"store {store.path} has no suite {suite!r}{nearest(suite, names)}; {held}")


def read_models(store: Store, suite: str) -> list[Model]:
    """Returns the models that a suite's cells point at, in the order of their first registration."""
    rows = _dicts(
        store,
        """
        SELECT m.* FROM models m
        WHERE (m.model_key, m.name) IN (SELECT model_key, model FROM cells WHERE suite = ?)
        ORDER BY m.registered_at, m.place, m.rowid""",
        [suite],
    )
    return [model_from_row(row) for row in rows]


def read_answered_models(store: Store) -> list[Model]:
    """Returns the models of all suites that were asked anything, in the order of their first registration."""
    rows = _dicts(
        store,
        """
        SELECT m.* FROM models m
        WHERE (m.model_key, m.name) IN (SELECT model_key, model FROM cells SEMI JOIN completions USING (request_key))
        ORDER BY m.registered_at, m.place, m.rowid""",
        [],
    )
    return [model_from_row(row) for row in rows]


def read_model_keys(store: Store, suite: str) -> dict[str, str]:
    """Returns model name -> the key of the configuration that a suite's cells point at."""
    with store.connect() as con:
        return dict(con.execute("SELECT DISTINCT model, model_key FROM cells WHERE suite = ?", [suite]).fetchall())


@dataclass(frozen=True, slots=True)
class Matrix:
    """The cells of a suite as columns of numbers, and the columns of its cases, without a text.

    Attributes:
        cases: case_id, category, group_key, weight, stakes_usd, split, tags, grader, has_text, in file order; a list
            each.
        cells: one entry a cell with an answer or an error: `case` and `model` (positions), `sample`, `ok`, `score`,
            `cost_usd`, `latency_s`, `input_tokens`, and `human` where people graded any, with `human_chance` where some
            were drawn for that; where tokens were asked for
            also `output_tokens` and `cpu_s`; unknown numbers are NaN.
    """

    cases: Mapping[str, Any]
    cells: Mapping[str, Any]


def read_matrix(store: Store, suite: str, models: Sequence[str], *, tokens: bool = False) -> Matrix:
    """Reads the outcomes of a suite for some models as arrays: the numbers of the `outcomes` view, ten times as fast.

    Args:
        store: where they are.
        suite: the suite's name.
        models: which models, and in which order.
        tokens: also all that a price is multiplied with.

    Raises:
        StoreError: the store holds no such suite.
    """
    with store.connect() as con:
        cases = con.execute(
            """
            SELECT case_id, category, group_key, weight, stakes_usd, split, tags,
                split_part(grader, '#', 1) AS grader, has_text
            FROM cases WHERE suite = ? ORDER BY position, case_id""",
            [suite],
        ).fetchnumpy()
        graded = con.execute(
            "SELECT 1 FROM grades WHERE suite = ? AND grader = 'human' AND score IS NOT NULL LIMIT 1", [suite]
        ).fetchone()
        drawn = con.execute("SELECT 1 FROM blind_batches WHERE suite = ? LIMIT 1", [suite]).fetchone() and graded
        # A join costs as much for nothing as for something.
        human = ", people.score::DOUBLE AS human" if graded else ""
        human += ", drawn.chance::DOUBLE AS human_chance" if drawn else ""
        query = _MATRIX.format(
            human=human,
            people=(_PEOPLE if graded else "") + (_DRAWN if drawn else ""),
            counted=counted(con),
            kept=", output_tokens, cpu_s" if tokens else "",
            told=", done.output_tokens::DOUBLE AS output_tokens, done.cpu_s::DOUBLE AS cpu_s" if tokens else "",
        )
        cells = con.execute(query, {"suite": suite, "models": list(models)}).fetchnumpy()
    if not len(cases["case_id"]):
        raise _no_suite(store, suite)
    return Matrix(cases, cells)


def counted(con: duckdb.DuckDBPyConnection) -> str:
    """Returns the name of a table or view with the completion of every request that counts."""
    # One run answers a request once: then every completion counts, and looking for newer ones can be spared.
    runs = con.execute("SELECT count(DISTINCT run_id) FROM completions").fetchone()
    return "completions" if runs and runs[0] == 1 else "latest"


# Keys are long texts: joining on their hashes of 64 bits takes half the time. That two of a million keys share one has
# a chance of 1 in 3 * 10^7.
_MATRIX = """
    WITH place AS (
        SELECT case_id, grader, row_number() OVER (ORDER BY position, case_id) - 1 AS place
        FROM cases WHERE suite = $suite),
    cell AS (SELECT hash(request_key) AS h, request_key, case_id, model, sample FROM cells WHERE suite = $suite),
    done AS (
        SELECT hash(request_key) AS h, request_key, run_id, status, cost_usd, latency_s, input_tokens{kept}
        FROM {counted}),
    grade AS (
        SELECT hash(case_id, request_key, run_id, grader) AS h, score
        FROM grades WHERE suite = $suite),
    people AS (
        SELECT hash(case_id, request_key, run_id) AS h, score
        FROM grades WHERE suite = $suite AND grader = 'human')
    SELECT
        place.place::BIGINT AS "case", list_position($models, cell.model)::BIGINT - 1 AS model,
        cell.sample::BIGINT AS sample,
        done.status = 'ok' AS ok, grade.score::DOUBLE AS score, done.cost_usd::DOUBLE AS cost_usd,
        done.latency_s::DOUBLE AS latency_s, done.input_tokens::DOUBLE AS input_tokens{told}{human}
    FROM cell
    JOIN done ON done.h = cell.h
    JOIN place ON place.case_id = cell.case_id
    LEFT JOIN grade ON grade.h = hash(cell.case_id, done.request_key, done.run_id, place.grader)
    {people}
    WHERE list_contains($models, cell.model)"""
_PEOPLE = "LEFT JOIN people ON people.h = hash(cell.case_id, done.request_key, done.run_id)"
_DRAWN = """
    LEFT JOIN (
        SELECT hash(case_id, request_key, run_id) AS h, chance FROM blind_chances WHERE suite = $suite
    ) AS drawn ON drawn.h = hash(cell.case_id, done.request_key, done.run_id)"""


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


def reprice(store: Store, costs: Sequence[Row], models: Sequence[Row]) -> None:
    """Writes other costs for stored tokens: `cost_usd`, its source and date; what was billed stays as it was.

    Args:
        store: where.
        costs: request_key, run_id, cost_usd, price_source, price_date.
        models: model_key, name, price, price_source, price_date.
    """
    store.update("completions", ("request_key", "run_id"), costs)
    store.update("models", ("model_key", "name"), models)


def tokens_by_model(store: Store) -> list[dict[str, Any]]:
    """Returns what every completion behind a cell used and cost.

    A row has model, model_key, request_key, run_id, the counts of tokens, cpu_s and cost_usd.
    """
    return _dicts(
        store,
        """
        SELECT DISTINCT cells.model, cells.model_key, c.request_key, c.run_id, c.input_tokens, c.output_tokens,
            c.cached_input_tokens, c.cache_write_tokens, c.cpu_s, c.cost_usd
        FROM cells JOIN completions c USING (request_key)""",
        [],
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
