"""A visitor who is no browser: speaks HTTP and the kernel's channel by hand, as somebody who attacks would."""

from __future__ import annotations

import http.client
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

V1 = "v1.kernel.websocket.jupyter.org"
_PATIENCE_S = 120.0
_LEARNING_S = 240.0


def fetch(
    address: str, path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of one request; nothing is followed."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_PATIENCE_S)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def kernel_of(page: str) -> str:
    """The kernel that a page has started."""
    found = re.search(r'"kernelId": "([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


class Channel:
    """A visitor's end of the channel to a kernel."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session = uuid.uuid4().hex

    def send(
        self,
        kind: Any,
        content: Mapping[str, Any],
        *,
        channel: str = "shell",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Sends a message in the protocol that was agreed on."""
        told = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": "visitor",
            "session": self._session,
            "date": "2026-11-28T12:00:00Z",
            "version": "5.3",
        }
        if self._socket.subprotocol == V1:
            parts = [json.dumps(part).encode() for part in (told, {}, metadata or {}, content)]
            self.send_raw(framed(channel, parts))
        else:
            self.send_raw(
                json.dumps(
                    {
                        "channel": channel,
                        "header": told,
                        "msg_type": "comm_info_request",
                        "parent_header": {},
                        "metadata": {},
                        "content": content,
                        "buffers": [],
                    }
                )
            )

    def send_raw(self, message: str | bytes) -> None:
        """Sends whatever it is."""
        self._socket.send(message)

    def ask_for_widgets(self) -> dict[str, Any]:
        """The state of every widget by its id, as a browser that has just come asks for it."""
        name = uuid.uuid4().hex
        self.send(
            "comm_open",
            {"comm_id": name, "target_name": "jupyter.widget.control", "data": {}},
            metadata={"version": "1.0.0"},
        )
        self.send("comm_msg", {"comm_id": name, "data": {"method": "request_states"}})
        while True:
            kind, content = self._next()
            if kind == "comm_msg" and content["comm_id"] == name:
                told: dict[str, Any] = content["data"]["states"]
                return told

    def until(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Type and content of everything that comes, up to the first message of a type."""
        come = []
        while not come or come[-1][0] != kind:
            come.append(self._next())
        return come

    def _next(self) -> tuple[str, dict[str, Any]]:
        message = self._socket.recv(timeout=_PATIENCE_S)
        assert isinstance(message, bytes)
        n = int.from_bytes(message[:8], "little")
        at = [int.from_bytes(message[8 * (i + 1) : 8 * (i + 2)], "little") for i in range(n)]
        parts = [json.loads(message[at[i] : at[i + 1]]) for i in (1, 4)]
        return parts[0]["msg_type"], parts[1]


def framed(channel: str, parts: list[bytes]) -> bytes:
    """A message as the v1 protocol lays it out."""
    pieces = [channel.encode(errors="surrogateescape"), *parts]
    at = [8 * (len(pieces) + 2)]
    for piece in pieces:
        at.append(at[-1] + len(piece))
    return b"".join(number.to_bytes(8, "little") for number in (len(at), *at)) + b"".join(pieces)


@contextmanager
def channel(
    address: str, kernel: str, *, protocol: str | None = V1, headers: Mapping[str, str] | None = None
) -> Iterator[Channel]:
    """Opens the channel of a kernel."""
    with connect(
        f"{address.replace('http', 'ws', 1)}api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}",
        subprotocols=None if protocol is None else [protocol],  # type: ignore[list-item]
        additional_headers=dict(headers or {}),
        proxy=None,
        max_size=None,
    ) as socket:
        yield Channel(socket)


def states(visitor: Channel) -> dict[str, dict[str, Any]]:
    """The state of every widget by its id."""
    told: dict[str, Any] = visitor.ask_for_widgets()
    return {name: one["state"] for name, one in told.items()}


def update(visitor: Channel, name: str, **state: Any) -> None:
    """Sets what a widget holds."""
    visitor.send("comm_msg", {"comm_id": name, "data": {"method": "update", "state": state, "buffer_paths": []}})


def press(visitor: Channel, name: str) -> None:
    """Clicks a button, whether it can be clicked in a page or not."""
    visitor.send("comm_msg", {"comm_id": name, "data": {"method": "custom", "content": {"event": "click"}}})


def until(visitor: Channel, what: str, *, there: bool) -> dict[str, dict[str, Any]]:
    """Asks until a text is, or is no more, in some widget."""
    give_up = time.monotonic() + _LEARNING_S
    while time.monotonic() < give_up:
        found = states(visitor)
        if any(what in str(state.get("value", "")) for state in found.values()) == there:
            return found
    raise AssertionError(f"{what!r} {'never came' if there else 'never went'}")
