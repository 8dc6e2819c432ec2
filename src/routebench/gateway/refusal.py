"""A request that the gateway turns down itself, in the words of the API that its clients speak."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Kind = Literal[
    "invalid_request_error", "authentication_error", "permission_error", "rate_limit_error", "budget_error", "api_error"
]
_NOTHING: Mapping[str, str] = MappingProxyType({})


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
