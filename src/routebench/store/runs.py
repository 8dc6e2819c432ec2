"""What the store knows of runs: those that were, and how far the cells of a suite have come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from routebench.store.queries import counted
from routebench.store.store import Store


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A row of table `runs`; times are UTC.

    Attributes:
        finished_at: None for a run that goes on, and for one that was killed.
        spend_usd: billed by the time of the row; None where it was never told.
        config: its caps and limits.
    """

    run_id: str
    plan_key: str | None
    started_at: datetime | None
    finished_at: datetime | None
    status: str
    spend_usd: float | None
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CellCounts:
    """How far one model's cells of a suite have come.

    Attributes:
        failed: cells with an error in place of an answer, abstentions aside.
        abstained: cells whose model refused to answer.
        billed_usd: the known bills of the completions that count, None where none is known.
        n_unbilled: of how many the bill is unknown.
        latency_p50_s: of the answers, None where none is known.
        last_at: when the latest of them was asked for, in UTC.
    """

    model: str
    cells: int
    ok: int
    failed: int
    abstained: int
    billed_usd: float | None
    n_unbilled: int
    latency_p50_s: float | None
    latency_p95_s: float | None
    last_at: datetime | None

    @property
    def missing(self) -> int:
        """Cells with neither an answer nor an error."""
        return self.cells - self.ok - self.failed - self.abstained


def read_runs(store: Store, suite: str, *, last: int = 20) -> list[RunRecord]:
    """Returns the latest runs of a suite, newest first."""
    with store.connect() as con:
        rows = con.execute(
            """
            SELECT run_id, plan_key, started_at, finished_at, status, spend_usd, config FROM runs
            WHERE suite = ? ORDER BY started_at DESC NULLS LAST, run_id DESC LIMIT ?""",
            [suite, last],
        ).fetchall()
    return [
        RunRecord(run_id, plan_key, started_at, finished_at, status, spend_usd, json.loads(config or "{}"))
        for run_id, plan_key, started_at, finished_at, status, spend_usd, config in rows
    ]


# As the matrix joins them; the name that is put into it is one of two of ours.
_COUNTS = """
    WITH cell AS (SELECT hash(request_key) AS h, model FROM cells WHERE suite = $suite),
    done AS (
        SELECT hash(request_key) AS h, status, error_kind, billed_cost_usd, latency_s, started_at FROM {counted})
    SELECT cell.model, count(*), count(*) FILTER (status = 'ok'),
        count(*) FILTER (status = 'error' AND error_kind IS DISTINCT FROM 'abstained'),
        count(*) FILTER (status = 'error' AND error_kind = 'abstained'),
        sum(billed_cost_usd), count(status) - count(billed_cost_usd),
        quantile_cont(latency_s, 0.5) FILTER (status = 'ok'), quantile_cont(latency_s, 0.95) FILTER (status = 'ok'),
        max(started_at)
    FROM cell LEFT JOIN done ON done.h = cell.h GROUP BY cell.model ORDER BY cell.model"""


def count_cells(store: Store, suite: str) -> list[CellCounts]:
    """Returns how far every model of a suite has come, by name; nothing where the suite was never run."""
    with store.connect() as con:
        rows = con.execute(_COUNTS.format(counted=counted(con)), {"suite": suite}).fetchall()
    return [CellCounts(*row) for row in rows]


def mean_costs_usd(store: Store, model_keys: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Returns model key -> what its answers cost on average, in US dollars, and of how many that is known.

    Models without such an answer are left out.
    """
    with store.connect() as con:
        rows = con.execute(
            """
            SELECT model_key, avg(cost_usd), count(*) FROM (
                SELECT DISTINCT cells.model_key, c.request_key, c.run_id, c.cost_usd
                FROM cells JOIN completions c USING (request_key)
                WHERE list_contains(?, cells.model_key) AND c.status = 'ok' AND c.cost_usd IS NOT NULL)
            GROUP BY 1""",
            [list(model_keys)],
        ).fetchall()
    return {key: (mean, number) for key, mean, number in rows}
