"""Bringing the interchange files into a store; the same files twice change nothing."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from routebench.importing.naming import check_name, register_all, request_key
from routebench.importing.told import Imported
from routebench.store import ROWS_AT_ONCE, Store, Table, upload
from routebench.suites import content_hash
from routebench.suites.importers import Tally, read_outcomes, read_prompts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Where a part goes; `incoming` has a column for everything that differs from row to row, and for suite and time.
CELLS = Table(
    "cells",
    ("suite", "case_id", "model", "sample"),
    (),
    """
    SELECT suite, case_id, model, sample, 'imported:' || suite || ':' || model AS model_key, request_key,
        'import' AS run_id
    FROM incoming""",
)
GRADES = Table(
    "grades",
    ("suite", "case_id", "request_key", "run_id", "grader"),
    ("graded_at",),
    """
    SELECT suite, case_id, request_key, 'import' AS run_id, 'imported' AS grader, score, told_at AS graded_at
    FROM incoming WHERE error_kind IS NULL""",
)
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
    CELLS,
    GRADES,
)


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
    check_name(store, suite, cases)
    tally = Tally()
    with _spooled(suite, at, read_outcomes(outcomes, [case.id for case, _ in cases], tally)) as (parts, models):
        told = [(case.id, digest, case.category, case.group, case.weight, case.split) for case, digest in cases]
        register_all(store, suite, cases, models, at, hashlib.sha256(repr((told, models)).encode()).hexdigest())
        del told
        n_cases = len(cases)
        # A large suite's prompts need not stand in memory beside the database's indexes.
        del cases
        with upload(store) as rows:
            for part in parts:
                rows.write(part, _TABLES)
    return Imported(n_cases, tally.rows, models, rows.added("completions"), rows.added("grades"), tally)


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
                part["request_key"] = [request_key(suite, *row) for row in rows]
                writer.write_table(pa.Table.from_pandas(part, schema=schema, preserve_index=False))
        file.seek(0)
        yield together(ipc.open_stream(file)), tuple(models)


def together(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yields small batches as parts that the database writes best."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= ROWS_AT_ONCE:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)
