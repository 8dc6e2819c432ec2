"""A streamed answer as the API's chunks, whatever stream stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routebench.gateway.answered import call_id, finish_of, usage_of
from routebench.gateway.encoding import encoded
from routebench.providers.events import Event, ReasoningDelta, TextDelta, ToolCallDelta
from routebench.types import Completion

DONE = b"data: [DONE]\n\n"


class Chunks:
    """Writes one answer, piece by piece; each piece is whole server-sent events.

    Args:
        trace_id: names the request; every chunk's `id`.
        created: seconds since 1970.
        model: as the rule set names it.
        include_usage: whether the tokens used are told in a chunk of their own at the end.
    """

    def __init__(self, *, trace_id: str, created: int, model: str, include_usage: bool) -> None:
        self._trace_id = trace_id
        self._include_usage = include_usage
        facts = encoded({"id": trace_id, "object": "chat.completion.chunk", "created": created, "model": model})
        self._head = b"data: " + facts[:-1] + b',"choices":['
        self._start = self._head + b'{"index":0,"delta":{'
        # The API says of every chunk but the last that it has no usage, once usage is asked for.
        self._end = b'],"usage":null' if include_usage else b"]"
        self._stop = b',"finish_reason":null}' + self._end + b"}\n\n"
        self._role = b'"role":"assistant",'
        self._calls: dict[int, _Called] = {}

    def piece(self, event: Event) -> bytes:
        """Returns the chunk of a piece, empty where it says nothing; the first one tells the role."""
        logprobs: tuple[Mapping[str, Any], ...] | None = None
        if isinstance(event, TextDelta):
            delta = b'"content":' + encoded(event.text)
            logprobs = event.logprobs
        elif isinstance(event, ReasoningDelta):
            delta = b'"reasoning_content":' + encoded(event.text)
        elif isinstance(event, ToolCallDelta):
            delta = self._call(event)
        else:
            return b""
        role, self._role = self._role, b""
        told = b"" if logprobs is None else b',"logprobs":' + encoded({"content": logprobs, "refusal": None})
        return self._start + role + delta + b"}" + told + self._stop

    def end(self, completion: Completion, about: Mapping[str, Any]) -> bytes:
        """Returns the last chunks: the finish reason, what the gateway knows, the usage where asked, and the mark."""
        parts = [
            self.piece(ToolCallDelta(index, arguments="{}"))
            for index, call in self._calls.items()
            # Some providers write nothing where a function takes nothing, which is no JSON.
            if not call.has_arguments
        ]
        role = b"" if not self._role else self._role + b'"content":""'
        parts += [
            self._start, role, b'},"finish_reason":', encoded(finish_of(completion)), b"}", self._end,
            b',"routebench":', encoded(about), b"}\n\n",
        ]  # fmt: skip
        if self._include_usage:
            parts += [self._head, b'],"usage":', encoded(usage_of(completion.usage)), b"}\n\n"]
        parts.append(DONE)
        return b"".join(parts)

    def broken(self, kind: str, message: str) -> bytes:
        """Returns the event that ends a stream whose answer broke off: no finish reason and no mark follow it.

        Args:
            kind: of the failure, the error's `code`.
            message: what happened; without secrets.
        """
        error = {"message": message, "type": "api_error", "param": None, "code": kind}
        return b"data: " + encoded({"error": error, "routebench": {"trace_id": self._trace_id}}) + b"\n\n"

    def _call(self, event: ToolCallDelta) -> bytes:
        called = self._calls.get(event.index)
        told: dict[str, Any] = {}
        function: dict[str, Any] = {}
        if called is None:
            # Some providers count all parts of an answer, and the API only the calls.
            number = len(self._calls)
            called = self._calls[event.index] = _Called(number)
            told = {"id": call_id(event.id, self._trace_id, number), "type": "function"}
            function["name"] = event.name or ""
        elif event.name and not called.has_name:
            function["name"] = event.name
        called.has_name = called.has_name or bool(event.name)
        called.has_arguments = called.has_arguments or bool(event.arguments)
        function["arguments"] = event.arguments
        return b'"tool_calls":[' + encoded({"index": called.number, **told, "function": function}) + b"]"


class _Called:
    """One tool call of the answer: its number, and what of it has been told."""

    __slots__ = ("has_arguments", "has_name", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.has_name = False
        self.has_arguments = False
