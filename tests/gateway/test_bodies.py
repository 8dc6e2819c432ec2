"""The body of a request: whole, in pieces, too large, too slow, broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from routebench.gateway.bodies import ClientGoneError, check_form, read_body
from routebench.gateway.limits import Limits, Seats
from routebench.gateway.refusal import Refusal

LIMITS = replace(Limits(), max_body_bytes=10, body_timeout_s=0.05)


def piece(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class Wire:
    """Messages as a server hands them over; after the last one there is silence.

    Args:
        messages: to hand over.
        wait: whether the server has to wait for each.
    """

    def __init__(self, messages: Iterable[dict[str, Any]], *, wait: bool = False) -> None:
        self.messages = list(messages)
        self.wait = wait
        self.n_waiting = 0

    async def receive(self) -> dict[str, Any]:
        if self.wait:
            await asyncio.sleep(0)
        if not self.messages:
            self.n_waiting += 1
            try:
                await asyncio.Event().wait()
            finally:
                self.n_waiting -= 1
        return self.messages.pop(0)


def read(wire: Wire, *, length: bytes | None = None, limits: Limits = LIMITS) -> bytes:
    headers = {} if length is None else {b"content-length": length}
    return asyncio.run(read_body(wire.receive, headers, limits))


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(
    "messages",
    [
        [piece(b"0123456789")],
        [piece(b"01234", more=True), piece(b"56789")],
        [piece(b"0123456789", more=True), piece(b"")],
        [piece(b"", more=True), *[piece(b"%d" % one, more=True) for one in range(10)], {"type": "http.request"}],
    ],
)
def test_whole_or_in_pieces(messages: list[dict[str, Any]], wait: bool) -> None:
    assert read(Wire(messages, wait=wait)) == b"0123456789"


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(
    ("messages", "length"),
    [
        ([piece(b"01234567890")], None),
        ([piece(b"012345", more=True), piece(b"67890", more=True)], None),
        ([], b"11"),
        ([], b"9" * 5000),
    ],
)
def test_too_large_by_what_is_announced_or_by_what_came(
    messages: list[dict[str, Any]], length: bytes | None, wait: bool
) -> None:
    with pytest.raises(Refusal, match="larger than the 10 bytes") as refused:
        read(Wire(messages, wait=wait), length=length)
    assert (refused.value.status, refused.value.code) == (413, "body_too_large")


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("messages", [[], [piece(b"01", more=True)]])
def test_too_slow(messages: list[dict[str, Any]], wait: bool) -> None:
    wire = Wire(messages, wait=wait)
    with pytest.raises(Refusal, match=r"not whole after 0.05 s") as refused:
        read(wire)
    assert (refused.value.status, refused.value.code) == (408, "body_timeout")
    assert refused.value.headers == {"connection": "close"}
    assert wire.n_waiting == 0


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("before", [[], [piece(b"01", more=True)]])
def test_a_client_that_leaves(before: list[dict[str, Any]], wait: bool) -> None:
    with pytest.raises(ClientGoneError):
        read(Wire([*before, {"type": "http.disconnect"}], wait=wait))


def test_whoever_waits_can_be_cancelled() -> None:
    wire = Wire([])

    async def cancelled() -> None:
        task = asyncio.create_task(read_body(wire.receive, {}, Limits()))
        await asyncio.sleep(0)
        assert wire.n_waiting == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert wire.n_waiting == 0


def test_a_fault_of_the_server_comes_through() -> None:
    class Broken(Wire):
        async def receive(self) -> dict[str, Any]:
            await super().receive()
            raise RuntimeError("broken wire")

    for wait in (False, True):
        with pytest.raises(RuntimeError, match="broken wire"):
            read(Broken([piece(b"")], wait=wait))


def test_a_server_whose_receive_is_no_coroutine_is_read_too() -> None:
    def receive() -> Awaitable[dict[str, Any]]:
        return asyncio.ensure_future(Wire([piece(b"ab")]).receive())

    async def reads() -> bytes:
        return await read_body(receive, {}, LIMITS)

    assert asyncio.run(reads()) == b"ab"


def test_a_body_that_is_here_starts_no_timer() -> None:
    async def timers() -> int:
        loop = asyncio.get_running_loop()
        await read_body(Wire([piece(b"ab")]).receive, {b"content-length": b"2"}, LIMITS)
        return len(loop._scheduled)  # type: ignore[attr-defined]

    assert asyncio.run(timers()) == 0


@pytest.mark.parametrize(
    "form", [b"application/json", b"application/json; charset=utf-8", b"Application/JSON ;charset=utf-8"]
)
def test_json_is_taken(form: bytes) -> None:
    check_form({b"content-type": form})
    check_form({b"content-type": form, b"content-encoding": b"identity"})


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not_json"),
        # These a page of any site can send from a browser without being asked whether it may.
        ({b"content-type": b"text/plain"}, "not_json"),
        ({b"content-type": b"application/x-www-form-urlencoded"}, "not_json"),
        ({b"content-type": b"multipart/form-data; boundary=application/json"}, "not_json"),
        ({b"content-type": b"text/plain, application/json"}, "not_json"),
        ({b"content-type": b"\xff" * 1000}, "not_json"),
        ({b"content-type": b"application/json", b"content-encoding": b"gzip"}, "unsupported_encoding"),
        ({b"content-type": b"application/json", b"content-encoding": b"br, gzip"}, "unsupported_encoding"),
    ],
)
def test_everything_else_is_refused(headers: dict[bytes, bytes], code: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_form(headers)
    assert (refused.value.status, refused.value.code) == (415, code)
    assert len(refused.value.message) < 200


def test_seats() -> None:
    seats = Seats(2)
    seats.take()
    seats.take()
    with pytest.raises(Refusal, match="serves 2 requests already") as refused:
        seats.take()
    assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "1"})
    seats.leave()
    seats.take()
    assert seats.taken == 2
