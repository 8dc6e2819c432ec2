"""Sending a plan: lanes, retries, caps and journal, on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any

from routebench.errors import InputError, JournalError, StoreError
from routebench.pricing import UNKNOWN_COST, Cost, price_of_call
from routebench.providers import Call, Provider, completion_to_json, failed
from routebench.redact import Secrets
from routebench.run.attempts import whole
from routebench.run.budget import Budget
from routebench.run.journal import Journal
from routebench.run.lane import Lane, make_lanes
from routebench.run.limits import Limits
from routebench.run.plan import Plan, PlannedCall
from routebench.run.progress import Progress, RunStatus, Tally
from routebench.run.purse import Share
from routebench.run.recent import Recent, RecentCall
from routebench.run.retry import Retry
from routebench.run.switching import quick_switching
from routebench.store import Store, write_run
from routebench.types import Completion

_STORE_EVERY_S = 2.0
# A run that goes on is held by its own thread; one that has ended may go.
_begun: weakref.WeakValueDictionary[str, Run] = weakref.WeakValueDictionary()
_begun_guard = threading.Lock()

File = Callable[[str, Completion], tuple[Completion, Sequence[Mapping[str, Any]]]]
"""(request key, answer) -> what of the answer is written, and rows of table `grades` without request_key and run_id."""


class Run:
    """The execution of a plan. It lives on its own thread, so a notebook's kernel stays free.

    `await run` or `run.wait()` gives the last Progress. Stopping loses nothing: the next run sends what is left.

    Args:
        plan: what to send.
        store: where answers go.
        run_id: names this run in the store.
        open_provider: provider name -> an open provider; called on the run's thread.
        limits: concurrency, timeout and attempts.
        budget_usd: hard cap on what is billed.
        max_calls: hard cap on the requests that are sent, retries included.
        share: what the run has booked of money that others spend too; its cap is never raised above it.
        secrets: values that must not reach the store.
        now: the wall clock, in UTC.
        file: says what of an answer is written, and the grades that it got before its text goes; everything, and none,
            when left out. It may take its time: it is called on a thread of its own.
        sleep: waits so many seconds, on the run's event loop.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        *,
        run_id: str,
        open_provider: Callable[[str], Provider],
        limits: Limits,
        secrets: Secrets,
        now: Callable[[], datetime],
        file: File | None = None,
        budget_usd: float | None = None,
        max_calls: int | None = None,
        share: Share | None = None,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self.plan = plan
        self.run_id = run_id
        self._store = store
        self._open_provider = open_provider
        self._limits = limits
        self._budget = Budget(budget_usd, max_calls)
        self._share = share
        self._secrets = secrets
        self._now = now
        self._file = file
        self._sleep = sleep
        self._tally = Tally([line.name for line in plan.lines])
        self._status: RunStatus = "pending"
        self._note: str | None = None
        self._started_at: datetime | None = None
        self._start_s = 0.0
        self._end_s: float | None = None
        self._lanes: tuple[Lane, ...] = ()
        self._recent = Recent()
        self._throttle: int | None = None
        self._outcome: Future[Progress] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = asyncio.Event()
        self._settled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._sending: set[asyncio.Task[Any]] = set()
        for call in plan.calls:
            self._tally.expect(call.model.name)

    def start(self) -> Run:
        """Begins to send and returns at once."""
        # From here on nobody who waits can cancel it: a notebook that gives up waiting has not stopped the run.
        self._outcome.set_running_or_notify_cancel()
        self._status = "running"
        self._started_at = self._now()
        self._start_s = time.monotonic()
        with _begun_guard:
            _begun[self.run_id] = self
        threading.Thread(target=self._main, name=f"routebench-run-{self.run_id}", daemon=True).start()
        return self

    def wait(self, timeout_s: float | None = None) -> Progress:
        """Blocks until the run has ended and returns its last progress.

        Raises:
            TimeoutError: it goes on after `timeout_s`.
        """
        return self._outcome.result(timeout_s)

    def __await__(self) -> Generator[Any, None, Progress]:
        return asyncio.wrap_future(self._outcome).__await__()

    @property
    def running(self) -> bool:
        """Whether the run has not ended."""
        return not self._outcome.done()

    @property
    def error(self) -> BaseException | None:
        """What ended the run before its time, as `wait` raises it; None while it goes on and where nothing did."""
        return self._outcome.exception() if self._outcome.done() else None

    def pause(self) -> None:
        """Sends nothing new until `resume`; calls in flight finish."""
        if self._status == "running":
            self._enter("paused")

    def resume(self) -> None:
        """Goes on after `pause`."""
        if self._status == "paused":
            self._enter("running")

    def stop(self) -> None:
        """Ends the run after the calls in flight; a later run sends the rest."""
        self._enter("stopped")

    def abort(self) -> None:
        """Ends the run now; calls in flight are given up and count as not sent."""
        self.stop()
        self._on_loop(lambda: [task.cancel() for task in self._tasks])

    def throttle(self, max_concurrency: int) -> None:
        """Lets no more calls of an account be in flight from now on than this, and never more than the limits say."""
        self._throttle = max_concurrency
        self._on_loop(self._apply_throttle)

    @property
    def limits(self) -> Limits:
        """How fast it may go at the most."""
        return self._limits

    @property
    def max_concurrency(self) -> int:
        """The most calls in flight to one account, as the limits or the last `throttle` say."""
        most = self._limits.max_concurrency
        return most if self._throttle is None else max(1, min(self._throttle, most))

    def raise_cap(self, cap_usd: float) -> None:
        """Allows more to be billed than before, at once.

        Raises:
            InputError: the run has ended, has no cap in US dollars, or has one that is not lower.
        """
        cap = self._budget.cap_usd
        if not self.running or self._ending:
            raise InputError("the run has ended; a new run with the higher cap sends what is left")
        if cap is None or not cap_usd > cap:
            held = "none" if cap is None else f"${cap:g}"
            raise InputError(
                f"the cap of this run is {held}, and ${cap_usd:g} is not higher; stop the run to spend less"
            )
        if self._share is not None and cap_usd > self._share.usd:
            raise InputError(f"${cap_usd:g} is more than the ${self._share.usd:g} that are left here; give less")
        self._budget.cap_usd = cap_usd
        # Calls that wait for room look again.
        self._on_loop(self._settled.set)

    def sends(self, store: Store, suite: str) -> bool:
        """Whether its answers are of that suite and go to that store."""
        return self._store.path == store.path and self.plan.suite.name == suite

    def recent(self) -> Sequence[RecentCall]:
        """Returns the latest calls, newest last; safe from any thread."""
        return self._recent.calls()

    def problems(self) -> Sequence[RecentCall]:
        """Returns the latest calls that failed or had to be tried again, newest last; safe from any thread."""
        return self._recent.problems()

    def progress(self) -> Progress:
        """Returns a snapshot; safe from any thread."""
        elapsed_s = (self._end_s or time.monotonic()) - self._start_s if self._started_at else 0.0
        lanes = tuple(lane.progress() for lane in self._lanes)
        return self._tally.snapshot(
            run_id=self.run_id,
            status=self._status,
            known=self.plan.known,
            in_flight=sum(lane.in_flight for lane in lanes),
            spent_usd=self._budget.spent_usd,
            n_cost_unknown=self._budget.n_unknown,
            cap_usd=self._budget.cap_usd,
            n_sent=self._budget.n_sent,
            max_calls=self._budget.max_calls,
            lanes=lanes,
            paused={name: reason for lane in self._lanes for name, reason in lane.paused.items()},
            note=self._note,
            elapsed_s=elapsed_s,
        )

    def __repr__(self) -> str:
        return f"Run({self.run_id}, {self.progress()})"

    @property
    def _ending(self) -> bool:
        return self._status not in ("running", "paused")

    def _enter(self, status: RunStatus) -> None:
        if self.running and not (self._ending and self._status != "pending"):
            self._status = status
            self._on_loop(self._apply_status)

    def _on_loop(self, work: Callable[[], Any]) -> None:
        loop = self._loop
        if loop is not None and self.running:
            # The loop may close at this very moment: then there is nothing left to do.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(work)

    def _apply_throttle(self) -> None:
        for lane in self._lanes if self._throttle is not None else ():
            lane.throttle(self.max_concurrency)

    def _apply_status(self) -> None:
        if self._status == "paused":
            self._open.clear()
            return
        self._open.set()
        if self._ending:
            # What waits for its turn, or for a retry, is not sent any more; what is on its way comes in.
            for task in self._tasks:
                if task not in self._sending:
                    task.cancel()

    def _main(self) -> None:
        try:
            try:
                with quick_switching():
                    asyncio.run(self._send_all())
            finally:
                # However it ended: what it did not spend is there for the next run.
                if self._share is not None:
                    self._share.settle(self._budget.spent_usd)
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            self._status = "failed"
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(self.progress())

    async def _send_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._write_run(None)
        providers: dict[str, Provider] = {}
        journal = Journal(self._store, self.run_id, self._secrets)
        ended = asyncio.Event()
        storing = asyncio.create_task(self._store_regularly(journal, ended))
        try:
            for name in dict.fromkeys(call.model.provider for call in self.plan.calls):
                providers[name] = self._open_provider(name)
            self._lanes = make_lanes(self.plan.calls, self._limits, self._sleep)
            self._apply_throttle()
            self._tasks = [
                asyncio.create_task(self._work(providers[lane.provider], lane, journal))
                for lane in self._lanes
                for _ in range(lane.n_workers)
            ]
            self._apply_status()
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                    raise result
            if not self._ending:
                held = any(lane.paused for lane in self._lanes) and self._tally.left
                self._status = "stopped" if held else "done"
        finally:
            for task in self._tasks:
                task.cancel()
            ended.set()
            await asyncio.gather(*self._tasks, storing, return_exceptions=True)
            for provider in providers.values():
                try:
                    await provider.aclose()
                except Exception as error:  # noqa: BLE001 - answers must reach the store whatever a provider does
                    self._note = f"a provider could not be closed: {self._secrets.clean(str(error))}"
            try:
                await journal.close()
            finally:
                self._end_s = time.monotonic()
            self._write_run(self._now())

    async def _store_regularly(self, journal: Journal, ended: asyncio.Event) -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STORE_EVERY_S):
                    await ended.wait()
            try:
                await journal.store_pending()
            except StoreError as error:
                # The answers are in the journal; closing it tries again and tells.
                self._note = str(error)

    async def _work(self, provider: Provider, lane: Lane, journal: Journal) -> None:
        while True:
            await self._open.wait()
            if self._ending:
                return
            planned = lane.next()
            if planned is None:
                return
            try:
                completion = await self._attempts(provider, lane, planned)
            except Exception as error:
                # A bug in a provider: nothing more is spent on it, and whoever waits is told.
                self._end_early("failed", f"{type(error).__name__} in provider {lane.provider!r}")
                raise
            if completion is None and planned.model.name in lane.paused:
                # Another configuration of the same model may go on.
                continue
            if completion is None:
                lane.put_back(planned)
                self._end_early("budget", self._budget.full(planned.worst_case_usd))
                return
            lane.ended(planned, completion)
            await self._keep(journal, planned, completion)

    async def _keep(self, journal: Journal, planned: PlannedCall, completion: Completion) -> None:
        reported = partial(self._report, planned, completion)
        grades: Sequence[Mapping[str, Any]] = ()
        kept = completion
        if self._file is not None:
            try:
                kept, grades = await asyncio.to_thread(self._file, planned.key, completion)
            except Exception as error:
                # Nothing more is bought that could not be kept either.
                self._end_early("failed", f"an answer could not be prepared for the store: {error}")
                raise
        try:
            flat = completion_to_json(kept)
            await journal.add(planned.key, {**flat, "grades": list(grades)} if grades else flat, reported)
        except JournalError:
            self._end_early("failed", "the journal cannot be written")
            raise
        except (TypeError, ValueError, RecursionError) as error:
            # What was paid for it is known all the same.
            spoiled = failed(
                "malformed",
                f"the answer cannot be written as JSON: {error}",
                billed_cost_usd=completion.billed_cost_usd,
                attempts=completion.attempts,
                started_at=completion.started_at,
            )
            await self._keep(journal, planned, spoiled)

    def _report(self, planned: PlannedCall, completion: Completion) -> None:
        self._tally.add(planned.model.name, completion)
        self._recent.add(planned, completion, time.monotonic() - self._start_s)

    def _end_early(self, status: RunStatus, note: str) -> None:
        if not self._ending:
            self._note, self._status = note, status
            self._apply_status()

    async def _attempts(self, provider: Provider, lane: Lane, planned: PlannedCall) -> Completion | None:
        """Sends a call as often as its faults allow; None when a cap has no room for its first attempt."""
        call = planned.call(self._limits.timeout_s)
        picked_s = time.monotonic()
        answering_s = 0.0
        failures: list[Completion] = []
        while True:
            try:
                attempted = await self._attempt(provider, lane, planned, call)
            except asyncio.CancelledError:
                if not failures:
                    raise
                # The run ends while this call waits for another attempt: what it has cost so far is kept.
                return failures.pop()
            if attempted is None:
                if failures and planned.model.name not in lane.paused:
                    self._end_early("budget", self._budget.full(planned.worst_case_usd))
                return failures.pop() if failures else None
            completion, cost = attempted
            answering_s += completion.latency_s or 0.0
            queue_s = max(0.0, time.monotonic() - picked_s - answering_s)
            completion = whole(completion, cost, failures, queue_s=queue_s, at=completion.started_at or self._now())
            retry = Retry.decide(
                completion, attempt=len(failures) + 1, max_attempts=self._limits.max_attempts, uniform=random.uniform
            )
            if retry.wait_s is None or self._ending:
                return completion
            self._tally.retried(planned.model.name)
            self._recent.retried(planned, completion)
            failures.append(completion)
            try:
                await self._sleep(retry.wait_s)
            except asyncio.CancelledError:
                return failures.pop()

    async def _attempt(
        self, provider: Provider, lane: Lane, planned: PlannedCall, call: Call
    ) -> tuple[Completion, Cost] | None:
        tickets = await lane.acquire()
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._open.wait()
            sendable = planned.model.name not in lane.paused and await self._reserve(planned.worst_case_usd)
        except asyncio.CancelledError:
            lane.release(tickets)
            raise
        if not sendable:
            lane.release(tickets)
            return None
        self._sending.add(task)
        completion: Completion | None = None
        cost = UNKNOWN_COST
        try:
            completion = self._clean(await provider.complete(call))
            cost = price_of_call(completion, planned.model)
        finally:
            self._sending.discard(task)
            lane.release(tickets, planned, completion)
            self._budget.settle(planned.worst_case_usd, cost.billed_usd)
            self._settled.set()
        return completion, cost

    async def _reserve(self, worst_case_usd: float | None) -> bool:
        """Waits for room under the caps; False once nothing in flight can make room."""
        while not self._budget.reserve(worst_case_usd):
            if self._budget.n_open == 0 or self._ending:
                return False
            self._settled.clear()
            await self._settled.wait()
        return True

    def _clean(self, completion: Completion) -> Completion:
        """The journal blanks every line; progress and events show the error too."""
        return (
            completion if completion.error is None else replace(completion, error=self._secrets.clean(completion.error))
        )

    def _write_run(self, finished_at: datetime | None) -> None:
        write_run(
            self._store,
            {
                "run_id": self.run_id,
                "suite": self.plan.suite.name,
                "plan_key": self.plan.key,
                "config": {
                    "budget_usd": self._budget.cap_usd,
                    "max_calls": self._budget.max_calls,
                    "limits": asdict(self._limits),
                },
                "started_at": self._started_at,
                "finished_at": finished_at,
                "status": self._status,
                "spend_usd": self._budget.spent_usd,
            },
        )


def going_on(store: Store, suite: str) -> Run | None:
    """Returns the run of this process that is sending a suite to a store, the newest of several; None for none.

    Who looks again finds it, whatever became of the name that it had.
    """
    with _begun_guard:
        runs = list(_begun.values())
    mine = [run for run in runs if run.running and run.sends(store, suite)]
    return max(mine, key=lambda run: run.run_id, default=None)
