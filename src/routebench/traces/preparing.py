"""What a gateway does to a row before anything of it is written or sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from routebench.traces.row import TEXTS, Trace

_LOG = logging.getLogger("routebench.traces")

Prepare = Callable[[Trace], Trace]
"""Such as taking personal data out of its texts; called on a thread of its own, for it may be slow."""


def prepared(trace: Trace, prepare: Prepare | None) -> Trace:
    """Returns what may be written of a row; without any text where that cannot be told."""
    if prepare is None:
        return trace
    try:
        return prepare(trace)
    except Exception as error:  # noqa: BLE001 - whatever a function of the user's does, no text gets past it
        # Its kind alone: what it says may quote the text.
        _LOG.error("traces: row %s is kept without its texts: %s", trace.trace_id, type(error).__name__)
        texts: dict[str, Any] = dict.fromkeys(TEXTS)
        return replace(trace, error=None, **texts)
