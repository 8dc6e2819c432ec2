from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from routebench.providers.base import failed
from routebench.store import Store, count_cells, mean_costs_usd, read_model_keys, read_runs, write_run
from routebench.types import Completion
from tests.run.test_runner import Scripted, ok, start

AT = datetime(2026, 11, 23, tzinfo=UTC)


def test_cells_are_counted_as_answered_abstained_failed_and_missing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def answer(_call: object, number: int) -> Completion:
        return failed("abstained", "no", billed_cost_usd=0.0) if number == 1 else ok()

    start(store, Scripted(answer), max_calls=4).wait(20)
    (one,) = count_cells(store, "s")
    assert (one.model, one.cells, one.ok, one.failed, one.abstained, one.missing) == ("small", 6, 3, 0, 1, 2)
    assert one.billed_usd == pytest.approx(0.006)
    assert one.latency_p50_s == pytest.approx(0.1)
    assert count_cells(store, "unknown") == []
    key = read_model_keys(store, "s")["small"]
    assert mean_costs_usd(store, [key, "never"]) == {key: (pytest.approx(0.002), 3)}


def test_unknown_bills_are_counted_apart(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    start(store, Scripted(lambda _call, number: failed("timeout", "late") if number == 1 else ok())).wait(20)
    (one,) = count_cells(store, "s")
    assert (one.billed_usd, one.n_unbilled) == (pytest.approx(0.01), 1)


def test_runs_are_read_newest_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    for day in range(3):
        started = AT + timedelta(days=day)
        row = {"run_id": f"r{day}", "suite": "s", "plan_key": "p", "config": {"max_calls": day}, "started_at": started}
        write_run(store, {**row, "finished_at": None, "status": "running", "spend_usd": 0.5})
    runs = read_runs(store, "s", last=2)
    assert [run.run_id for run in runs] == ["r2", "r1"]
    assert (runs[0].config, runs[0].finished_at, runs[0].spend_usd) == ({"max_calls": 2}, None, 0.5)
