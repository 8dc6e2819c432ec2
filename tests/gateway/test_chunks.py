from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from routebench.gateway.chunks import Chunks
from routebench.providers import Done, ReasoningDelta, TextDelta, ToolCallDelta
from routebench.types import Completion, ToolCall, Usage

OK = Completion("ok", text="Hello", finish_reason="stop", usage=Usage(10, 5))


def begun(*, include_usage: bool = False) -> Chunks:
    return Chunks(trace_id="t" * 32, created=1700, model="small", include_usage=include_usage)


def read(data: bytes) -> list[Any]:
    """The events, each held against the official client's types."""
    assert data.endswith(b"\n\n")
    found: list[Any] = []
    for event in data.removesuffix(b"\n\n").split(b"\n\n"):
        assert event.startswith(b"data: ")
        assert b"\n" not in event
        text = event.removeprefix(b"data: ")
        found.append(text.decode() if text == b"[DONE]" else json.loads(text))
        if isinstance(found[-1], dict) and "error" not in found[-1]:
            ChatCompletionChunk.model_validate(found[-1])
    return found


def deltas(*pieces: bytes) -> list[Any]:
    return [event["choices"][0]["delta"] for piece in pieces for event in read(piece)]


def test_pieces_become_chunks_and_the_first_one_tells_the_role() -> None:
    chunks = begun()
    pieces = [chunks.piece(event) for event in (ReasoningDelta("Hm."), TextDelta('Say "x"\n'), TextDelta("é"))]
    assert deltas(*pieces) == [
        {"role": "assistant", "reasoning_content": "Hm."},
        {"content": 'Say "x"\n'},
        {"content": "é"},
    ]
    *_, last, mark = read(chunks.end(OK, {"rule": "r"}))
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert last["routebench"] == {"rule": "r"}
    assert (last["id"], last["created"], last["model"]) == ("t" * 32, 1700, "small")
    assert "usage" not in last
    assert mark == "[DONE]"
    assert chunks.piece(Done(OK)) == b""


def test_usage_comes_last_and_only_when_asked_for() -> None:
    chunks = begun(include_usage=True)
    assert read(chunks.piece(TextDelta("x")))[0]["usage"] is None
    last, usage, mark = read(chunks.end(OK, {}))
    assert last["usage"] is None
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert mark == "[DONE]"
    unknown = begun(include_usage=True).end(Completion("ok", text="", finish_reason="stop"), {})
    assert read(unknown)[-2]["usage"] is None


def test_calls_are_counted_as_calls_whatever_else_the_provider_counts() -> None:
    chunks = begun()
    pieces = [
        chunks.piece(event)
        for event in (
            TextDelta("Let me see."),
            ToolCallDelta(2, "own", "look"),
            ToolCallDelta(2, arguments='{"a"'),
            ToolCallDelta(5, None, "leap"),
            ToolCallDelta(2, arguments=": 1}"),
        )
    ]
    calls = [one["tool_calls"][0] for one in deltas(*pieces)[1:]]
    assert calls == [
        {"index": 0, "id": "own", "type": "function", "function": {"name": "look", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {
            "index": 1,
            "id": "call_" + "t" * 30 + "_1",
            "type": "function",
            "function": {"name": "leap", "arguments": ""},
        },
        {"index": 0, "function": {"arguments": ": 1}"}},
    ]
    completion = Completion(
        "ok",
        text="",
        finish_reason="stop",
        tool_calls=(ToolCall("own", "look", '{"a": 1}'), ToolCall(None, "leap", "")),
    )
    nothing, last, _ = read(chunks.end(completion, {}))
    # Of a call without arguments the client reads JSON all the same.
    assert nothing["choices"][0]["delta"]["tool_calls"] == [{"index": 1, "function": {"arguments": "{}"}}]
    assert last["choices"][0]["finish_reason"] == "tool_calls"


def test_an_answer_of_nothing_is_an_answer() -> None:
    last, _ = read(begun().end(Completion("ok", text="", finish_reason="length"), {}))
    assert last["choices"][0] == {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "length"}


def test_a_broken_answer_ends_in_an_error_and_in_nothing_else() -> None:
    chunks = begun(include_usage=True)
    chunks.piece(TextDelta("Hal"))
    (event,) = read(chunks.broken("incomplete", "the answer broke off"))
    assert event["error"] == {
        "message": "the answer broke off",
        "type": "api_error",
        "param": None,
        "code": "incomplete",
    }
    assert "choices" not in event


@pytest.mark.parametrize("text", ["\ud83d", "\udc00x", "\u2028\u0085", "\r\n\r\ndata: [DONE]\n\n", "\x00"])
def test_no_text_of_a_model_can_end_an_event(text: str) -> None:
    (event,) = read(begun().piece(TextDelta(text)))
    assert event["choices"][0]["delta"]["content"] == text.encode(errors="replace").decode()


def test_logprobs_come_with_their_piece() -> None:
    one = {"token": "x", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    (event,) = read(begun().piece(TextDelta("x", (one,))))
    assert event["choices"][0]["logprobs"] == {"content": [one], "refusal": None}
