"""How long a provider asks to wait: its headers and error bodies, in every form that they have."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LIMITS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)


def asked_wait_s(headers: Mapping[str, str], error: Any, *, now: datetime) -> float | None:
    """Returns the seconds to wait after a refused request, None where the provider does not say.

    The explicit `retry-after-ms` and `retry-after` (seconds or an HTTP date) come first, then the retry delay in
    Gemini's error body, then the resets of those limits that have nothing left, or of all where none says so.

    Args:
        headers: of the response, with lower-case names.
        error: the error object of the body, if there is one.
        now: our wall clock, for a server that does not tell its own.
    """
    now = _server_time(headers, now)
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    # LiteLLM hands on its provider's headers under names of its own.
    after = headers.get("retry-after") or headers.get("llm_provider-retry-after")
    if after is not None:
        seconds = _number(after)
        asked = seconds if seconds is not None else _until_http_date(after, now)
        if asked is not None:
            return max(0.0, asked)
    delay = _retry_info_s(error)
    if delay is not None:
        return delay
    spent = exhausted_s(headers, now=now)
    if spent is not None:
        return spent
    resets = [wait for _, reset in _LIMITS if (wait := reset_s(headers.get(reset), now)) is not None]
    return min(resets, default=None)


def exhausted_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Returns the seconds until the limits that have nothing left are reset, None where none is exhausted."""
    if not any(remaining in headers for remaining, _ in _LIMITS):
        return None
    now = _server_time(headers, now)
    waits = [
        wait
        for remaining, reset in _LIMITS
        if remaining in headers
        and (_number(headers[remaining]) or 0.0) <= 0
        and (wait := reset_s(headers.get(reset), now)) is not None
    ]
    return max(waits, default=None)


def reset_s(text: str | None, now: datetime) -> float | None:
    """Returns the seconds that a reset header means: a duration such as `1m2.5s`, a number, or an RFC 3339 time."""
    if not text:
        return None
    seconds = _number(text)
    if seconds is not None:
        return max(0.0, seconds)
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, _until(moment, now))


def _server_time(headers: Mapping[str, str], now: datetime) -> datetime:
    """The server's own clock where it tells it: a time that it names is meant by that, however wrong ours is."""
    told = headers.get("date")
    try:
        return now if told is None else parsedate_to_datetime(told).replace(tzinfo=UTC)
    except ValueError:
        return now


def _retry_info_s(error: Any) -> float | None:
    details = error.get("details") if isinstance(error, Mapping) else None
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and str(detail.get("@type", "")).endswith("RetryInfo"):
            return reset_s(str(detail.get("retryDelay", "")), datetime.now(UTC))
    return None


def _until_http_date(text: str, now: datetime) -> float | None:
    try:
        return _until(parsedate_to_datetime(text), now)
    except ValueError:
        return None


def _until(moment: datetime, now: datetime) -> float:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None
