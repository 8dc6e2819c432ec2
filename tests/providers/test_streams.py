"""What holds for every wire format's stream, however its bytes are cut."""

from __future__ import annotations

from typing import Any

import pytest

from routebench.providers import ReasoningDelta, TextDelta, ToolCallDelta
from routebench.providers.anthropic import AnthropicMessages
from routebench.providers.gemini import GeminiContent
from routebench.providers.http import Wire
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.types import ToolCall, Usage
from tests.providers.exchange import play, sse, without_times

OPENAI = OpenAIChat(Dialect("test", ""))
ANTHROPIC = AnthropicMessages()
GEMINI = GeminiContent()


def _chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "gpt-x-0101", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}


OPENAI_EVENTS = (
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"reasoning_content": "Let me see: ñ. "}),
    _chunk({"content": "Grüße "}),
    _chunk({"content": "漢字 😀"}),
    _chunk(
        {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "look", "arguments": ""}}]}
    ),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"where":'}}]}),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": ' "here"}'}}]}),
    _chunk({}, finish_reason="tool_calls"),
    {
        "model": "gpt-x-0101",
        "choices": [],
        "usage": {
            "prompt_tokens": 30,
            "completion_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    },
    "[DONE]",
)
ANTHROPIC_EVENTS = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "model": "claude-x-0101",
            "content": [],
            "usage": {
                "input_tokens": 8,
                "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 2,
                "output_tokens": 1,
                "service_tier": "standard",
            },
        },
    },
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me see: ñ. "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "abc"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grüße "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "漢字 😀"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"where":'}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ' "here"}'}},
    {"type": "content_block_stop", "index": 2},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 12},
    },
    {"type": "message_stop"},
)
GEMINI_EVENTS = (
    {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Let me see: ñ. ", "thought": True}]}, "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 30, "thoughtsTokenCount": 5},
        "modelVersion": "gemini-x-0101",
        "responseId": "r1",
    },
    {"candidates": [{"content": {"parts": [{"text": "Grüße "}]}}], "modelVersion": "gemini-x-0101"},
    {"candidates": [{"content": {"parts": [{"text": "漢字 😀"}]}}]},
    {
        "candidates": [
            {
                "content": {"parts": [{"functionCall": {"id": "t1", "name": "look", "args": {"where": "here"}}}]},
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 30,
            "cachedContentTokenCount": 20,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 5,
        },
    },
)
FORMATS: dict[str, tuple[Wire, tuple[Any, ...], bool]] = {
    "openai": (OPENAI, OPENAI_EVENTS, False),
    "anthropic": (ANTHROPIC, ANTHROPIC_EVENTS, True),
    "gemini": (GEMINI, GEMINI_EVENTS, False),
}
each = pytest.mark.parametrize("name", FORMATS)


def transcript(name: str, end: str = "\n") -> bytes:
    _, events, names = FORMATS[name]
    return sse(*events, names=names, end=end)


@each
def test_three_formats_become_one_completion(name: str) -> None:
    completion, _ = play(FORMATS[name][0], transcript(name))
    assert (completion.status, completion.text, completion.finish_reason) == ("ok", "Grüße 漢字 😀", "tool_calls")
    assert completion.reasoning == "Let me see: ñ. "
    assert completion.tool_calls == (ToolCall("t1", "look", '{"where": "here"}'),)
    written = 2 if name == "anthropic" else None
    thought = None if name == "anthropic" else 5
    counts = Usage(30, 12, cached_input_tokens=20, cache_write_tokens=written, reasoning_tokens=thought)
    assert [getattr(completion.usage, field) for field in Usage.__slots__ if field != "raw"] == [
        getattr(counts, field) for field in Usage.__slots__ if field != "raw"
    ]
    assert completion.usage.raw
    assert completion.served_model
    assert completion.served_model.endswith("-0101")
    assert completion.raw_finish_reason in ("tool_calls", "tool_use", "STOP")
    assert completion.ttft_s is not None
    assert completion.latency_s is not None
    assert completion.ttft_s <= completion.latency_s


@each
def test_events_come_as_they_are_written(name: str) -> None:
    completion, events = play(FORMATS[name][0], transcript(name))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == completion.text
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == completion.reasoning
    tools = [event for event in events if isinstance(event, ToolCallDelta)]
    assert "".join(event.arguments for event in tools) == completion.tool_calls[0].arguments
    assert {event.index for event in tools} == {tools[0].index}
    assert [event.name for event in tools if event.name] == ["look"]
    kinds = [type(event) for event in events]
    assert kinds.index(ReasoningDelta) < kinds.index(TextDelta) < kinds.index(ToolCallDelta)


@each
def test_a_border_between_chunks_at_any_byte_changes_nothing(name: str) -> None:
    wire, data = FORMATS[name][0], transcript(name)
    expected = without_times(play(wire, data)[0])
    for border in range(1, len(data)):
        assert without_times(play(wire, [data[:border], data[border:]])[0]) == expected, border


@each
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_single_bytes_and_every_line_ending_change_nothing(name: str, end: str) -> None:
    wire, data = FORMATS[name][0], transcript(name, end)
    chunks = [data[i : i + 1] for i in range(len(data))]
    assert without_times(play(wire, chunks)[0]) == without_times(play(wire, transcript(name))[0])


@each
def test_comments_keep_alives_and_unknown_fields_change_nothing(name: str) -> None:
    wire, data = FORMATS[name][0], transcript(name)
    noisy = b"\xef\xbb\xbf: OPENROUTER PROCESSING\n\n" + data.replace(
        b"\n\n", b"\n\n: keep-alive\n\nid: 7\nretry: 10\n\n"
    )
    assert without_times(play(wire, noisy)[0]) == without_times(play(wire, data)[0])


@each
def test_a_stream_that_ends_before_its_terminal_event_is_incomplete(name: str) -> None:
    wire, events, names = FORMATS[name]
    # Gemini has no terminal event of its own: its last one carries the finish reason.
    for kept in range(len(events)):
        completion, _ = play(wire, sse(*events[:kept], names=names))
        assert (completion.status, completion.error_kind) == ("error", "incomplete"), kept
        assert completion.text is None
        # More may have been written, and charged, than was told.
        assert completion.usage.output_tokens is None
        cut, _ = play(wire, sse(*events[:kept], names=names), cut=True)
        assert cut.error_kind in ("incomplete", "connection"), kept


@each
@pytest.mark.parametrize("after", [0, 2])
def test_an_error_event_after_http_200_is_a_failure_with_its_kind(name: str, after: int) -> None:
    wire, events, names = FORMATS[name]
    error: dict[str, Any] = {
        "openai": {"error": {"message": "too fast", "code": "429"}},
        "anthropic": {"type": "error", "error": {"type": "rate_limit_error", "message": "too fast"}},
        "gemini": {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "too fast"}},
    }[name]
    completion, _ = play(wire, sse(*events[:after], error, names=names))
    assert completion.error_kind == "rate_limited"
    assert "too fast" in (completion.error or "")
    assert completion.text is None


@each
def test_a_stream_under_another_content_type_is_still_a_stream(name: str) -> None:
    wire, data = FORMATS[name][0], transcript(name)
    completion, _ = play(wire, data, headers={"content-type": "text/plain"})
    assert completion.text == "Grüße 漢字 😀"


@each
@pytest.mark.parametrize("data", ["[1]", '"text"', "{broken", "7"])
def test_events_that_are_no_objects_are_malformed(name: str, data: str) -> None:
    completion, _ = play(FORMATS[name][0], sse(data))
    assert completion.error_kind == "malformed"


@each
@pytest.mark.parametrize(
    "document", [b"", b"<html>hello</html>", b"[]", b"{}", b"null", b'"x"', b'{"choices": []}', b"\xff\xfe"]
)
def test_documents_that_are_no_answers_are_malformed(name: str, document: bytes) -> None:
    completion, _ = play(FORMATS[name][0], document, headers={"content-type": "text/html"})
    assert completion.error_kind == "malformed"
    assert "Traceback" not in (completion.error or "")


@each
@pytest.mark.parametrize(
    "document",
    [
        b'{"choices": [null]}',
        b'{"choices": [{"message": {"tool_calls": ["x"]}, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": "x"}, "finish_reason": []}], "usage": {"prompt_tokens": 1e999}}',
        b'{"content": ["x"], "stop_reason": {}}',
        b'{"content": [{"type": "text", "text": 7}]}',
        b'{"candidates": ["x"]}',
        b'{"candidates": [{"content": {"parts": [{"functionCall": "x"}]}, "finishReason": "STOP"}]}',
        b"[" * 3000,
    ],
)
def test_json_of_shapes_that_nobody_foresaw_is_one_failed_call(name: str, document: bytes) -> None:
    completion, _ = play(FORMATS[name][0], document, headers={"content-type": "application/json"})
    assert completion.status == "error" or document.startswith(b'{"choices": [{"message": {"content"')
    assert completion.text is None or completion.status == "ok"


@each
def test_an_answer_without_end_is_given_up_and_not_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("routebench.providers.http.MAX_ANSWER_BYTES", 1000)
    endless = [transcript(name)[:100]] + [b": still here\n\n"] * 200
    assert play(FORMATS[name][0], endless)[0].error_kind == "malformed"
    assert play(FORMATS[name][0], [b"x" * 500] * 5, headers={})[0].error_kind == "malformed"
