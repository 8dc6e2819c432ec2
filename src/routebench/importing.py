"""Bringing outcomes and grades from elsewhere into a store; the same files twice change nothing."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from routebench.errors import OutcomesError
from routebench.store import (
    PEOPLE,
    ROWS_AT_ONCE,
    Added,
    Store,
    Table,
    add_ratings,
    read_cases,
    read_content_hashes,
    read_models,
    read_places,
    register,
    registered_mark,
    upload,
)
from routebench.suites import content_hash
from routebench.suites.importers import Tally, read_grades, read_outcomes, read_prompts
from routebench.types import Case, Model

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_RUN = "import"
_PROVIDER = "imported"
_UNNAMED = "unnamed"
"""The rater of grades whose table names none."""


# Where a part goes; `incoming` has a column for everything that differs from row to row, and for suite and time.
_TABLES = (
    Table(
        "completions",
        ("request_key", "run_id"),
        ("started_at",),
        """
        SELECT request_key, 'import' AS run_id, if(error_kind IS NULL, 'ok', 'error') AS status, error_kind,
            response AS text, input_tokens, output_tokens, cost_usd, latency_s, ttft_s,
            'standard' AS service_tier, 1 AS attempts, told_at AS started_at
        FROM incoming""",
    ),
    Table(
        "cells",
        ("suite", "case_id", "model", "sample"),
        (),
        """
        SELECT suite, case_id, model, sample, 'imported:' || suite || ':' || model AS model_key, request_key,
            'import' AS run_id
        FROM incoming""",
    ),
    Table(
        "grades",
        ("suite", "case_id", "request_key", "run_id", "grader"),
        ("graded_at",),
        """
        SELECT suite, case_id, request_key, 'import' AS run_id, 'imported' AS grader, score, told_at AS graded_at
        FROM incoming WHERE error_kind IS NULL""",
    ),
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What two files held, and what became of it.

    Attributes:
        n_cases: prompts.
        n_outcomes: rows that were taken.
        models: in the order of their first appearance.
        answers: which of the rows were new, and which said something else than before.
        scores: the same of their scores.
        tally: what had to be skipped, clipped or left unknown.
    """

    n_cases: int
    n_outcomes: int
    models: tuple[str, ...]
    answers: Added
    scores: Added
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the summary."""
        return {
            "n_cases": self.n_cases,
            "n_outcomes": self.n_outcomes,
            "models": list(self.models),
            "n_new": self.answers.new,
            "n_changed": max(self.answers.changed, self.scores.changed),
            **{name: dict(counts) for name, counts in _counts(self.tally)},
        }

    def __str__(self) -> str:
        lines = [f"{self.n_outcomes} outcomes of {self.n_cases} prompts x {len(self.models)} models"]
        changed = max(self.answers.changed, self.scores.changed)
        if self.answers.new != self.n_outcomes:
            kept = self.n_outcomes - self.answers.new - changed
            lines[0] += f": {self.answers.new} new, {changed} changed, {kept} as they were"
        return "\n".join([*lines, *_count_lines(self.tally)])


@dataclass(frozen=True, slots=True)
class ImportedGrades:
    """What a table of grades held, and what became of it.

    Attributes:
        n_grades: rows that were taken.
        raters: the people, sorted.
        graders: graders whose scores were worked out elsewhere, sorted.
        grades: which of the rows were new, and which said something else than before.
        tally: what had to be skipped or clipped.
    """

    n_grades: int
    raters: tuple[str, ...]
    graders: tuple[str, ...]
    grades: Added
    tally: Tally

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the summary."""
        return {
            "n_grades": self.n_grades,
            "raters": list(self.raters),
            "graders": list(self.graders),
            "n_new": self.grades.new,
            "n_changed": self.grades.changed,
            **{name: dict(counts) for name, counts in _counts(self.tally)},
        }

    def __str__(self) -> str:
        kept = self.n_grades - self.grades.new - self.grades.changed
        by = [*(f"by {rater}" for rater in self.raters), *(f"of grader {grader}" for grader in self.graders)]
        line = f"{self.n_grades} grades {', '.join(by)}: {self.grades.new} new, {self.grades.changed} changed, {kept} "
        return "\n".join([f"{line}as they were", *_count_lines(self.tally)])


def _counts(tally: Tally) -> list[tuple[str, Mapping[str, int]]]:
    """Only what there is of each: a reason that never occurred is no news."""
    named = (
        ("skipped", tally.skipped),
        ("clipped", tally.clipped),
        ("unknown", tally.unknown),
        ("noted", tally.noted),
    )
    return [(name, {reason: count for reason, count in counts.items() if count}) for name, counts in named]


def _count_lines(tally: Tally) -> list[str]:
    return [f"{name}: {count} {reason}" for name, counts in _counts(tally) for reason, count in counts.items()]


def import_outcomes(store: Store, suite: str, *, outcomes: str | Path, prompts: str | Path, at: datetime) -> Imported:
    """Reads a pair of interchange files into the store under a suite's name.

    Both files are read and checked before the store is touched, and parts of them at a time are in memory.

    Args:
        store: where they go.
        suite: the suite's name.
        outcomes: the file of outcomes.
        prompts: the file of prompts.
        at: when the rows are said to be from; the files do not tell.

    Raises:
        OutcomesError: a file cannot be used, or the name stands for other prompts; the store is as it was.
    """
    cases = [(case, content_hash(case)) for case in read_prompts(prompts)]
    _check_name(store, suite, cases)
    tally = Tally()
    with _spooled(suite, at, read_outcomes(outcomes, [case.id for case, _ in cases], tally)) as (parts, models):
        _register(store, suite, cases, models, at)
        n_cases = len(cases)
        # A large suite's prompts need not stand in memory beside the database's indexes.
        del cases
        with upload(store) as rows:
            for part in parts:
                rows.write(part, _TABLES)
    return Imported(n_cases, tally.rows, models, rows.added("completions"), rows.added("grades"), tally)


def import_grades(store: Store, suite: str, path: str | Path, at: datetime) -> ImportedGrades:
    """Reads a table of grades for answers that the store holds; calls no model.

    A row without a grader is what a person said: it is kept under `human#<rater>`, and the mean of all people under
    `human`. A row with one is a score of that grader, worked out elsewhere.

    Args:
        store: where the answers are.
        suite: the suite's name.
        path: prompt_id, model, score; optional sample, rater, grader, detail.
        at: when the grades are said to be from.

    Raises:
        OutcomesError: the file cannot be used, or none of its rows grades an answer; the store is as it was.
        StoreError: the store holds no such suite.
    """
    import pandas as pd

    tally = Tally()
    given = pd.concat(read_grades(path, tally), ignore_index=True)
    rows = _placed(given, read_places(store, suite), tally)
    if rows.empty:
        read_cases(store, suite)
        reasons = "; ".join(_count_lines(tally))
        raise OutcomesError(f"{path}: no row grades an answer of suite {suite!r} ({reasons}); nothing was written")
    person = rows["grader"].isna()
    rows["rater"] = rows["rater"].where(~person | rows["rater"].notna(), _UNNAMED)
    # Of a grader of the suite, the key under which its cases look for it, options included.
    own = ~person & (rows["grader"] == rows["primary_grader"].str.split("#").str[0])
    rows["grader"] = rows["grader"].where(~own, rows["primary_grader"])
    rows["grader"] = rows["grader"].where(~person, f"{PEOPLE}#" + rows["rater"].astype(str))
    key = ["case_id", "request_key", "run_id", "grader"]
    tally.noted["rows that an other row of the same answer and rater replaces"] += int(
        rows.duplicated(key, keep="last").sum()
    )
    rows = rows.drop_duplicates(key, keep="last")
    added = add_ratings(store, _as_table(suite, at, rows))
    raters = sorted(set(rows["rater"][rows["grader"].str.startswith(f"{PEOPLE}#")]))
    graders = sorted({key.split("#")[0] for key in rows["grader"]} - {PEOPLE})
    return ImportedGrades(len(rows), tuple(raters), tuple(graders), added, tally)


def _placed(given: pd.DataFrame, places: pd.DataFrame, tally: Tally) -> pd.DataFrame:
    """The grades of answers that there are, with the keys of those; the others are counted by reason."""
    rows = given.merge(places, how="left", on=["case_id", "model", "sample"])
    known = {name: rows[name].isin(set(places[name])) for name in ("case_id", "model")}
    there = rows["status"] == "ok"
    reasons = (
        ("rows whose prompt_id is not in the suite", ~known["case_id"]),
        ("rows whose model has no cells in the suite", known["case_id"] & ~known["model"]),
        ("rows without an answer in the store", known["case_id"] & known["model"] & ~there),
    )
    for reason, which in reasons:
        tally.skipped[reason] += int(which.sum())
    return rows[there].copy()


def _as_table(suite: str, at: datetime, rows: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    texts = ("case_id", "request_key", "run_id", "grader", "detail", "rater")
    return pa.table(
        {
            **{name: pa.array(rows[name], pa.string(), from_pandas=True) for name in texts},
            "suite": pa.array([suite] * len(rows), pa.string()),
            "score": pa.array(rows["score"], pa.float64()),
            "told_at": pa.array([at.astimezone(UTC).replace(tzinfo=None)] * len(rows), pa.timestamp("us")),
        }
    )


def _check_name(store: Store, suite: str, cases: Sequence[tuple[Case, str]]) -> None:
    """A name stands for one suite: other prompts under it would get the answers of the old ones."""
    known = read_content_hashes(store, suite)
    if not known:
        return
    if any(model.provider != _PROVIDER for model in read_models(store, suite)):
        raise OutcomesError(f"suite {suite!r} of this store comes from a run; choose another name with --name")
    changed = {case.id: case for case, digest in cases if known.get(case.id, digest) != digest}
    for old in read_cases(store, suite) if changed else ():
        new = changed.get(old.id)
        if new is not None and new.request.messages != old.request.messages:
            raise OutcomesError(
                f"suite {suite!r}: prompt_id {old.id!r} stands for another prompt in this store; choose another name "
                "with --name"
            )


@contextmanager
def _spooled(
    suite: str, at: datetime, parts: Iterable[pd.DataFrame]
) -> Iterator[tuple[Iterator[pa.Table], tuple[str, ...]]]:
    """Every part in a file first, so that a bad row at the end leaves the store as it was; and the models seen."""
    import pyarrow as pa
    from pyarrow import ipc

    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("suite", "request_key", "case_id", "model", "error_kind", "response")),
            ("told_at", pa.timestamp("us")),
            ("sample", pa.int32()),
            *((name, pa.float64()) for name in ("score", "cost_usd", "latency_s", "ttft_s")),
            *((name, pa.float64()) for name in ("input_tokens", "output_tokens")),
        ]
    )
    models: dict[str, None] = {}
    when = at.astimezone(UTC).replace(tzinfo=None)
    with tempfile.TemporaryFile() as file:
        with ipc.new_stream(file, schema) as writer:
            for part in parts:
                models |= dict.fromkeys(part["model"])
                rows = zip(*(part[name].tolist() for name in ("case_id", "model", "sample")), strict=True)
                part["suite"], part["told_at"] = suite, when
                part["request_key"] = [_request_key(suite, *row) for row in rows]
                writer.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))
        file.seek(0)
        yield _together(ipc.open_stream(file)), tuple(models)


def _together(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Small batches as parts that the database writes best."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _request_key(suite: str, case_id: str, model: str, sample: int) -> str:
    """An imported answer has no request of ours: its key is of suite, case, model and sample."""
    return hashlib.sha256(f"{suite}\x00{case_id}\x00{model}\x00{sample}".encode()).hexdigest()


def _register(store: Store, suite: str, cases: Sequence[tuple[Case, str]], models: Sequence[str], at: datetime) -> None:
    """Writes cases and models, unless the very same are there already."""
    told = [(case.id, digest, case.category, case.group, case.weight, case.split) for case, digest in cases]
    mark = hashlib.sha256(repr((told, tuple(models))).encode()).hexdigest()
    if registered_mark(store, suite) == mark:
        return
    register(
        store,
        suite=suite,
        run_id=_RUN,
        cases=cases,
        models=[(Model(name, provider=_PROVIDER, model=name), f"{_PROVIDER}:{suite}:{name}") for name in models],
        cells=(),
        at=at,
        mark=mark,
    )
