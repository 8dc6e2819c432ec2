"""Room for connections: every one, of a client and to a provider, is a file that the process may have open."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from routebench.gateway.limits import Limits

_log = logging.getLogger("routebench.gateway")
_OWN = 128
"""Files that the gateway has open besides: libraries, traces, logs, and what it keeps open to providers."""


def with_room(limits: Limits, *, raise_to: Callable[[int], int | None] | None = None) -> Limits:
    """Returns limits that the process has room for; smaller ones are told in the log.

    Without this, clients that do nothing but open connections could leave none for the providers.

    Args:
        limits: as they are wished.
        raise_to: lets the process open so many files, as far as the system allows it; returns how many it may open
            then, None where that is not bounded.
    """
    wanted = limits.max_connections + limits.max_concurrency + _OWN
    room = (raise_to or raise_open_files)(wanted)
    if room is None or room >= wanted:
        return limits
    left = max(room - _OWN, 2)
    concurrency = min(limits.max_concurrency, left // 2)
    connections = min(limits.max_connections, left - concurrency)
    _log.warning(
        "the system lets this process open %d files: at most %d connections and %d requests at once instead of %d and "
        "%d; raise it with `ulimit -n %d`",
        room,
        connections,
        concurrency,
        limits.max_connections,
        limits.max_concurrency,
        wanted,
    )
    return replace(limits, max_connections=connections, max_concurrency=concurrency)


def raise_open_files(wanted: int) -> int | None:
    """Lets the process open so many files, as far as the system allows it; returns how many it may open then."""
    try:
        import resource
    except ModuleNotFoundError:
        # Windows, which has no such bound.
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
