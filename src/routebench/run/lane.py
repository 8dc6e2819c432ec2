"""The calls to one model of one account: providers limit each model by itself, under a limit that its models share."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from routebench.providers import provider_kind
from routebench.run.breaker import Breaker
from routebench.run.limiter import Limiter, Ticket
from routebench.run.limits import Limits, ProviderLimit
from routebench.run.plan import PlannedCall
from routebench.run.progress import LaneProgress
from routebench.run.retry import MAX_WAIT_S
from routebench.types import Completion


class Lane:
    """The calls to one model id of one account, whatever the configurations of it are called.

    Args:
        provider: the provider's name.
        name: what people see.
        limiter: finds out how many calls the provider takes for this model; a refusal of one model holds no other up.
        account: the user's limit of the account, shared with its other lanes.
        calls: what is still to be sent, in order.

    Attributes:
        paused: model -> why nothing more is sent to it.
        n_workers: how many calls it works on at once, waits for retries included.
        in_flight: calls that are sent; one that waits for the account is not.
    """

    def __init__(self, provider: str, name: str, limiter: Limiter, account: Limiter, calls: deque[PlannedCall]) -> None:
        self.provider = provider
        self.name = name
        self.paused: dict[str, str] = {}
        self.in_flight = 0
        self.n_workers = min(len(calls), limiter.maximum)
        self._limiter = limiter
        self._account = account
        self._queue = calls
        self._breakers: dict[str, Breaker] = {}

    def next(self) -> PlannedCall | None:
        """Takes the next call of a model that is not paused; None when there is none."""
        while self._queue:
            planned = self._queue.popleft()
            if planned.model.name not in self.paused:
                return planned
        return None

    def put_back(self, planned: PlannedCall) -> None:
        """Returns a call that was not sent."""
        self._queue.appendleft(planned)

    async def acquire(self) -> tuple[Ticket, Ticket]:
        """Waits until one more call may be sent to the model, and to the account."""
        own = await self._limiter.acquire()
        try:
            shared = await self._account.acquire()
        except BaseException:
            self._limiter.give_back(own)
            raise
        self.in_flight += 1
        return own, shared

    def release(
        self, tickets: tuple[Ticket, Ticket], planned: PlannedCall | None = None, completion: Completion | None = None
    ) -> None:
        """Ends an attempt; what it brought, if it was sent, moves the model's limit."""
        own, shared = tickets
        self.in_flight -= 1
        self._account.give_back(shared)
        if completion is None or planned is None:
            self._limiter.give_back(own)
            return
        wait_s = completion.retry_after_s or 0.0
        if wait_s > MAX_WAIT_S and completion.error_kind is not None:
            self.paused.setdefault(planned.model.name, f"the provider asks to wait {wait_s:.0f} s ({completion.error})")
            wait_s = 0.0
        if completion.error_kind == "rate_limited":
            self._limiter.refused(own, wait_s)
        else:
            self._limiter.give_back(own, ok=completion.status == "ok")
            self._limiter.pause(min(wait_s, MAX_WAIT_S))

    def ended(self, planned: PlannedCall, completion: Completion) -> None:
        """Notes how a call ended, and pauses its model where it only fails."""
        name = planned.model.name
        breaker = self._breakers.setdefault(name, Breaker())
        breaker.note(completion, in_flight=self._limiter.in_flight)
        if breaker.reason is not None:
            self.paused.setdefault(name, breaker.reason)

    def throttle(self, maximum: int) -> None:
        """Allows no more than so many in flight, here and in the account; see `Limiter.throttle`."""
        self._limiter.throttle(maximum)
        self._account.throttle(maximum)

    def progress(self) -> LaneProgress:
        """A snapshot; safe from any thread."""
        limiter = self._limiter
        return LaneProgress(self.name, limiter.limit, self.in_flight, limiter.wait_s, limiter.cuts)


def make_lanes(
    calls: Iterable[PlannedCall], limits: Limits, sleep: Callable[[float], Awaitable[None]]
) -> tuple[Lane, ...]:
    """Returns a lane for every model id of every account that is called."""
    by_model: dict[tuple[str, str | None, str | None, str], list[PlannedCall]] = {}
    for call in calls:
        model = call.model
        by_model.setdefault((model.provider, model.base_url, model.key_env, model.model), []).append(call)
    accounts: dict[tuple[str, str | None, str | None], Limiter] = {}
    lanes = []
    for (provider, base_url, key_env, model_id), own_calls in by_model.items():
        capacity = provider_kind(provider).concurrency
        maximum = limits.concurrency(provider, capacity)
        own = limits.per_provider.get(provider, ProviderLimit())
        account = accounts.setdefault(
            (provider, base_url, key_env),
            Limiter(
                maximum,
                adaptive=False,
                requests_per_minute=own.requests_per_minute,
                clock=time.monotonic,
                sleep=sleep,
            ),
        )
        limiter = Limiter(
            maximum,
            initial=limits.initial_concurrency,
            adaptive=capacity is None,
            requests_per_minute=math.inf,
            clock=time.monotonic,
            sleep=sleep,
        )
        name = f"{provider} {model_id}" if base_url is None else f"{provider} {model_id} at {base_url}"
        lanes.append(Lane(provider, name, limiter, account, deque(own_calls)))
    return tuple(lanes)
