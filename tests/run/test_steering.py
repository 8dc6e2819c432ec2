from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from routebench.errors import InputError
from routebench.providers import Call
from routebench.providers.base import failed
from routebench.run import Limits, Run, going_on, is_alive
from routebench.store import Store, read_runs
from routebench.types import Completion
from tests.conftest import make_model
from tests.run.test_runner import SUITE, Scripted, ok, start

WAIT_S = 20


class Held(Scripted):
    """A provider that answers nothing before it is let go, and tells when calls have arrived."""

    def __init__(self, arrivals: int) -> None:
        super().__init__()
        self.most = self.now = 0
        self.arrived, self.let_go = threading.Event(), threading.Event()
        self._arrivals = arrivals

    async def complete(self, call: Call) -> Completion:
        self.calls.append(call)
        self.now += 1
        self.most = max(self.most, self.now)
        if len(self.calls) >= self._arrivals:
            self.arrived.set()
        await asyncio.to_thread(self.let_go.wait, WAIT_S)
        self.now -= 1
        return ok()


def held(tmp_path: Path, arrivals: int, **settings: object) -> tuple[Held, Run, Store]:
    store = Store(tmp_path / "s.duckdb")
    provider = Held(arrivals)
    run = start(store, provider, **settings)  # type: ignore[arg-type]
    assert provider.arrived.wait(WAIT_S)
    return provider, run, store


def test_fewer_calls_at_once_hold_from_the_next_call_on(tmp_path: Path) -> None:
    provider, run, _ = held(tmp_path, 3)
    run.throttle(1)
    assert run.max_concurrency == 1
    provider.most = 0
    provider.let_go.set()
    assert run.wait(WAIT_S).status == "done"
    assert provider.most == 1
    assert run.progress().lanes[0].limit == 1
    run.throttle(99)
    assert run.max_concurrency == 3


def test_a_cap_can_be_raised_while_calls_wait_for_room(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    worst = start(store, Scripted(), budget=1e-12).plan.calls[0].worst_case_usd
    assert worst is not None
    provider = Held(1)
    run = start(store, provider, budget=worst * 1.2)
    assert provider.arrived.wait(WAIT_S)
    with pytest.raises(InputError, match="is not higher"):
        run.raise_cap(worst)
    run.raise_cap(1.0)
    assert run.progress().cap_usd == 1.0
    provider.let_go.set()
    done = run.wait(WAIT_S)
    assert (done.status, done.done) == ("done", 6)
    with pytest.raises(InputError, match="has ended"):
        run.raise_cap(2.0)
    kept = {row.run_id: row.config for row in read_runs(store, "s")}
    assert kept[run.run_id]["budget_usd"] == 1.0


def test_a_run_without_a_cap_has_none_to_raise(tmp_path: Path) -> None:
    provider, run, _ = held(tmp_path, 1)
    with pytest.raises(InputError, match="the cap of this run is none"):
        run.raise_cap(1.0)
    provider.let_go.set()
    run.wait(WAIT_S)


def test_problems_tell_who_which_case_and_what_came_of_it(tmp_path: Path) -> None:
    def answer(call: Call, number: int) -> Completion:
        if number == 1:
            return failed("rate_limited", "slow down", retry_after_s=0.0)
        return failed("bad_request", "no") if "3" in str(call.request.messages[0]["content"]) else ok()

    run = start(Store(tmp_path / "s.duckdb"), Scripted(answer), limits=Limits(max_concurrency=1, max_attempts=3))
    run.wait(WAIT_S)
    told = {one.case_id: str(one) for one in run.problems()}
    assert told.pop("c3") == "bad_request: no"
    assert list(told.values()) == ["1 x rate_limited, then ok"]
    calls = run.recent()
    assert len(calls) == 6
    assert [one.at_s for one in calls] == sorted(one.at_s for one in calls)
    assert {one.case_id for one in calls} == {case.id for case in SUITE}


def test_a_run_that_goes_on_is_found_by_its_store_and_suite(tmp_path: Path) -> None:
    provider, run, store = held(tmp_path, 1)
    assert going_on(store, "s") is run
    assert going_on(Store(store.path), "s") is run
    assert going_on(store, "another") is None
    assert is_alive(store, run.run_id)
    provider.let_go.set()
    run.wait(WAIT_S)
    assert going_on(store, "s") is None
    assert not is_alive(store, run.run_id)
    assert not is_alive(store, "never")


def test_what_a_call_costs_is_told_with_its_spread(tmp_path: Path) -> None:
    def answer(_call: Call, number: int) -> Completion:
        return failed("timeout", "late") if number == 1 else ok()

    model = start(Store(tmp_path / "s.duckdb"), Scripted(answer)).wait(WAIT_S).models[0]
    # An unknown bill is no bill of nothing: it is left out of the sum and told apart.
    assert (model.done, model.n_billed, model.cost_usd) == (6, 5, None)
    assert model.billed_usd == pytest.approx(0.01)
    assert model.billed_sd_usd == pytest.approx(0.0, abs=1e-9)


def test_calls_that_wait_for_the_account_are_not_in_flight(tmp_path: Path) -> None:
    provider = Held(3)
    # Two models of one account that takes three at once.
    run = start(Store(tmp_path / "s.duckdb"), provider, make_model("small"), make_model("large"))
    assert provider.arrived.wait(WAIT_S)
    now = run.progress()
    assert now.in_flight == sum(lane.in_flight for lane in now.lanes) <= 3
    provider.let_go.set()
    assert run.wait(WAIT_S).in_flight == 0
    assert provider.most <= 3
