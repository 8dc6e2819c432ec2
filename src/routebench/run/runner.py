"""Sending a plan: workers per provider, retries, budget and journal, on an event loop of its own thread."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from routebench.pricing import billed_cost_usd, list_cost_usd
from routebench.providers import Call, Provider, completion_to_json
from routebench.redact import Secrets
from routebench.run.budget import Budget
from routebench.run.journal import Journal
from routebench.run.plan import Plan
from routebench.run.progress import Progress, RunStatus, Tally
from routebench.store import Store, write_run
from routebench.types import Completion, ErrorKind

RETRIED_KINDS: frozenset[ErrorKind] = frozenset(
    {"rate_limited", "timeout", "connection", "server", "malformed", "incomplete"}
)
"""Faults that may pass within seconds; a run sends these again by itself."""

_STORE_EVERY_S = 2.0
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 20.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast a run may go.

    Attributes:
        max_concurrency: calls in flight at once, for each provider that `per_provider` does not name.
        timeout_s: longest time for one attempt.
        max_attempts: attempts for one call, the first included.
    """

    max_concurrency: int = 64
    timeout_s: float = 60.0
    max_attempts: int = 4
    per_provider: Mapping[str, int] = field(default_factory=dict)


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
        secrets: values that must not reach the store.
        now: the wall clock, in UTC.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        *,
        run_id: str,
        open_provider: Callable[[str], Provider],
        limits: Limits,
        budget_usd: float | None,
        secrets: Secrets,
        now: Callable[[], datetime],
    ) -> None:
        self.plan = plan
        self.run_id = run_id
        self._store = store
        self._open_provider = open_provider
        self._limits = limits
        self._budget = Budget(budget_usd)
        self._secrets = secrets
        self._now = now
        self._tally = Tally([model.name for model in plan.models])
        self._status: RunStatus = "pending"
        self._started_at: datetime | None = None
        self._start_s = 0.0
        self._end_s: float | None = None
        self._in_flight = 0
        self._outcome: Future[Progress] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = asyncio.Event()
        self._settled = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []
        for call in plan.calls:
            self._tally.expect(call.model.name)

    def start(self) -> Run:
        """Begins to send and returns at once."""
        self._status = "running"
        self._started_at = self._now()
        self._start_s = time.monotonic()
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

    def pause(self) -> None:
        """Sends nothing new until `resume`; calls in flight finish."""
        self._set_status("paused", only_from="running")

    def resume(self) -> None:
        """Goes on after `pause`."""
        self._set_status("running", only_from="paused")

    def stop(self) -> None:
        """Ends the run after the calls in flight; a later run sends the rest."""
        self._set_status("stopped", only_from=None)

    def abort(self) -> None:
        """Ends the run now; calls in flight are given up and count as not sent."""
        self.stop()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])

    def progress(self) -> Progress:
        """Returns a snapshot; safe from any thread."""
        elapsed_s = (self._end_s or time.monotonic()) - self._start_s if self._started_at else 0.0
        return self._tally.snapshot(
            run_id=self.run_id,
            status=self._status,
            known=len(self.plan.cells) - sum(part.calls for part in self.plan.by_model),
            in_flight=self._in_flight,
            spent_usd=self._budget.spent_usd,
            n_cost_unknown=self._budget.n_unknown,
            cap_usd=self._budget.cap_usd,
            elapsed_s=elapsed_s,
        )

    def __repr__(self) -> str:
        return f"Run({self.run_id}, {self.progress()})"

    def _set_status(self, status: RunStatus, *, only_from: RunStatus | None) -> None:
        if self.running and (only_from is None or self._status == only_from):
            self._status = status
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._apply_status)

    def _apply_status(self) -> None:
        if self._status == "paused":
            self._open.clear()
        else:
            self._open.set()

    def _main(self) -> None:
        try:
            asyncio.run(self._send_all())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            self._status = "failed"
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(self.progress())

    async def _send_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._apply_status()
        queues: dict[str, deque[Call]] = {}
        for call in self.plan.calls:
            queues.setdefault(call.model.provider, deque()).append(call)
        self._write_run(None)
        providers = {name: self._open_provider(name) for name in queues}
        journal = Journal(self._store, self.run_id)
        storing = asyncio.create_task(self._store_regularly(journal))
        try:
            self._tasks = [
                asyncio.create_task(self._work(providers[name], queue, journal))
                for name, queue in queues.items()
                for _ in range(self._workers(name, providers[name], len(queue)))
            ]
            results = await asyncio.gather(*self._tasks, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                    raise result
            if self._status in ("running", "paused"):
                self._status = "done"
        finally:
            for task in (*self._tasks, storing):
                task.cancel()
            await asyncio.gather(*self._tasks, storing, return_exceptions=True)
            for provider in providers.values():
                await provider.aclose()
            await journal.close()
            self._end_s = time.monotonic()
            self._write_run(self._now())

    def _workers(self, name: str, provider: Provider, n_calls: int) -> int:
        limit = self._limits.per_provider.get(name, self._limits.max_concurrency)
        return min(limit, provider.max_concurrency or limit, n_calls)

    async def _store_regularly(self, journal: Journal) -> None:
        while True:
            await asyncio.sleep(_STORE_EVERY_S)
            await journal.store_pending()

    async def _work(self, provider: Provider, queue: deque[Call], journal: Journal) -> None:
        while queue:
            await self._open.wait()
            if self._status not in ("running", "paused"):
                return
            call = queue.popleft()
            worst = self.plan.worst_case_usd[call.key]
            if not await self._reserve(worst):
                queue.appendleft(call)
                self._status = "budget"
                return
            self._in_flight += 1
            completion = None
            try:
                completion = await self._attempts(provider, call)
            finally:
                self._in_flight -= 1
                async with self._settled:
                    self._budget.settle(worst, completion.billed_cost_usd if completion else None)
                    self._settled.notify_all()
            await journal.append(call.key, completion_to_json(completion))
            self._tally.add(call.model.name, completion)

    async def _reserve(self, worst: float | None) -> bool:
        """Waits for room under the cap; False once nothing in flight can make room."""
        async with self._settled:
            while not self._budget.reserve(worst):
                if self._in_flight == 0 or self._status not in ("running", "paused"):
                    return False
                await self._settled.wait()
            return True

    async def _attempts(self, provider: Provider, call: Call) -> Completion:
        picked_s = time.monotonic()
        wasted: list[float | None] = []
        for attempt in range(1, self._limits.max_attempts + 1):
            queue_s = time.monotonic() - picked_s
            completion = await provider.complete(call)
            billed = billed_cost_usd(completion.usage, call.model.price, completion.cpu_s)
            wasted.append(billed)
            transient = completion.error_kind in RETRIED_KINDS
            if not transient or attempt == self._limits.max_attempts or self._status not in ("running", "paused"):
                break
            self._tally.retried(call.model.name)
            await asyncio.sleep(_backoff_s(attempt, completion.retry_after_s))
        return replace(
            completion,
            error=None if completion.error is None else self._secrets.clean(completion.error),
            cost_usd=list_cost_usd(completion.usage, call.model.price, completion.cpu_s),
            billed_cost_usd=None if None in wasted else sum(cost for cost in wasted if cost is not None),
            queue_s=queue_s,
            attempts=attempt,
            started_at=completion.started_at or self._now(),
        )

    def _write_run(self, finished_at: datetime | None) -> None:
        write_run(
            self._store,
            {
                "run_id": self.run_id,
                "suite": self.plan.suite.name,
                "plan_key": self.plan.key,
                "started_at": self._started_at,
                "finished_at": finished_at,
                "status": self._status,
                "spend_usd": self._budget.spent_usd,
            },
        )


def _backoff_s(attempt: int, retry_after_s: float | None) -> float:
    if retry_after_s is not None:
        return retry_after_s
    ceiling = min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2 ** (attempt - 1))
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter, not cryptography
