"""Faults of HTTP turned into typed errors, in one place for every adapter that speaks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from routebench.providers.base import failed
from routebench.types import Completion, ErrorKind

_BY_STATUS: Mapping[int, ErrorKind] = {
    400: "bad_request",
    401: "auth",
    402: "auth",
    403: "auth",
    404: "bad_request",
    408: "timeout",
    413: "context_overflow",
    422: "bad_request",
    429: "rate_limited",
}
_CONTEXT_WORDS = (
    "context length",
    "context window",
    "context size",
    "context_length",
    "maximum context",
    "too many tokens",
)
_FILTER_WORDS = ("content_filter", "content filter", "content management policy")
_MAX_ERROR_CHARACTERS = 500


def from_status(response: httpx.Response, body: str) -> Completion:
    """Returns the typed error for a response with status 400 or above."""
    message = error_message(body)
    lowered = message.lower()
    kind = _BY_STATUS.get(response.status_code, "server" if response.status_code >= 500 else "bad_request")
    if kind == "bad_request" and any(word in lowered for word in _CONTEXT_WORDS):
        kind = "context_overflow"
    if kind == "bad_request" and any(word in lowered for word in _FILTER_WORDS):
        kind = "content_filter"
    return failed(kind, f"HTTP {response.status_code}: {message}", retry_after_s=_retry_after_s(response))


def from_exception(error: httpx.HTTPError, timeout_s: float) -> Completion:
    """Returns the typed error for a call that brought no response."""
    if isinstance(error, httpx.TimeoutException):
        return failed("timeout", f"no answer within {timeout_s:g} s ({type(error).__name__})")
    return failed("connection", f"{type(error).__name__}: {error}"[:_MAX_ERROR_CHARACTERS])


def error_message(body: str) -> str:
    """Returns the sentence inside an error body of any of the known shapes, or the start of the body."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        return " ".join(body.split())[:_MAX_ERROR_CHARACTERS] or "empty body"
    error = document.get("error", document) if isinstance(document, dict) else document
    if isinstance(error, dict):
        error = error.get("message") or error
    return str(error)[:_MAX_ERROR_CHARACTERS]


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after")
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:
        return None
