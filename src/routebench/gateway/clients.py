"""Those who may ask: by their key, as often and for as much money as it says."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from routebench.gateway.keys import Key, digest_of
from routebench.gateway.rates import Rate
from routebench.gateway.refusal import Refusal
from routebench.gateway.spent import Spent
from routebench.rules.budget import Budget, Ledger

_BEARER = "bearer "
_CHALLENGE = {"www-authenticate": "Bearer"}
_ANYBODY = Key("", b"")


class Client:
    """Who asks, and what is left to it; to be used on one event loop.

    Attributes:
        key: its settings; another one after the file was changed.
        in_flight: its requests that are being served.
        ledger: what it spent today; None where its key has no budget.
    """

    def __init__(self, key: Key, *, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self.key = key
        self.in_flight = 0
        self.ledger: Ledger | None = None
        self._now = now
        self._clock = clock
        self._rate: Rate | None = None
        self.change(key)

    @property
    def name(self) -> str | None:
        """Of its key; None where keys are not asked for."""
        return self.key.name or None

    @property
    def models(self) -> frozenset[str] | None:
        """The models that it may ask; None for all."""
        return self.key.models

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What stands above the metadata that it sends itself."""
        return self.key.metadata

    @property
    def tags(self) -> tuple[str, ...]:
        """What is added to the tags that it sends itself."""
        return self.key.tags

    def may(self, model: str) -> bool:
        """Whether it may ask a model."""
        models = self.key.models
        return models is None or model in models

    def begin(self) -> None:
        """Counts a request that begins; who began it calls `end`.

        Raises:
            Refusal: 429, there are too many of them, now or in a minute; 402, the day's budget is spent.
        """
        key = self.key
        if key.concurrency is not None and self.in_flight >= key.concurrency:
            raise _too_many(
                f"{key.concurrency} requests of the gateway key {key.name!r} are being served, and no more at once; "
                "wait for one to end",
                code="concurrency_exceeded",
                headers={"retry-after": "1"},
            )
        if self.ledger is not None and self.ledger.is_spent:
            raise self._spent(self.ledger)
        if self._rate is not None:
            wait_s = self._rate.take()
            if wait_s:
                raise _too_many(
                    f"the gateway key {key.name!r} may send {key.requests_per_minute:g} requests a minute; try again "
                    f"in {_duration(wait_s)}",
                    code="rate_limit_exceeded",
                    headers={"retry-after": str(math.ceil(wait_s)), **dict(self.rate_headers())},
                )
        self.in_flight += 1

    def end(self, costs: Iterable[float | None]) -> None:
        """Counts a request that ended, and what its calls cost; unknown costs are counted apart and not as free."""
        self.in_flight -= 1
        if self.ledger is not None:
            for cost_usd in costs:
                self.ledger.add(cost_usd)

    def rate_headers(self) -> tuple[tuple[str, str], ...]:
        """What an answer tells of the rate, as the OpenAI API tells it; empty without a rate."""
        rate = self._rate
        if rate is None:
            return ()
        return (
            ("x-ratelimit-limit-requests", f"{rate.per_minute:g}"),
            ("x-ratelimit-remaining-requests", str(rate.remaining)),
            ("x-ratelimit-reset-requests", _duration(rate.reset_s)),
        )

    def change(self, key: Key) -> None:
        """Takes other settings; what was used of the old ones stays used."""
        if key.requests_per_minute is None:
            self._rate = None
        elif self._rate is None:
            self._rate = Rate(key.requests_per_minute, key.burst, self._clock)
        else:
            self._rate = self._rate.changed(key.requests_per_minute, key.burst)
        if key.budget_usd_per_day is None:
            self.ledger = None
        elif self.ledger is None or self.ledger.budget != _budget(key):
            before, self.ledger = self.ledger, Ledger(_budget(key), self._now)
            if before is not None:
                self.ledger.take_over(before)
        self.key = key

    def _spent(self, ledger: Ledger) -> Refusal:
        budget = ledger.budget
        now = self._now().astimezone(ZoneInfo(budget.timezone))
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=now.tzinfo)
        # Clocks are put forward and back at night: seconds are counted by what really passes.
        wait_s = midnight.timestamp() - now.timestamp()
        unknown = f", besides {ledger.n_unknown} calls of unknown cost" if ledger.n_unknown else ""
        return Refusal(
            402,
            f"{ledger.spent_usd:.2f} of {budget.usd_per_day:g} USD of the day of the gateway key {self.key.name!r} "
            f"are spent{unknown}; it may ask again after midnight {budget.timezone}",
            kind="budget_error",
            code="budget_spent",
            headers={"retry-after": str(math.ceil(wait_s))},
        )


class Clients:
    """All who may ask.

    Args:
        keys: of the file; without any everybody may ask, which `check_listening` allows on this machine only.
        now: the time with its zone, for budgets and expiry.
        clock: seconds that only grow, for rates.
        spent: keeps what was spent over a restart; None where nothing is kept.

    Attributes:
        are_asked_for: whether a key must be shown. Once it must, it must until the end: who takes the last key out of
            the file of a gateway that runs wants nobody to ask, and not everybody.
    """

    def __init__(
        self,
        keys: Iterable[Key],
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        spent: Spent | None = None,
    ) -> None:
        self._now = now
        self._clock = clock
        self._keeps = spent
        self._anybody = Client(_ANYBODY, now=now, clock=clock)
        self._by_digest: dict[bytes, Client] = {}
        self.are_asked_for = False
        self.change(keys)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._by_digest.values())

    def admit(self, authorization: str | None, api_key: str | None) -> Client:
        """Returns whose key it is.

        Keys are found by their SHA-256, so the time that this takes depends on digests alone. Who measured it could at
        most learn how a digest begins, and cannot make a key of it: that takes the inverse of SHA-256 for 256 random
        bits. The last comparison takes the same time wherever digests differ.

        Args:
            authorization: the header of that name, such as `Bearer rbk_…`.
            api_key: the header `x-api-key` or `api-key`, where there is no other.

        Raises:
            Refusal: 401, there is no key, or not this one, or it is not good any more.
        """
        if not self.are_asked_for:
            return self._anybody
        shown = api_key
        if authorization is not None:
            if authorization[:7].lower() != _BEARER:
                raise _unknown("the header `authorization` is not of the form `Bearer KEY`", "invalid_api_key")
            shown = authorization[7:].strip()
        if not shown:
            raise _unknown("no gateway key; send one as `authorization: Bearer KEY`", "missing_api_key")
        digest = digest_of(shown)
        client = self._by_digest.get(digest)
        if client is None or not hmac.compare_digest(client.key.digest, digest):
            raise _unknown("the gateway does not know this key; ask whoever runs it for one", "invalid_api_key")
        key = client.key
        if key.disabled:
            raise _unknown(
                f"the gateway key {key.name!r} is disabled; ask whoever runs the gateway", "disabled_api_key"
            )
        if key.expires is not None and self._now().astimezone(ZoneInfo(key.timezone)).date() > key.expires:
            raise _unknown(
                f"the gateway key {key.name!r} was good until {key.expires}; ask whoever runs the gateway for another",
                "expired_api_key",
            )
        return client

    def change(self, keys: Iterable[Key]) -> None:
        """Takes the keys of a file that was changed; what those that stay have used stays used."""
        before, self._by_digest = self._by_digest, {}
        keys = tuple(keys)
        stay = {key.digest for key in keys}
        # Who gets a new key instead of a known one has not got a new budget with it.
        names = {client.key.name: client for digest, client in before.items() if digest not in stay}
        for key in keys:
            client = before.get(key.digest) or names.get(key.name)
            if client is None:
                client = Client(key, now=self._now, clock=self._clock)
            else:
                client.change(key)
            self._by_digest[key.digest] = client
            if self._keeps is not None and client.ledger is not None:
                self._keeps.keep(f"key {key.name}", client.ledger)
        self.are_asked_for = self.are_asked_for or bool(self._by_digest)


def _budget(key: Key) -> Budget:
    assert key.budget_usd_per_day is not None
    return Budget(key.budget_usd_per_day, "refuse", key.timezone)


def _too_many(message: str, *, code: str, headers: Mapping[str, str]) -> Refusal:
    return Refusal(429, message, kind="rate_limit_error", code=code, headers=headers)


def _unknown(message: str, code: str) -> Refusal:
    return Refusal(401, message, kind="authentication_error", code=code, headers=_CHALLENGE)


def _duration(seconds: float) -> str:
    """As the OpenAI API writes it: `12ms`, `6s`, `1m2s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
