"""Server-sent events from the bytes of a response, however they are cut into chunks.

Reads bytes and not lines of a decoded text, so that an arriving chunk can be stamped with its time before anything
is parsed. Source: the WHATWG HTML standard, section 9.2, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its name (`message` where it has none) and its data lines joined with line feeds."""

    name: str
    data: str


class Decoder:
    """Turns chunks into events; keeps what is not complete yet.

    Lines end in LF, CRLF or CR. Comments, ids and retry times are passed over, and so is an event without data.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yields the events that a chunk completes."""
        if self._after_cr and chunk:
            # The LF of a CRLF that was cut between its two bytes ends no second line.
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if chunk.startswith(b"data: ") and not self._rest and not self._data and not self._name and not self._first:
            # As most come: one whole event.
            end = chunk.find(b"\n")
            if end == len(chunk) - 2 and chunk.endswith(b"\n\n") and b"\r" not in chunk:
                yield ServerSentEvent("message", chunk[6:end].decode(errors="replace"))
                return
        data = self._rest + chunk
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if self._first:
            line, self._first = line.removeprefix(b"\xef\xbb\xbf"), False
        if not line:
            name, data = self._name or "message", self._data
            self._name, self._data = "", []
            return ServerSentEvent(name, "\n".join(data)) if data else None
        field, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode(errors="replace")
        if field == b"data":
            self._data.append(text)
        elif field == b"event":
            self._name = text
        return None
