from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from routebench.errors import MissingCellsError
from routebench.providers import Call, completion_to_json, model_key
from routebench.providers.base import failed
from routebench.redact import Secrets
from routebench.run import Limits, Run, make_plan, recover
from routebench.run.journal import Journal
from routebench.store import Store, read_outcomes, register
from routebench.suites import Suite, content_hash
from routebench.types import Completion, Model, Usage
from tests.conftest import make_case, make_model

AT = datetime(2026, 11, 23, tzinfo=UTC)
SUITE = Suite("s", tuple(make_case(f"c{i}", prompt=f"question {i}") for i in range(6)))


class Scripted:
    """A provider that answers what a function says, and remembers what it was asked."""

    max_concurrency: int | None = None

    def __init__(
        self, answer: Callable[[Call, int], Completion] | None = None, *, concurrency: int | None = None
    ) -> None:
        self.calls: list[Call] = []
        self.closed = False
        self.max_concurrency = concurrency
        self._answer = answer or (lambda _call, _n: ok())

    async def complete(self, call: Call) -> Completion:
        self.calls.append(call)
        await asyncio.sleep(0)
        return self._answer(call, len(self.calls))

    async def aclose(self) -> None:
        self.closed = True


def ok(text: str = "yes") -> Completion:
    return Completion(status="ok", text=text, usage=Usage(input_tokens=1000, output_tokens=500), latency_s=0.1)


def start(
    store: Store,
    provider: Scripted,
    *models: Model,
    budget: float | None = None,
    limits: Limits | None = None,
    **plan: object,
) -> Run:
    chosen = models or (make_model(),)
    made = make_plan(SUITE, chosen, store, **plan)  # type: ignore[arg-type]
    register(
        store,
        suite=SUITE.name,
        run_id="r",
        cases=[(case, content_hash(case)) for case in SUITE],
        models=[(model, model_key(model)) for model in chosen],
        cells=made.cells,
        at=AT,
    )
    return Run(
        made,
        store,
        run_id=f"r{os.urandom(4).hex()}",
        open_provider=lambda _name: provider,
        limits=limits or Limits(max_concurrency=3, max_attempts=1),
        budget_usd=budget,
        secrets=Secrets(["sk-very-secret"]),
        now=lambda: AT,
    ).start()


def test_every_cell_gets_a_row_and_a_second_run_sends_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    first, second = Scripted(), Scripted()
    progress = start(store, first).wait(10)
    assert (progress.status, progress.done, progress.left) == ("done", 6, 0)
    assert first.closed
    frame = read_outcomes(store, "s")
    assert (frame["status"] == "ok").all()
    # 1000 tokens at $1 and 500 at $2 a million.
    assert frame["cost_usd"].tolist() == pytest.approx([0.002] * 6)
    assert progress.spent_usd == pytest.approx(0.012)
    again = start(store, second).wait(10)
    assert second.calls == []
    assert (again.calls, again.known, again.spent_usd) == (0, 6, 0.0)
    assert not list(tmp_path.glob(".*.journal"))


def test_a_new_model_or_sample_sends_only_what_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    start(store, Scripted()).wait(10)
    more = Scripted()
    start(store, more, make_model(), make_model("large"), samples=2).wait(10)
    assert len(more.calls) == 6 + 12


def test_errors_are_rows_and_only_passing_ones_are_tried_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def answer(call: Call, _n: int) -> Completion:
        text = str(call.request.messages[0]["content"])
        return failed("server", "oops") if "0" in text else failed("abstained", "no") if "1" in text else ok()

    progress = start(store, Scripted(answer)).wait(10)
    assert (progress.errors, progress.models[0].abstained) == (1, 1)
    kinds = read_outcomes(store, "s").set_index("case_id")["error_kind"]
    assert (kinds["c0"], kinds["c1"]) == ("server", "abstained")
    assert read_outcomes(store, "s").set_index("case_id")["cost_usd"].isna()["c0"]
    later = Scripted()
    start(store, later).wait(10)
    assert [call.request.messages[0]["content"] for call in later.calls] == ["question 0"]
    insisting = Scripted()
    start(store, insisting, retry_errors=True).wait(10)
    assert [call.request.messages[0]["content"] for call in insisting.calls] == ["question 1"]


def test_a_transient_fault_is_tried_again_within_the_run(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def answer(_call: Call, number: int) -> Completion:
        return failed("rate_limited", "slow", retry_after_s=0.0) if number <= 2 else ok()

    progress = start(store, Scripted(answer), limits=Limits(max_concurrency=1, max_attempts=4)).wait(10)
    assert progress.models[0].retries == 2
    with store.connect() as con:
        assert con.execute("SELECT max(attempts), min(attempts), count(*) FROM completions").fetchall() == [(3, 1, 6)]


def test_the_budget_is_never_crossed_and_the_rest_is_left_for_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    cheap = make_model(params={"max_tokens": 500})
    plan = make_plan(SUITE, [cheap], store)
    worst = max(value for value in plan.worst_case_usd.values() if value is not None)
    provider = Scripted(
        lambda _call, _n: Completion(status="ok", text="x", usage=Usage(input_tokens=20, output_tokens=500))
    )
    cap = worst * 3.5
    progress = start(store, provider, cheap, budget=cap).wait(10)
    assert progress.status == "budget"
    assert 0 < progress.spent_usd <= cap
    assert progress.left > 0
    rest = start(store, Scripted(), cheap).wait(10)
    assert rest.done == progress.left


def test_pause_stop_and_resume(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    asked, gate = threading.Event(), threading.Event()

    def answer(_call: Call, number: int) -> Completion:
        if number == 2:
            asked.set()
            gate.wait(5)
        return ok()

    run = start(store, Scripted(answer), limits=Limits(max_concurrency=1, max_attempts=1))
    assert asked.wait(5)
    run.pause()
    assert run.progress().status == "paused"
    run.stop()
    gate.set()
    progress = run.wait(10)
    assert progress.status == "stopped"
    assert 0 < progress.done < 6
    assert start(store, Scripted()).wait(10).done == progress.left


def test_a_run_can_be_awaited(tmp_path: Path) -> None:
    run = start(Store(tmp_path / "s.duckdb"), Scripted())

    async def main() -> str:
        return (await run).status

    assert asyncio.run(main()) == "done"


def test_secrets_do_not_reach_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    start(store, Scripted(lambda _call, _n: failed("auth", "key sk-very-secret is wrong"))).wait(10)
    with store.connect() as con:
        assert con.execute("SELECT DISTINCT error FROM completions").fetchall() == [("key [secret] is wrong",)]


def test_a_bug_in_a_provider_is_raised_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def answer(_call: Call, number: int) -> Completion:
        if number == 4:
            raise ZeroDivisionError
        return ok()

    run = start(store, Scripted(answer), limits=Limits(max_concurrency=1))
    with pytest.raises(ZeroDivisionError):
        run.wait(10)
    assert read_outcomes(store, "s")["status"].notna().sum() == 3


def test_cache_only_sends_nothing_and_names_what_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    with pytest.raises(MissingCellsError, match="6 of 6 cells have no answer") as caught:
        make_plan(SUITE, [make_model()], store, cache="only")
    assert "c0 x small" in str(caught.value)


def test_refresh_asks_again_and_keeps_the_older_answer(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    start(store, Scripted()).wait(10)
    start(store, Scripted(), cache="refresh").wait(10)
    with store.connect() as con:
        assert con.execute("SELECT count(*), count(DISTINCT request_key) FROM completions").fetchall() == [(12, 6)]


def test_a_plan_is_priced_and_unknown_prices_stay_unknown(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    plan = make_plan(SUITE, [make_model(), make_model("mystery", price=None, price_source=None)], store)
    frame = plan.df().set_index("name")
    assert frame.loc["small", "calls"] == 6
    assert 0 < frame.loc["small", "cost_low_usd"] < frame.loc["small", "cost_high_usd"]
    assert frame.loc["mystery", ["cost_low_usd", "cost_high_usd"]].isna().all()
    assert plan.cost_high_usd is None
    assert "unknown price" in str(plan)


def test_the_journal_of_a_killed_process_is_recovered_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    start(store, Scripted()).wait(10)

    async def write() -> Path:
        journal = Journal(store, "dead")
        await journal.append("k1", completion_to_json(ok("kept")))
        journal._file.close()
        return journal.path

    path = asyncio.run(write())
    dead = path.with_name(path.name.replace(f".{os.getpid()}.", ".999999999."))
    path.rename(dead)
    with dead.open("ab") as file:
        file.write(json.dumps({"request_key": "k2", "run_id": "dead"}).encode()[:20])
    assert recover(store) == 1
    assert recover(store) == 0
    with store.connect() as con:
        assert con.execute("SELECT text FROM completions WHERE run_id = 'dead'").fetchall() == [("kept",)]


def test_the_journal_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    path = tmp_path / f".s.duckdb.other.{os.getppid()}.journal"
    path.write_text("")
    assert recover(store) == 0
    assert path.exists()
