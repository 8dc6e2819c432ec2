"""A request that the gateway turns down itself, in the words of the API that its clients speak."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NoReturn

from routebench.errors import BudgetSpentError, NoEligibleModelError, RoutebenchError
from routebench.gateway.encoding import encoded
from routebench.types import Completion, ErrorKind

Kind = Literal[
    "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "budget_error", "api_error"
]
_NOTHING: Mapping[str, str] = MappingProxyType({})
_MOST_SHOWN = 40
_STAY: Mapping[str, str] = MappingProxyType({"x-should-retry": "false"})
"""The official SDKs send a 429 or a 5xx again by themselves, unless this header says that it is of no use."""

# Of a provider's own sentence clients see what speaks of their request. The rest may name addresses and accounts.
_FAILURES: Mapping[ErrorKind, tuple[int, Kind, str, str | None]] = MappingProxyType(
    {
        "bad_request": (400, "invalid_request_error", "bad_request", None),
        "context_overflow": (400, "invalid_request_error", "context_length_exceeded", None),
        "content_filter": (400, "invalid_request_error", "content_filter", None),
        "abstained": (422, "api_error", "abstained", "no model gave an answer that can stand; ask another one"),
        "rate_limited": (
            429, "rate_limit_error", "rate_limit_exceeded",
            "every model that may answer is at its provider's limit; send it again later",
        ),
        "timeout": (504, "api_error", "timeout", "no model answered in time; send it again, or allow a longer time"),
        "auth": (
            502, "api_error", "provider_refused_key",
            "the provider does not take the gateway's key; who runs the gateway has to mend it",
        ),
        "connection": (502, "api_error", "provider_unreachable", "no provider was reached; send it again later"),
        "server": (502, "api_error", "provider_failed", "the provider failed; send it again later"),
        "malformed": (502, "api_error", "provider_malformed", "the provider's answer cannot be read; send it again"),
        "incomplete": (502, "api_error", "provider_incomplete", "the answer broke off; send it again"),
        "budget": (402, "budget_error", "budget_spent", "the budget is spent; who runs the gateway can raise it"),
    }
)  # fmt: skip


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """What the client is told instead of an answer.

    Args:
        status: of HTTP.
        message: what is wrong and the mend; without secrets.
        kind: the error's `type`.
        param: the part of the body that is wrong, such as `messages[2].role`; None where it is not one part.
        code: a short name of the fault for programs, such as `unsupported_parameter`.
        headers: to send besides, such as `retry-after`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: Kind = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] = _NOTHING,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = headers


def refusal_of(error: RoutebenchError | Completion, *, model: str | None = None) -> Refusal:
    """Returns what a client is told of a routing that found no model, or of a chain whose last answer is a failure.

    A provider that does not take the gateway's key is no fault of the client's: it is told 502, never 401.

    Args:
        error: what routing raised, or the last failed answer.
        model: that failed, to name it.
    """
    if isinstance(error, Completion):
        return _of_failure(error, model)
    if isinstance(error, NoEligibleModelError):
        return Refusal(400, str(error), code="no_eligible_model")
    if isinstance(error, BudgetSpentError):
        return Refusal(402, str(error), kind="budget_error", code="budget_spent")
    # What it says is for who runs the gateway: it may name files and variables.
    return Refusal(
        500, "the gateway cannot decide this request; its log says why", kind="api_error", code="gateway_error",
        headers=_STAY,
    )  # fmt: skip


def _of_failure(completion: Completion, model: str | None) -> Refusal:
    known: ErrorKind = completion.error_kind or "server"
    status, kind, code, sentence = _FAILURES[known]
    message = sentence if sentence is not None else completion.error or "the provider refused the request"
    headers = _NOTHING
    if known == "rate_limited" and completion.retry_after_s is not None and math.isfinite(completion.retry_after_s):
        headers = {"retry-after": str(math.ceil(completion.retry_after_s))}
    elif known == "auth":
        headers = _STAY
    return Refusal(status, message if model is None else f"{model}: {message}", kind=kind, code=code, headers=headers)


def error_body(refusal: Refusal, trace_id: str | None = None, about: Mapping[str, Any] | None = None) -> bytes:
    """Returns the JSON document that tells a client of a refusal.

    Args:
        refusal: what is told.
        trace_id: names the request; None where it has no trace.
        about: what the gateway knows of the request besides, such as the rule that decided.
    """
    document: dict[str, Any] = {
        "error": {
            "message": refusal.message,
            "type": refusal.kind,
            "param": refusal.param,
            "code": refusal.code,
        }
    }
    told = {**({} if trace_id is None else {"trace_id": trace_id}), **(about or {})}
    if told:
        document["routebench"] = told
    return encoded(document)


def wrong(place: str, wanted: str, got: Any = ..., *, code: str = "invalid_value") -> NoReturn:
    """Refuses a part of the body.

    Args:
        place: where it is, such as `messages[2].role`.
        wanted: what it must be, and the mend.
        got: what it is; left out where that says nothing.
        code: of the error.

    Raises:
        Refusal: always.
    """
    told = "" if got is ... else f"; got {shown(got)}"
    raise Refusal(400, f"{place}: {wanted}{told}", param=place, code=code)


def shown(value: Any) -> str:
    """Returns a value as an error may show it: of texts the beginning, of collections only what they are."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MOST_SHOWN else f"{value[: _MOST_SHOWN - 1]}…")
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value}"[:_MOST_SHOWN]
