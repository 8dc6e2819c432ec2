"""The body of a request, read within its limits."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, MutableMapping
from typing import Any

from routebench.gateway.limits import Limits
from routebench.gateway.refusal import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_JSON = b"application/json"
_MAX_DIGITS = 18
"""Of a length: more are not worth being read as a number. That there are only digits is the server's to see."""


class ClientGoneError(Exception):
    """The client went away before its request was whole: there is nobody to answer."""


def check_form(headers: Mapping[bytes, bytes]) -> None:
    """Checks that a body is JSON as it stands.

    A page of some other site can make a browser send texts and forms to this machine, but no JSON, without asking the
    gateway first; and what is packed small can be large unpacked.

    Args:
        headers: of the request, their names in lower case.

    Raises:
        Refusal: 415.
    """
    form = headers.get(b"content-type", b"")
    if form != _JSON and form.partition(b";")[0].strip().lower() != _JSON:
        said = f"`{form[:40].decode('latin-1')}`" if form else "missing"
        raise Refusal(
            415, f"the content type is {said}; send the body as `content-type: application/json`", code="not_json"
        )
    packed = headers.get(b"content-encoding", b"identity")
    if packed != b"identity":
        raise Refusal(
            415,
            f"a body with `content-encoding: {packed[:40].decode('latin-1')}` is not read; send it as it is",
            code="unsupported_encoding",
        )


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limits: Limits) -> bytes:
    """Returns a request's body.

    Args:
        receive: of ASGI.
        headers: of the request, their names in lower case.
        limits: for its size and its time.

    Raises:
        Refusal: 413, it is too large, by what is announced or by what came; 408, it was not whole in time.
        ClientGoneError: the client went away.
    """
    declared = headers.get(b"content-length")
    if declared is not None and (len(declared) > _MAX_DIGITS or int(declared) > limits.max_body_bytes):
        raise _too_large(limits)
    # A body that is here already, as most are, costs neither a timer nor a turn of the loop.
    first = receive()
    step: Any = None
    if isinstance(first, Coroutine):
        try:
            step = first.send(None)
        except StopIteration as done:
            message: Message = done.value
            if message["type"] == "http.request" and not message.get("more_body", False):
                return _fitting(message.get("body", b""), limits)
            first = _told(message)
        else:
            first = _resumed(first, step)
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            return await _gathered(first, receive, limits)
    except TimeoutError:
        raise Refusal(
            408,
            f"the body was not whole after {limits.body_timeout_s:g} s; send it faster, or less of it",
            code="body_timeout",
            headers={"connection": "close"},
        ) from None


async def _gathered(first: Awaitable[Message], receive: Receive, limits: Limits) -> bytes:
    body = bytearray()
    message = await first
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > limits.max_body_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()


async def _told(message: Message) -> Message:
    return message


@types.coroutine
def _resumed(begun: Coroutine[Any, Any, Message], waits_for: Any) -> Generator[Any, Any, Message]:
    """Goes on with a coroutine that was begun by hand and waits for something."""
    try:
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - a cancellation is handed on, as `await` hands it on
                waits_for = begun.throw(error)
            else:
                waits_for = begun.send(sent)
    except StopIteration as done:
        message: Message = done.value
        return message
    finally:
        begun.close()


def _fitting(body: bytes, limits: Limits) -> bytes:
    if len(body) > limits.max_body_bytes:
        raise _too_large(limits)
    return body


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"the body is larger than the {limits.max_body_bytes:,} bytes that the gateway takes; send less, or ask for a "
        "larger `limits.max_body_bytes`",
        code="body_too_large",
    )
