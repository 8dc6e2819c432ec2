from __future__ import annotations

from typing import Any

import pytest

from routebench.errors import ConfigError
from routebench.providers.base import render
from routebench.providers.gemini import GeminiContent
from routebench.types import Request
from tests.conftest import make_model
from tests.providers.exchange import REQUEST, play, sent, sse, whole

WIRE = GeminiContent()


def answer(raw: str = "STOP", text: str | None = "Hello", **usage: int) -> dict[str, Any]:
    parts = [] if text is None else [{"text": text}]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": raw}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 2, **usage},
        "modelVersion": "gemini-x-001",
        "responseId": "r1",
    }


def test_a_request_is_written_in_the_format() -> None:
    request = Request(
        messages=(
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "content": "Wait", "tool_calls": [{"id": "t1", "function": {"name": "look", "arguments": '{"a": 1}'}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "seen"},
        ),
        tools=({"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}},),
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        params={
            "max_tokens": 9,
            "stop": "END",
            "seed": 7,
            "top_p": 0.5,
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "reasoning_effort": "low",
            "safetySettings": [{"category": "X", "threshold": "BLOCK_NONE"}],
        },
    )  # fmt: skip
    http, body = sent(
        WIRE, request=request, params={}, model="gemini-x", base_url="http://127.0.0.1:1/v1beta", stream=True
    )
    assert str(http.url) == "http://127.0.0.1:1/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
    assert http.headers["x-goog-api-key"] == "sk-secret"
    assert "sk-secret" not in str(http.url)
    assert body == {
        "contents": [
            {"role": "user", "parts": [{"text": "See"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
            {"role": "model", "parts": [{"text": "Wait"}, {"functionCall": {"name": "look", "args": {"a": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": "seen"}}}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "maxOutputTokens": 9,
            "stopSequences": ["END"],
            "seed": 7,
            "topP": 0.5,
            "thinkingConfig": {"thinkingLevel": "low"},
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        },
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "look", "description": "Looks.", "parametersJsonSchema": {"type": "object"}}
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        "safetySettings": [{"category": "X", "threshold": "BLOCK_NONE"}],
    }
    whole_url = str(sent(WIRE, model="gemini-x")[0].url)
    assert whole_url.endswith("/models/gemini-x:generateContent")


def test_thoughts_are_part_of_the_output_and_cached_tokens_of_the_input() -> None:
    completion = whole(WIRE, answer(thoughtsTokenCount=30, cachedContentTokenCount=4, toolUsePromptTokenCount=3))
    usage = completion.usage
    assert (usage.input_tokens, usage.cached_input_tokens) == (13, 4)
    assert (usage.output_tokens, usage.reasoning_tokens) == (32, 30)
    assert completion.served_model == "gemini-x-001"
    assert completion.request_id == "r1"


def test_a_stream_s_usage_is_cumulative() -> None:
    first = {**answer(), "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 1}}
    first["candidates"][0].pop("finishReason")
    completion, _ = play(WIRE, sse(first, answer(text=" there", candidatesTokenCount=5)))
    assert (completion.text, completion.usage.output_tokens) == ("Hello there", 5)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        *((raw, "content_filter") for raw in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")),
        ("MALFORMED_FUNCTION_CALL", "malformed"),
        ("UNEXPECTED_TOOL_CALL", "malformed"),
    ],
)
def test_reasons_that_are_failures_are_not_a_stop(raw: str, kind: str) -> None:
    for completion in (whole(WIRE, answer(raw)), play(WIRE, sse(answer(raw)))[0]):
        assert (completion.error_kind, completion.raw_finish_reason, completion.text) == (kind, raw, None)
        assert completion.usage.input_tokens == 10


def test_other_reasons() -> None:
    assert whole(WIRE, answer("MAX_TOKENS")).finish_reason == "length"
    assert whole(WIRE, answer("SOMETHING_NEW")).finish_reason == "other"
    assert whole(WIRE, answer(text=None)).text == ""


def test_a_blocked_prompt_is_filtered() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
    for completion in (whole(WIRE, blocked), play(WIRE, sse(blocked))[0]):
        assert completion.error_kind == "content_filter"
        assert "SAFETY" in (completion.error or "")


@pytest.mark.parametrize("name", ["logit_bias", "user", "parallel_tool_calls", "max_output_tokens"])
def test_a_parameter_that_the_format_lacks_is_an_error_before_anything_is_sent(name: str) -> None:
    model = make_model(params={name: 1})
    with pytest.raises(ConfigError, match=rf"gemini has no request parameter '{name}'"):
        WIRE.check(model, render(model, REQUEST))
