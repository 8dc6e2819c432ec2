"""Faults of HTTP and error bodies turned into typed errors, in one place for every wire format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from routebench.providers.base import failed
from routebench.providers.transport import NotReachedError, TooSlowError
from routebench.providers.waits import asked_wait_s
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
_BY_TYPE: Mapping[str, ErrorKind] = {
    "overloaded_error": "server",
    "api_error": "server",
    "server_error": "server",
    "timeout_error": "timeout",
    "rate_limit_error": "rate_limited",
    "rate_limit_exceeded": "rate_limited",
    "RESOURCE_EXHAUSTED": "rate_limited",
    "UNAVAILABLE": "server",
    "DEADLINE_EXCEEDED": "timeout",
    "authentication_error": "auth",
    "permission_error": "auth",
    "billing_error": "auth",
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "auth",
    "invalid_request_error": "bad_request",
    "not_found_error": "bad_request",
    "request_too_large": "context_overflow",
}
_CONTEXT_WORDS = (
    "context length",
    "context window",
    "context size",
    "context_length",
    "maximum context",
    "too many tokens",
    "prompt is too long",
    "exceeds the maximum number of tokens",
    "exceed_context",
)
_FILTER_WORDS = (
    "content_filter",
    "content filter",
    "content management policy",
    "content_policy_violation",
    "contentpolicyviolation",
    "data_inspection_failed",
    "safety system",
)
# An account without money answers 429 or 400 at some providers; waiting does not mend it.
# LiteLLM without a database says of a wrong key that it has no database to look in.
_ACCOUNT_WORDS = (
    "insufficient_quota",
    "insufficient balance",
    "credit balance is too low",
    "api key not valid",
    "no_db_connection",
)
_REFUSING = (501, 503, 529)
_MAX_ERROR_CHARACTERS = 8192
"""Of a body; people see less of it, once keys are blanked."""


def from_status(status: int, headers: Mapping[str, str], body: str) -> Completion:
    """Returns the typed error for a response with status 300 or above.

    A request that was refused is not charged. After another server error, such as a gateway's time-out, nobody knows.
    """
    error = _error_object(body)
    message = error_message(body)
    kind = _BY_STATUS.get(status, "server" if status >= 500 else "bad_request")
    if 300 <= status < 400:
        message = f"redirects to {headers.get('location', 'another address')}; set `base_url` to where the API is"
    kind = _closer(kind, message, error)
    wait_s = asked_wait_s(headers, error, now=datetime.now(UTC)) if kind in ("rate_limited", "server") else None
    return failed(
        kind,
        f"HTTP {status}: {message}",
        retry_after_s=wait_s,
        billed_cost_usd=0.0 if status in _REFUSING or (status < 500 and status != 408) else None,
        request_id=request_id(headers),
    )


def from_error_event(error: Any) -> tuple[ErrorKind, str]:
    """Returns kind and sentence of an error object that came inside an answer with HTTP status 200."""
    message = _message(error)
    kind: ErrorKind = "server"
    if isinstance(error, Mapping):
        for name in (error.get("type"), error.get("code"), error.get("status")):
            if isinstance(name, str) and name in _BY_TYPE:
                kind = _BY_TYPE[name]
                break
            if str(name).isdecimal():
                kind = _BY_STATUS.get(int(name), "server")  # type: ignore[arg-type]
                break
    return _closer(kind, message, error), f"error event inside the answer: {message}"


def from_exception(error: Exception, *, timeout_s: float, started: bool) -> Completion:
    """Returns the typed error for an exchange that broke.

    Args:
        error: what the transport raised.
        timeout_s: the longest time that the attempt had.
        started: whether a part of the answer had come.
    """
    if isinstance(error, NotReachedError):
        # Nobody was reached, so nothing was charged.
        return failed("connection", f"{type(error).__name__}: {error}"[:_MAX_ERROR_CHARACTERS], billed_cost_usd=0.0)
    if isinstance(error, (TooSlowError, TimeoutError)):
        when = "the answer began, but was not whole" if started else "no answer"
        return failed("timeout", f"{when} within {timeout_s:g} s")
    sentence = f"{type(error).__name__}: {error}"[:_MAX_ERROR_CHARACTERS]
    if started:
        return failed("incomplete", f"the answer broke off: {sentence}")
    return failed("connection", sentence)


def error_message(body: str) -> str:
    """Returns the sentence inside an error body of any of the known shapes, or the start of the body."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        return " ".join(body[:_MAX_ERROR_CHARACTERS].split()) or "empty body"
    return _message(_inner(document))


def request_id(headers: Mapping[str, str]) -> str | None:
    """Returns the provider's name for the exchange, under any of the usual header names."""
    for name in ("x-request-id", "request-id", "x-goog-request-id", "x-portkey-trace-id", "x-litellm-call-id"):
        if name in headers:
            return headers[name]
    return None


def _closer(kind: ErrorKind, message: str, error: Any) -> ErrorKind:
    """The kind after a look at the words: several providers answer 400 or 429 for everything."""
    code = f"{error.get('code')} {error.get('type')}" if isinstance(error, Mapping) else ""
    lowered = f"{message} {code}".lower()
    if kind in ("bad_request", "rate_limited") and any(word in lowered for word in _ACCOUNT_WORDS):
        return "auth"
    if kind == "bad_request" and any(word in lowered for word in _CONTEXT_WORDS):
        return "context_overflow"
    if kind == "bad_request" and any(word in lowered for word in _FILTER_WORDS):
        return "content_filter"
    return kind


def _error_object(body: str) -> Any:
    try:
        return _inner(json.loads(body))
    except ValueError:
        return None


def _inner(document: Any) -> Any:
    """Of `{"error": …}`, also inside a list as Gemini streams it, what is inside."""
    if isinstance(document, list) and document:
        document = document[0]
    return document.get("error", document) if isinstance(document, dict) else document


def _message(error: Any) -> str:
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("detail") or json.dumps(error)
    return str(error)[:_MAX_ERROR_CHARACTERS]
