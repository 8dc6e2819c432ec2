"""Conversations that clients send back: answers in them are other models', with words of theirs."""

from __future__ import annotations

from typing import Any

import pytest

from routebench.providers import provider_kind
from routebench.providers.anthropic import AnthropicMessages
from routebench.providers.gemini import GeminiContent
from routebench.providers.history import arguments_of, call_id, with_tool_calls
from routebench.providers.http import HttpProvider, Wire
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.types import Request
from tests.providers.exchange import sent

LONG = "call_" + "x" * 100
MESSAGES: tuple[dict[str, Any], ...] = (
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "look"},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "reasoning_content": "Hm.",
        "tool_calls": [{"id": LONG, "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}],
    },
    {"role": "tool", "tool_call_id": LONG, "content": "seen"},
)


def preset(name: str) -> Wire:
    """The wire format of a preset, as it is at its own address."""
    provider = provider_kind(name).open({})
    assert isinstance(provider, HttpProvider)
    return provider._wire


def messages_at(name: str, request: Request = Request(MESSAGES), **model: Any) -> list[dict[str, Any]]:  # noqa: B008
    return list(
        sent(preset(name), request=request, provider=name, base_url=provider_kind(name).base_url, **model)[1][
            "messages"
        ]
    )


def test_openai_has_a_role_for_developers_and_takes_no_thoughts_back() -> None:
    first, user, answer, result = messages_at("openai")
    assert first["role"] == "developer"
    assert user == MESSAGES[1]
    # `content` is there although it is null: with calls of tools that is its value.
    assert answer == {"role": "assistant", "content": None, "tool_calls": MESSAGES[2]["tool_calls"]}
    assert result == MESSAGES[3]


@pytest.mark.parametrize("name", ["deepseek", "vllm", "llamacpp", "openrouter"])
def test_elsewhere_the_role_is_system_and_thoughts_are_taken(name: str) -> None:
    first, _, answer, _ = messages_at(name)
    assert first == {"role": "system", "content": "Be brief."}
    assert answer["reasoning_content"] == "Hm."
    assert "refusal" not in answer
    assert "annotations" not in answer


def test_a_server_at_another_address_is_not_openai() -> None:
    body = sent(preset("openai"), request=Request(MESSAGES))[1]
    assert body["messages"][0]["role"] == "system"


def test_mistral_gets_ids_of_nine_letters_and_the_result_the_same_as_its_call() -> None:
    _, _, answer, result = messages_at("mistral")
    identity = answer["tool_calls"][0]["id"]
    assert len(identity) == 9
    assert identity.isalnum()
    assert result["tool_call_id"] == identity
    assert "reasoning_content" not in answer
    own = ({"role": "tool", "tool_call_id": "abcdefGH1", "content": "x"},)
    assert messages_at("mistral", Request(own))[0]["tool_call_id"] == "abcdefGH1"


def test_messages_of_a_role_and_a_text_are_sent_as_they_are() -> None:
    plain = ({"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "y"}]})
    assert messages_at("mistral", Request(plain)) == list(plain)


@pytest.mark.parametrize(("name", "marked"), [("openai", False), ("mistral", False), ("openrouter", True)])
def test_marks_for_a_cache_go_where_they_are_known(name: str, marked: bool) -> None:
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    (message,) = messages_at(name, Request(({"role": "user", "content": [part]},)))
    assert message["content"] == [part if marked else {"type": "text", "text": "x"}]


def test_calls_of_functions_are_calls_of_tools() -> None:
    old = (
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": "seen"},
    )
    user, call, result = with_tool_calls(old)
    assert user == old[0]
    assert call["tool_calls"] == [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    assert "function_call" not in call
    assert result == {"role": "tool", "tool_call_id": "call_1", "content": "seen"}
    turns = sent(AnthropicMessages(), request=Request(old))[1]["messages"]
    assert turns[1]["content"] == [{"type": "tool_use", "id": "call_1", "name": "look", "input": {}}]
    assert turns[2]["content"][0]["tool_use_id"] == "call_1"
    contents = sent(GeminiContent(), request=Request(old))[1]["contents"]
    assert contents[1]["parts"] == [{"functionCall": {"name": "look", "args": {}}}]
    assert contents[2]["parts"] == [{"functionResponse": {"name": "look", "response": {"result": "seen"}}}]


def test_ids_fit_a_format_of_fewer_letters() -> None:
    assert call_id("toolu_01-x") == "toolu_01-x"
    made = call_id("functions.look:0")
    assert made == call_id("functions.look:0") != call_id("functions.look:1")
    assert made.isalnum()


@pytest.mark.parametrize("text", ["not json", "[1]", "5", '"x"', "{" * 5000])
def test_arguments_that_are_no_object_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="arguments of a call of 'look' are no JSON object"):
        arguments_of({"name": "look", "arguments": text})


@pytest.mark.parametrize(
    ("model", "signed"), [("gemini-3-pro", True), ("models/gemini-3.1-flash", True), ("gemini-2.5-pro", False)]
)
def test_a_call_without_its_signature_says_so_where_one_is_wanted(model: str, signed: bool) -> None:
    two = {**MESSAGES[2], "tool_calls": MESSAGES[2]["tool_calls"] * 2}
    contents = sent(GeminiContent(), request=Request((MESSAGES[1], two)), model=model)[1]["contents"]
    told = ["thoughtSignature" in part for part in contents[1]["parts"]]
    assert told == [signed, False]


def test_files_and_sounds_are_written_where_there_is_a_form_for_them() -> None:
    content = [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
        {"type": "refusal", "refusal": "No."},
    ]
    request = Request(({"role": "user", "content": content},))
    assert sent(GeminiContent(), request=request)[1]["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "BBBB"}},
        {"text": "No."},
    ]
    spoken = Request(({"role": "user", "content": [content[0], content[2]]},))
    assert sent(AnthropicMessages(), request=spoken)[1]["messages"][0]["content"] == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
            "title": "a.pdf",
        },
        {"type": "text", "text": "No."},
    ]


def test_a_turn_of_nothing_is_not_sent_where_it_is_refused() -> None:
    messages = (
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "b"},
    )
    turns = sent(AnthropicMessages(), request=Request(messages))[1]["messages"]
    assert turns == [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]


@pytest.mark.parametrize(
    ("effort", "output", "thinking"),
    [
        ("none", None, {"thinkingBudget": 0}),
        ("minimal", {"effort": "low"}, {"thinkingLevel": "minimal"}),
        ("high", {"effort": "high"}, {"thinkingLevel": "high"}),
        ("xhigh", {"effort": "xhigh"}, {"thinkingLevel": "high"}),
    ],
)
def test_how_long_to_think_is_said_in_each_formats_words(effort: str, output: Any, thinking: Any) -> None:
    params = {"reasoning_effort": effort}
    assert sent(AnthropicMessages(), params=params)[1].get("output_config") == output
    assert sent(GeminiContent(), params=params)[1]["generationConfig"]["thinkingConfig"] == thinking


def test_no_tool_at_all_is_not_called_one_at_a_time() -> None:
    params = {"tool_choice": "none", "parallel_tool_calls": False}
    assert sent(AnthropicMessages(), params=params)[1]["tool_choice"] == {"type": "none"}


def test_logprobs_are_read_whole_and_in_pieces() -> None:
    from tests.providers.exchange import play, sse, whole

    wire = OpenAIChat(Dialect("test", ""))
    one, two = ({"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []} for text in ("a", "b"))
    document = {
        "choices": [{"message": {"content": "ab"}, "finish_reason": "stop", "logprobs": {"content": [one, two]}}]
    }
    assert whole(wire, document).logprobs == (one, two)
    completion, events = play(
        wire,
        sse(
            {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [one]}}]},
            # Some servers tell of a token whose letters are not whole yet.
            {"choices": [{"delta": {"content": ""}, "logprobs": {"content": [two]}}]},
            {"choices": [{"delta": {"content": "b"}, "logprobs": None, "finish_reason": "stop"}]},
            "[DONE]",
        ),
    )
    assert completion.logprobs == (one, two)
    assert completion.text == "ab"
    assert [event.logprobs for event in events] == [(one,), (two,), None]  # type: ignore[union-attr]
    assert whole(wire, {"choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}]}).logprobs is None
