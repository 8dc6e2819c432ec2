"""What the upstream of the gateway's benchmarks says, in the words of three wires.

A request carries a mark in its text, such as `@17 whole@`: its number and what kind of answer it asks for. From it both
sides know the answer: the upstream says it, and whoever asked checks that it is his, whole, and in order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

Wire = Literal["openai", "anthropic", "gemini"]
WIRES: Sequence[Wire] = ("openai", "anthropic", "gemini")
INPUT_TOKENS = 120
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a number up.",
        "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    },
}
_PIECES = {"flood": 5000, "paced": 20, "long": 120}
_SHORT = 10
_WORDS = "the answer is a plain sentence of a few words and it goes on until nothing is left to say".split()
JSON_HEAD = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def mark(number: int, kind: str) -> str:
    return f"@{number} {kind}@"


def read_mark(body: bytes) -> tuple[int, str]:
    """The last mark in a body, without reading the rest of it."""
    end = body.rfind(b"@")
    number, _, kind = body[body.rfind(b"@", 0, end) + 1 : end].decode().partition(" ")
    return int(number), kind


def pieces(number: int, kind: str) -> Sequence[str]:
    """The answer, a token a piece; its first and its last say whose it is."""
    n = _PIECES.get(kind, _SHORT)
    return (f"{number}:", *_middle(n), f" :{number}")


@lru_cache
def _middle(n: int) -> Sequence[str]:
    return tuple(f" {_WORDS[place % len(_WORDS)]}" for place in range(n - 2))


def text(number: int, kind: str) -> str:
    return "".join(pieces(number, kind))


def arguments(number: int) -> str:
    """What the tool is called with, where the kind is `tool`."""
    return f'{{"number":{number}}}'


@dataclass(frozen=True)
class Said:
    """An answer as the bytes of one wire.

    Attributes:
        whole: a response, with its head.
        events: the chunks of a stream, framed for chunked transfer, without its head and its last chunk.
    """

    whole: bytes
    events: Sequence[bytes]

    @cached_property
    def at_once(self) -> bytes:
        """The stream in one piece, with its head."""
        return b"".join((STREAM_HEAD, *self.events, LAST_CHUNK))


def say(wire: Wire, model: str, number: int, kind: str, *, stream: bool) -> Said:
    if stream:
        return Said(b"", tuple(framed(event) for event in _STREAMS[wire](model, number, kind)))
    document = json.dumps(_WHOLES[wire](model, number, kind)).encode()
    return Said(response(200, document), ())


def response(status: int, document: bytes) -> bytes:
    reason = b"OK" if status == 200 else b"Failed"
    return JSON_HEAD % (status, reason, len(document)) + document


def refusal(wire: Wire, status: int) -> bytes:
    """An error as the wire writes it."""
    error: dict[str, Any] = {"type": "server_error", "message": "the upstream fails now and then, as it was told"}
    if wire == "gemini":
        error = {"code": status, "status": "UNAVAILABLE", **error}
    return response(status, json.dumps({"type": "error", "error": error}).encode())


def framed(event: bytes) -> bytes:
    return b"%x\r\n" % len(event) + event + b"\r\n"


def _usage(number: int, kind: str) -> tuple[int, int]:
    return INPUT_TOKENS, 5 if kind == "tool" else len(pieces(number, kind))


def _openai(model: str, number: int, kind: str) -> Mapping[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None if kind == "tool" else text(number, kind)}
    if kind == "tool":
        message["tool_calls"] = [_openai_call(number)]
    finish = "tool_calls" if kind == "tool" else "stop"
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _openai_usage(number, kind),
    }


def _openai_call(number: int) -> dict[str, Any]:
    function = {"name": "look_up", "arguments": arguments(number)}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _openai_usage(number: int, kind: str) -> Mapping[str, int]:
    asked, said = _usage(number, kind)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _openai_stream(model: str, number: int, kind: str) -> Iterator[bytes]:
    base = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": model}

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return _data({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    if kind == "tool":
        call = _openai_call(number)
        yield chunk({"tool_calls": [{**call, "index": 0, "function": {"name": "look_up", "arguments": ""}}]})
        yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments(number)}}]})
    else:
        for piece in pieces(number, kind):
            yield chunk({"content": piece})
    yield chunk({}, "tool_calls" if kind == "tool" else "stop")
    yield _data({**base, "choices": [], "usage": _openai_usage(number, kind)})
    yield b"data: [DONE]\n\n"


def _anthropic(model: str, number: int, kind: str) -> Mapping[str, Any]:
    block: Mapping[str, Any] = {"type": "text", "text": text(number, kind)}
    if kind == "tool":
        block = {**_anthropic_call(number), "input": {"number": number}}
    asked, said = _usage(number, kind)
    return {
        **_anthropic_message(model, number),
        "content": [block],
        "stop_reason": "tool_use" if kind == "tool" else "end_turn",
        "usage": {"input_tokens": asked, "output_tokens": said},
    }


def _anthropic_call(number: int) -> Mapping[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "look_up", "input": {}}


def _anthropic_message(model: str, number: int) -> Mapping[str, Any]:
    return {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": []}


def _anthropic_stream(model: str, number: int, kind: str) -> Iterator[bytes]:
    asked, said = _usage(number, kind)
    message = {**_anthropic_message(model, number), "usage": {"input_tokens": asked, "output_tokens": 1}}
    yield _event("message_start", message=message)
    block = _anthropic_call(number) if kind == "tool" else {"type": "text", "text": ""}
    yield _event("content_block_start", index=0, content_block=block)
    if kind == "tool":
        deltas: Sequence[Mapping[str, Any]] = ({"type": "input_json_delta", "partial_json": arguments(number)},)
    else:
        deltas = tuple({"type": "text_delta", "text": piece} for piece in pieces(number, kind))
    for delta in deltas:
        yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    stop = {"stop_reason": "tool_use" if kind == "tool" else "end_turn", "stop_sequence": None}
    yield _event("message_delta", delta=stop, usage={"output_tokens": said})
    yield _event("message_stop")


def _gemini(model: str, number: int, kind: str) -> Mapping[str, Any]:
    part: Mapping[str, Any] = {"text": text(number, kind)}
    if kind == "tool":
        part = {"functionCall": {"name": "look_up", "args": {"number": number}}}
    return _gemini_document(model, part, "STOP", _usage(number, kind))


def _gemini_document(
    model: str, part: Mapping[str, Any], finish: str | None, usage: tuple[int, int]
) -> Mapping[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [part]}}
    if finish is not None:
        candidate["finishReason"] = finish
    asked, said = usage
    counts = {"promptTokenCount": asked, "candidatesTokenCount": said, "totalTokenCount": asked + said}
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": model}


def _gemini_stream(model: str, number: int, kind: str) -> Iterator[bytes]:
    if kind == "tool":
        yield _data(_gemini(model, number, kind))
        return
    said = pieces(number, kind)
    for place, piece in enumerate(said, 1):
        finish = "STOP" if place == len(said) else None
        yield _data(_gemini_document(model, {"text": piece}, finish, (INPUT_TOKENS, place)))


def _data(document: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **fields})


_WHOLES = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}
_STREAMS = {"openai": _openai_stream, "anthropic": _anthropic_stream, "gemini": _gemini_stream}
