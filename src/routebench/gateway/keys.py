"""A gateway key: what its holder shows, and what the gateway keeps of it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

_PREFIX = "rbk_"
"""By which people, and programs that search for secrets, know a key."""
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Key:
    """A key as gateway.yaml has it.

    Attributes:
        name: of its holder, in traces and metrics.
        digest: SHA-256 of the key, which is written nowhere.
        models: that it may ask; None for all.
        requests_per_minute: that it may send, evenly; None without a limit.
        burst: requests that may come at once after a pause.
        concurrency: requests of it that are served at once; None without a limit.
        budget_usd_per_day: what its requests may cost from midnight to midnight; None without a limit.
        timezone: whose midnight that is.
        metadata: of every request of it; the client's own values of the same names do not count.
        tags: of every request of it, besides the client's own.
        expires: the last day on which it is good, in its time zone.
        disabled: whether it is refused for now.
        where: its place in the file, for messages.
    """

    name: str
    digest: bytes = field(repr=False)
    models: frozenset[str] | None = None
    requests_per_minute: float | None = None
    burst: int = 1
    concurrency: int | None = None
    budget_usd_per_day: float | None = None
    timezone: str = "UTC"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    expires: date | None = None
    disabled: bool = False
    where: str = ""


def new_key() -> str:
    """Returns a key that nobody can guess: `rbk_` and 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(key: str) -> bytes:
    """Returns what is kept of a key.

    A single SHA-256, and none of the slow hashes that passwords need: those make guessing dear, and 256 random bits
    cannot be guessed. A slow one would let anybody keep the gateway busy with keys that are wrong.
    """
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
