"""How much a client may send, how long it may take, and how many of them may be served at once."""

from __future__ import annotations

from dataclasses import dataclass

from routebench.gateway.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Limits:
    """What no client may go beyond, whoever it is.

    Attributes:
        max_body_bytes: of a request's body.
        max_header_bytes: of its first line and its headers together.
        max_concurrency: requests being served at once.
        max_connections: that are open at once, idle ones among them.
        header_timeout_s: until a request's headers are whole, from the connection's opening or from their first byte.
        body_timeout_s: until its body is whole, from the end of its headers.
        send_timeout_s: that a client may leave what it is sent unread.
        deadline_s: until a request is answered, retries and failover in it.
        attempt_timeout_s: of one call to a model, the whole of its answer in it.
        first_token_timeout_s: until a streamed answer of a model begins; then the next model is asked.
        retries: how often a chain whose models all failed for a passing reason is gone through again.
        keep_alive_s: that a connection may stay open without a request.
    """

    max_body_bytes: int = 10_000_000
    max_header_bytes: int = 32_768
    max_concurrency: int = 1_000
    max_connections: int = 4_000
    header_timeout_s: float = 10.0
    body_timeout_s: float = 60.0
    send_timeout_s: float = 30.0
    deadline_s: float = 300.0
    attempt_timeout_s: float = 120.0
    first_token_timeout_s: float = 60.0
    retries: int = 1
    keep_alive_s: float = 60.0


class Seats:
    """Requests that are served at once; to be used on one event loop.

    Args:
        limit: how many they may be.

    Attributes:
        taken: how many they are.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self) -> None:
        """Takes one; who took it calls `leave`.

        Raises:
            Refusal: 503, all are taken.
        """
        if self.taken >= self.limit:
            raise Refusal(
                503,
                f"the gateway serves {self.limit} requests already, and no more at once; try again in a second",
                kind="api_error",
                code="overloaded",
                headers={"retry-after": "1"},
            )
        self.taken += 1

    def leave(self) -> None:
        """Gives one back."""
        self.taken -= 1
