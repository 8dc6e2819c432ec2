from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from routebench.errors import MissingCellsError, StoreLockedError
from routebench.providers import Call, completion_to_json, model_key
from routebench.providers.base import failed
from routebench.redact import Secrets
from routebench.run import Limits, Progress, Run, make_plan, recover
from routebench.run.journal import Journal
from routebench.store import Store, read_outcomes, register
from routebench.suites import Suite, content_hash
from routebench.types import Completion, Model, ToolCall, Usage
from tests.conftest import make_case, make_model

AT = datetime(2026, 11, 23, tzinfo=UTC)
SUITE = Suite("s", tuple(make_case(f"c{i}", prompt=f"question {i}") for i in range(6)))


class Scripted:
    """A provider that answers what a function says, and remembers what it was asked."""

    def __init__(self, answer: Callable[[Call, int], Completion] | None = None) -> None:
        self.calls: list[Call] = []
        self.closed = False
        self._answer = answer or (lambda _call, _n: ok())

    async def complete(self, call: Call) -> Completion:
        self.calls.append(call)
        # Its own number, whoever comes while it waits: how many calls fail must not hang on who is scheduled when.
        number = len(self.calls)
        await asyncio.sleep(0)
        return self._answer(call, number)

    async def aclose(self) -> None:
        self.closed = True


def ok(text: str = "yes") -> Completion:
    return Completion(status="ok", text=text, usage=Usage(input_tokens=1000, output_tokens=500), latency_s=0.1)


async def no_sleep(seconds: float) -> None:
    """Waits for nothing: what is asked for is held in other tests."""
    await asyncio.sleep(0)


def start(
    store: Store,
    provider: Scripted,
    *models: Model,
    budget: float | None = None,
    max_calls: int | None = None,
    suite: Suite = SUITE,
    secrets: str = "sk-very-secret",
    now: Callable[[], datetime] = lambda: AT,
    limits: Limits | None = None,
    **plan: object,
) -> Run:
    chosen = models or (make_model(),)
    made = make_plan(suite, chosen, store, **plan)  # type: ignore[arg-type]
    register(
        store,
        suite=suite.name,
        run_id="r",
        cases=[(case, content_hash(case)) for case in suite],
        models=[(model, model_key(model)) for model in chosen],
        cells=made.cells(),
        at=AT,
    )
    return Run(
        made,
        store,
        run_id=f"r{os.urandom(4).hex()}",
        open_provider=lambda _name: provider,
        limits=limits or Limits(max_concurrency=3, max_attempts=1),
        budget_usd=budget,
        max_calls=max_calls,
        sleep=no_sleep,
        secrets=Secrets([secrets]),
        now=now,
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
    worst = max(value for value in (call.worst_case_usd for call in plan.calls) if value is not None)
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
    assert "without a known bound" in str(plan)


def test_the_journal_of_a_killed_process_is_recovered_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    whole = {"request_key": "k1", "run_id": "dead", **completion_to_json(ok("kept"))}
    cut = json.dumps({**whole, "request_key": "k2"})[:-20]
    path = tmp_path / ".s.duckdb.dead.000001.journal"
    path.write_text(json.dumps(whole) + "\n" + cut)
    assert recover(store) == 1
    assert recover(store) == 0
    assert not list(tmp_path.glob(".s.duckdb*"))
    with store.connect() as con:
        assert con.execute("SELECT request_key, text FROM completions").fetchall() == [("k1", "kept")]


def test_the_journal_of_a_run_that_goes_on_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    async def go() -> None:
        journal = Journal(store, "alive", Secrets())
        safe = asyncio.Event()
        await journal.add("k1", completion_to_json(ok()), safe.set)
        await safe.wait()
        assert recover(store) == 0
        await journal.close()

    asyncio.run(go())
    assert not list(tmp_path.glob(".s.duckdb*"))
    with store.connect() as con:
        assert con.execute("SELECT count(*) FROM completions").fetchall() == [(1,)]


def column(store: Store, query: str) -> list[object]:
    with store.connect() as con:
        return [row[0] for row in con.execute(query).fetchall()]


def test_every_attempt_is_reserved_and_no_cap_is_crossed_at_256_in_flight(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    many = Suite("many", tuple(make_case(f"c{i}", prompt=f"question {i}") for i in range(600)))
    model = make_model(params={"max_tokens": 100})
    worst = next(call.worst_case_usd for call in make_plan(many, [model], store).calls)
    assert worst is not None
    sent = 0

    def answer(_call: Call, number: int) -> Completion:
        nonlocal sent
        sent += 1
        if number % 3 == 0:
            # Broken off, and perhaps charged: it counts at its worst.
            return failed("incomplete", "cut")
        return Completion(status="ok", text="x", usage=Usage(input_tokens=20, output_tokens=100))

    limits = Limits(max_concurrency=256, initial_concurrency=256, max_attempts=4)
    progress = start(store, Scripted(answer), model, suite=many, budget=worst * 300, limits=limits).wait(30)
    assert progress.status == "budget"
    assert progress.note is not None
    assert "cap of $" in progress.note
    assert progress.spent_usd <= worst * 300
    # What was really asked cannot have cost more either.
    assert sent * worst <= worst * 300 * 3
    assert progress.left > 0
    assert progress.n_sent == sent


def test_max_calls_counts_every_request_also_of_models_without_a_price(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    provider = Scripted(lambda _call, number: failed("server", "oops") if number == 1 else ok())
    model = make_model(price=None, price_source=None)
    progress = start(store, provider, model, max_calls=4, limits=Limits(max_concurrency=1)).wait(10)
    assert (len(provider.calls), progress.n_sent, progress.status) == (4, 4, "budget")
    assert progress.done == 3
    assert progress.n_cost_unknown == 4
    assert "4 requests whose bill is unknown" in str(progress)
    assert start(store, Scripted(), model).wait(10).done == 3


def test_failed_attempts_are_counted_as_waste(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def answer(_call: Call, number: int) -> Completion:
        if number == 1:
            return failed("incomplete", "cut", usage=Usage(input_tokens=1000, output_tokens=100))
        if number == 2:
            return failed("rate_limited", "slow", billed_cost_usd=0.0)
        return ok()

    start(store, Scripted(answer), limits=Limits(max_concurrency=1)).wait(10)
    with store.connect() as con:
        row = con.execute(
            "SELECT attempts, wasted_input_tokens, wasted_output_tokens, wasted_cost_usd, cost_usd, billed_cost_usd "
            "FROM completions WHERE attempts > 1"
        ).fetchone()
    assert row == (3, 1000, 100, pytest.approx(0.0012), pytest.approx(0.002), pytest.approx(0.0032))


def test_waste_of_an_unknown_price_stays_unknown(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    provider = Scripted(lambda _call, number: failed("timeout", "slow") if number == 1 else ok())
    start(store, provider, limits=Limits(max_concurrency=1)).wait(10)
    assert column(store, "SELECT wasted_cost_usd FROM completions WHERE attempts = 2") == [None]
    assert column(store, "SELECT wasted_input_tokens FROM completions WHERE attempts = 2") == [None]
    assert column(store, "SELECT billed_cost_usd FROM completions WHERE attempts = 2") == [None]
    assert column(store, "SELECT cost_usd FROM completions WHERE attempts = 2") == [pytest.approx(0.002)]


def test_a_provider_that_only_fails_is_paused_and_the_others_go_on(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    many = Suite("many", tuple(make_case(f"c{i}", prompt=f"question {i}") for i in range(60)))

    def answer(call: Call, _n: int) -> Completion:
        return failed("auth", "HTTP 401: wrong key") if call.model.name == "locked" else ok()

    provider = Scripted(answer)
    progress = start(store, provider, make_model("locked"), make_model("open"), suite=many).wait(20)
    locked, opened = progress.models
    assert (opened.ok, opened.errors) == (60, 0)
    assert locked.ok == 0
    assert 5 <= locked.errors <= 8
    assert progress.status == "stopped"
    assert progress.left == 60 - locked.errors
    assert "5 calls in a row failed (auth: HTTP 401: wrong key)" in progress.paused["locked"]
    assert progress.errors_by_kind == {"auth": locked.errors}


def test_a_very_long_wait_pauses_the_model_and_the_run_ends(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    provider = Scripted(lambda _call, _n: failed("rate_limited", "daily limit", retry_after_s=7200.0))
    progress = start(store, provider, limits=Limits(max_concurrency=1)).wait(10)
    assert len(provider.calls) == 1
    assert "asks to wait 7200 s" in progress.paused["small"]


def test_shards_share_no_call_and_make_a_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    first, second = Scripted(), Scripted()
    one, two = start(store, first, shard=(1, 2)).wait(10), start(store, second, shard=(2, 2)).wait(10)
    keys = {call.key for call in first.calls} | {call.key for call in second.calls}
    assert len(first.calls) + len(second.calls) == len(keys) == 6
    assert (one.left, two.left) == (0, 0)
    assert start(store, Scripted()).wait(10).calls == 0


def test_cache_mode_off_gives_every_cell_an_answer_of_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    twins = Suite("twins", (make_case("a", prompt="same"), make_case("b", prompt="same")))
    shared = Scripted()
    start(store, shared, suite=twins).wait(10)
    assert len(shared.calls) == 1
    own = Scripted()
    start(store, own, suite=twins, cache="off", salt="once").wait(10)
    assert len(own.calls) == 2
    assert start(store, Scripted(), suite=twins).wait(10).calls == 0


def test_what_a_provider_says_besides_text_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    told = Completion(
        status="ok",
        text="",
        reasoning="hm",
        tool_calls=(ToolCall("t1", "look", '{"a": 1}'),),
        request_id="req-1",
        served_model="really-this",
        usage=Usage(10, 5, 4, None, 2, {"prompt_tokens": 10}),
        reported_cost_usd=0.5,
        service_tier="flex",
    )
    model = make_model(price_source="genai-prices 1", price_date=AT.date())
    start(store, Scripted(lambda _call, _n: told), model).wait(10)
    with store.connect() as con:
        row = con.execute(
            "SELECT reasoning, tool_calls->>'$[0].arguments', request_id, served_model, usage_raw->>'prompt_tokens', "
            "reported_cost_usd, service_tier, cost_usd, billed_cost_usd, price_source, price_date, started_at "
            "FROM completions LIMIT 1"
        ).fetchone()
    # Cached tokens make the reported cost depend on the order of the run: the list price is the book's.
    listed = pytest.approx(20e-6)
    assert row == (
        "hm", '{"a": 1}', "req-1", "really-this", "10", 0.5, "flex", listed, 0.5, "genai-prices 1", AT.date(),
        AT.replace(tzinfo=None),
    )  # fmt: skip


@pytest.mark.parametrize(
    "echo",
    [
        lambda key: f"Incorrect API key provided: {key}",
        lambda key: f"https://host/?key={quote(key, safe='')}",
        lambda key: "Basic " + base64.b64encode(f"user:{key}".encode()).decode(),
        lambda key: base64.urlsafe_b64encode(f"xy{key}".encode()).decode(),
        lambda key: json.dumps({"echo": key}),
    ],
)
@pytest.mark.parametrize("field", ["error", "text", "reasoning", "raw"])
def test_no_echo_of_a_key_reaches_the_store_or_the_progress(
    tmp_path: Path, echo: Callable[[str], str], field: str
) -> None:
    key = 'sk-very"secret/key+1'
    said = echo(key)
    completion = {
        "error": failed("auth", said),
        "text": Completion(status="ok", text=said),
        "reasoning": Completion(status="ok", text="", reasoning=said),
        "raw": Completion(status="ok", text="", usage=Usage(raw={"echo": said})),
    }[field]
    store = Store(tmp_path / "s.duckdb")
    run = start(store, Scripted(lambda _call, _n: completion), secrets=key)
    progress = run.wait(10)
    rows = column(store, "SELECT completions::VARCHAR FROM completions")
    written = json.dumps([rows, str(progress), list(progress.problems), list(progress.paused.values())], default=str)
    for form in (key, quote(key, safe=""), json.dumps(key)[1:-1], base64.b64encode(key.encode()).decode()[:20]):
        assert form not in written
    assert "[secret]" in written


def test_a_full_disk_ends_the_run_keeps_what_was_reported_and_says_so(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from routebench.errors import StoreError
from tests.run.test_runner import *
store = Store(Path({store!r}))
many = Suite("many", tuple(make_case(f"c{{i}}", prompt=f"question {{i}}") for i in range(400)))
text = "x" * 2000
def answer(_call, number):
    if number >= 100:
        # From here on no file of this process may grow beyond 64 KiB.
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
    return Completion(status="ok", text=text, usage=Usage(input_tokens=1, output_tokens=1))
run = start(store, Scripted(answer), suite=many)
try:
    run.wait(30)
except StoreError as error:
    print(type(error).__name__, error)
print(run.progress().done)
"""
    root, store_path = str(Path(__file__).parents[2]), str(tmp_path / "s.duckdb")
    done = subprocess.run(
        [sys.executable, "-c", code.format(root=root, store=store_path)], capture_output=True, text=True, check=False
    )
    assert "JournalError" in done.stdout, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "File too large" in lines[0]
    reported = int(lines[-1])
    store = Store(store_path)
    recover(store)
    kept = column(store, "SELECT count(*) FROM completions")[0]
    assert isinstance(kept, int)
    assert kept >= reported
    assert not list(tmp_path.glob(".s.duckdb*.journal"))


def test_a_store_that_another_process_holds_costs_no_answer(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb", lock_timeout_s=0.2)
    held, release = threading.Event(), threading.Event()

    def answer(_call: Call, number: int) -> Completion:
        if number == 1:
            holder.start()
            held.wait(10)
        return ok()

    def hold() -> None:
        code = f"import duckdb, sys; con = duckdb.connect({str(store.path)!r}); print('held', flush=True); sys.stdin.read()"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    run = start(store, Scripted(answer), limits=Limits(max_concurrency=1))
    try:
        with pytest.raises(StoreLockedError, match="is held by process"):
            run.wait(20)
    finally:
        release.set()
        holder.join()
    assert run.progress().done == 6
    assert recover(store) == 6
    assert start(store, Scripted()).wait(10).calls == 0


def test_a_clock_that_steps_back_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    steps = iter(AT - timedelta(seconds=number) for number in range(1000))
    progress = start(store, Scripted(), now=lambda: next(steps)).wait(10)
    assert (progress.done, progress.left) == (6, 0)
    assert progress.elapsed_s >= 0
    assert column(store, "SELECT count(*) FROM completions WHERE latency_s > 0 AND queue_s >= 0") == [6]
    assert start(store, Scripted()).wait(10).calls == 0


def test_giving_up_waiting_does_not_stop_a_run_and_it_can_still_be_stopped(tmp_path: Path) -> None:
    gate = threading.Event()

    def answer(_call: Call, number: int) -> Completion:
        if number == 2:
            gate.wait(5)
        return ok()

    run = start(Store(tmp_path / "s.duckdb"), Scripted(answer), limits=Limits(max_concurrency=1))

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(_waiting(run)), 0.05)

    asyncio.run(impatient())
    assert run.running
    run.stop()
    gate.set()
    assert run.wait(10).status == "stopped"


async def _waiting(run: Run) -> Progress:
    return await run


def test_an_answer_that_cannot_be_written_is_a_failed_call_and_costs_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def answer(call: Call, _n: int) -> Completion:
        odd = "0" in str(call.request.messages[0]["content"])
        return replace(ok(), usage=Usage(1000, 500, raw={"x": object()} if odd else None))

    progress = start(store, Scripted(answer)).wait(10)
    assert (progress.done, progress.errors_by_kind) == (6, {"malformed": 1})
    assert progress.spent_usd == pytest.approx(0.012)


def test_a_pause_holds_back_what_waits_for_its_turn(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    many = Suite("many", tuple(make_case(f"c{i}", prompt=f"question {i}") for i in range(40)))
    gate, asked = threading.Event(), threading.Event()

    class Gated(Scripted):
        async def complete(self, call: Call) -> Completion:
            self.calls.append(call)
            asked.set()
            await asyncio.to_thread(gate.wait, 5)
            return ok()

    provider = Gated()
    run = start(store, provider, suite=many, limits=Limits(max_concurrency=20, initial_concurrency=4))
    assert asked.wait(5)
    run.pause()
    before = len(provider.calls)
    gate.set()
    deadline = time.monotonic() + 5
    while run.progress().done < before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(provider.calls) <= before + 4
    assert run.progress().done <= before + 4
    run.resume()
    assert run.wait(10).done == 40


def test_one_model_that_is_limited_holds_no_other_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")

    def answer(call: Call, _n: int) -> Completion:
        return failed("rate_limited", "slow", retry_after_s=30.0) if call.model.name == "limited" else ok()

    run = start(store, Scripted(answer), make_model("limited"), make_model("free"), limits=Limits(max_concurrency=4))
    deadline = time.monotonic() + 10
    while run.progress().models[1].done < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    limited, free = run.progress().models
    run.stop()
    assert free.ok == 6
    assert limited.ok == 0
    run.wait(10)


def test_a_provider_that_cannot_be_closed_costs_no_answer(tmp_path: Path) -> None:
    class Stuck(Scripted):
        async def aclose(self) -> None:
            raise OSError("stuck")

    store = Store(tmp_path / "s.duckdb")
    progress = start(store, Stuck()).wait(10)
    assert progress.done == 6
    assert "stuck" in (progress.note or "")
    assert column(store, "SELECT count(*) FROM completions") == [6]


@pytest.mark.parametrize("name", ["bench[v2].duckdb", "a b.duckdb", "link.duckdb"])
def test_journals_are_found_whatever_the_store_is_called(tmp_path: Path, name: str) -> None:
    if name == "link.duckdb":
        Store(tmp_path / "real.duckdb")
        (tmp_path / name).symlink_to(tmp_path / "real.duckdb")
    store = Store(tmp_path / name)
    whole = {"request_key": "k1", "run_id": "dead", **completion_to_json(ok("kept"))}
    (tmp_path / f".{store.path.name}.dead.000001.journal").write_text(json.dumps(whole) + "\n")
    (tmp_path / f".{store.path.name}.bak.dead.000001.journal").write_text(json.dumps(whole) + "\n")
    assert recover(store) == 1


def test_secrets_stay_blank_when_a_cap_ends_a_retry(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    provider = Scripted(lambda _call, _n: failed("server", "key sk-very-secret is odd"))
    progress = start(store, provider, max_calls=1, limits=Limits(max_concurrency=1)).wait(10)
    assert progress.done == 1
    assert "sk-very-secret" not in str(progress.as_dict())
    assert "[secret]" in str(progress.problems)


def test_a_paused_configuration_does_not_end_another_of_the_same_model(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    many = Suite("many", tuple(make_case(f"c{i}", prompt=f"question {i}") for i in range(30)))

    def answer(call: Call, _n: int) -> Completion:
        return failed("rate_limited", "daily", retry_after_s=7200.0) if call.model.name == "greedy" else ok()

    same = make_model("greedy"), make_model("modest", model="mock-greedy", params={"max_tokens": 8})
    progress = start(store, Scripted(answer), *same, suite=many, limits=Limits(max_concurrency=4)).wait(10)
    greedy, modest = progress.models
    assert modest.ok == 30
    assert "7200 s" in progress.paused["greedy"]
    assert greedy.ok == 0


def test_a_run_is_kept_with_its_caps_and_limits(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    start(store, Scripted(), budget=2.5, max_calls=9).wait(10)
    assert column(store, "SELECT config->>'budget_usd' FROM runs") == ["2.5"]
    assert column(store, "SELECT config->>'$.limits.max_concurrency' FROM runs") == ["3"]
