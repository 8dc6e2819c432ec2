from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from routebench.errors import ConfigError
from routebench.providers import prepare, with_defaults
from routebench.providers.anthropic import DEFAULT_MAX_TOKENS, AnthropicMessages
from routebench.providers.base import render
from routebench.types import Request, ToolCall
from tests.conftest import make_model
from tests.providers.exchange import REQUEST, play, sent, sse, whole

WIRE = AnthropicMessages()
AT = datetime(2026, 11, 24, tzinfo=UTC)
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"where": "here"}},
    ],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 8, "output_tokens": 4, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 2},
}


def test_a_request_is_written_in_the_format() -> None:
    request = Request(
        messages=(
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "seen"},
            {"role": "user", "content": "And now?"},
        ),
        tools=({"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}},),
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        params={
            "max_completion_tokens": 9,
            "stop": "END",
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "reasoning_effort": "low",
            "user": "u1",
            "thinking": {"type": "adaptive"},
            "extra_body": {"betas": ["x"]},
            "extra_headers": {"anthropic-beta": "y", "x-team": "env:KEY"},
        },
    )  # fmt: skip
    http, body = sent(WIRE, request=request, params={}, stream=True)
    assert str(http.url) == "http://127.0.0.1:1/v1/messages"
    assert http.headers["x-api-key"] == "sk-secret"
    assert http.headers["anthropic-version"] == "2023-06-01"
    assert (http.headers["anthropic-beta"], http.headers["x-team"]) == ("y", "sk-secret")
    assert body == {
        "model": "mock-small",
        "stream": True,
        "system": "Be brief.",
        "max_tokens": 9,
        "stop_sequences": ["END"],
        "thinking": {"type": "adaptive"},
        "metadata": {"user_id": "u1"},
        "betas": ["x"],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "seen"},
                    {"type": "text", "text": "And now?"},
                ],
            },
        ],
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    }


def test_the_required_output_cap_is_always_sent_and_bounds_the_cost() -> None:
    assert sent(WIRE, params={})[1]["max_tokens"] == DEFAULT_MAX_TOKENS
    bare = make_model(provider="anthropic", model="claude-x", params={})
    short, long = (with_defaults(replace(bare, max_output=cap), AT) for cap in (77, 7700))
    assert short.params["max_tokens"] == 77
    # It can change an answer, so it is part of its key.
    assert prepare(short, REQUEST).key != prepare(long, REQUEST).key
    assert with_defaults(bare, AT).params["max_tokens"] == DEFAULT_MAX_TOKENS
    assert WIRE.output_cap(make_model(params={}), REQUEST) == DEFAULT_MAX_TOKENS


def test_a_whole_message_is_read() -> None:
    completion = whole(WIRE, MESSAGE)
    assert (completion.status, completion.text, completion.reasoning) == ("ok", "Hello", "Hm.")
    assert completion.tool_calls == (ToolCall("t1", "look", '{"where": "here"}'),)
    usage = completion.usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_tokens, usage.output_tokens) == (
        30,
        20,
        2,
        4,
    )
    assert completion.ttft_s is None


@pytest.mark.parametrize(
    ("raw", "ours"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "other"),
        ("something_new", "other"),
    ],
)
def test_finish_reasons(raw: str, ours: str) -> None:
    completion = whole(WIRE, {**MESSAGE, "stop_reason": raw})
    assert (completion.finish_reason, completion.raw_finish_reason) == (ours, raw)


def test_a_refusal_is_filtered_and_still_costs_what_it_cost() -> None:
    completion = whole(WIRE, {**MESSAGE, "stop_reason": "refusal"})
    assert (completion.error_kind, completion.text) == ("content_filter", None)
    assert completion.usage.output_tokens == 4


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ({"input_tokens": 8, "cache_read_input_tokens": 20, "output_tokens": 1}, {"output_tokens": 9}, (28, 20, 9)),
        # A server that tells everything at the end, and one that repeats zeros there.
        ({}, {"input_tokens": 8, "cache_read_input_tokens": 20, "output_tokens": 9}, (28, 20, 9)),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 8, "output_tokens": 9}, (8, None, 9)),
        ({"input_tokens": 8, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 9}, (8, None, 9)),
        ({"input_tokens": 8}, {}, (8, None, None)),
        ({}, {}, (None, None, None)),
    ],
)
def test_usage_is_the_largest_of_start_and_end(
    start: dict[str, int], end: dict[str, int], expected: tuple[int, ...]
) -> None:
    events = [
        {"type": "message_start", "message": {"model": "m", "usage": start}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end},
        {"type": "message_stop"},
    ]
    usage = play(WIRE, sse(*events, names=True))[0].usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens) == expected


@pytest.mark.parametrize("name", ["seed", "frequency_penalty", "logit_bias", "logprobs", "temprature"])
def test_a_parameter_that_the_format_lacks_is_an_error_before_anything_is_sent(name: str) -> None:
    model = make_model(provider="anthropic", params={name: 1})
    with pytest.raises(ConfigError, match=rf"model 'small': anthropic has no request parameter '{name}'"):
        WIRE.check(model, render(model, REQUEST))


def test_json_without_a_schema_is_an_error_before_anything_is_sent() -> None:
    model = make_model(params={"response_format": {"type": "json_object"}})
    with pytest.raises(ConfigError, match="plain JSON mode"):
        WIRE.check(model, render(model, REQUEST))
