from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from routebench.gateway.fitness import Fitness, UnfitError
from routebench.providers import provider_kind, render
from routebench.types import Request
from tests.conftest import make_model

HI = ({"role": "user", "content": "hi"},)
FAR = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]},)
NEAR = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def fitted(provider: str, request: Request, **fields: Any) -> Request:
    model = make_model("large", provider=provider, **{"params": {}, **fields})
    return Fitness(model, provider_kind(provider)).fitted(render(model, request))


@pytest.mark.parametrize(
    ("provider", "params", "words"),
    [
        ("anthropic", {"seed": 1}, "seed: model 'large' has no such parameter"),
        ("anthropic", {"logprobs": True}, "logprobs: "),
        ("gemini", {"parallel_tool_calls": False}, "parallel_tool_calls: "),
        ("gemini", {"store": True}, "store: "),
        ("deepseek", {"seed": 1}, "seed: "),
        ("mistral", {"top_k": 1}, "top_k: "),
        ("openai", {"top_k": 1}, "top_k: "),
    ],
)
def test_what_a_model_lacks_is_told_to_who_sent_the_request(provider: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(UnfitError) as caught:
        fitted(provider, Request(HI, params=params))
    assert str(caught.value).startswith(words)
    assert caught.value.param == words.partition(":")[0]
    # These are not the client's to write.
    assert not any(name in str(caught.value) for name in ("extra_body", "bench.yaml", "base_url"))


@pytest.mark.parametrize(("provider", "form"), [("anthropic", {"type": "json_object"}), ("deepseek", SCHEMA)])
def test_a_form_of_answers_that_a_model_lacks_is_told(provider: str, form: dict[str, Any]) -> None:
    with pytest.raises(UnfitError, match=r"model .large. has no .*JSON"):
        fitted(provider, Request(HI, response_format=form))


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "deepseek", "mistral", "qwen", "openai", "vllm"])
def test_what_says_nothing_is_no_reason_to_refuse(provider: str) -> None:
    hints = {"user": "u1", "safety_identifier": "s1", "prompt_cache_key": "k"}
    neutral = {
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "logprobs": False,
        "parallel_tool_calls": True,
        "store": False,
    }
    left = fitted(provider, Request(HI, params={**hints, **neutral, "temperature": 0.5})).params
    assert left["temperature"] == 0.5
    # And the model can be written a request: nothing is left that its provider lacks.
    provider_kind(provider).check(make_model(provider=provider, params={}), Request(HI, params=left))


def test_what_was_found_out_once_holds_for_the_next_request_and_for_that_value_only() -> None:
    model = make_model("large", provider="anthropic", params={})
    fitness = Fitness(model, provider_kind("anthropic"))
    assert fitness.fitted(Request(HI, params={"frequency_penalty": 0})).params == {}
    assert fitness.fitted(Request(HI, params={"frequency_penalty": 0, "top_p": 1})).params == {"top_p": 1}
    with pytest.raises(UnfitError, match="frequency_penalty"):
        fitness.fitted(Request(HI, params={"frequency_penalty": 0.5}))


def test_a_request_that_fits_is_handed_on_as_it_is() -> None:
    request = Request(HI, params={"temperature": 0})
    model = make_model("large", provider="openai", params={})
    assert Fitness(model, provider_kind("openai")).fitted(request) is request


@pytest.mark.parametrize(
    ("provider", "base_url"),
    [
        ("vllm", None),
        ("llamacpp", None),
        ("ollama", "http://gpu-box:11434/v1"),
        ("openai", "http://127.0.0.1:9000/v1"),
        ("openai", "http://10.1.2.3/v1"),
        ("anthropic", "http://llama.internal/v1"),
    ],
)
def test_a_server_at_home_is_not_sent_to_look_for_images(provider: str, base_url: str | None) -> None:
    with pytest.raises(UnfitError, match="data:image"):
        fitted(provider, Request(FAR), base_url=base_url)
    assert fitted(provider, Request(NEAR), base_url=base_url).messages == NEAR


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "openrouter"])
def test_a_provider_on_the_internet_may_look_at_public_images(provider: str) -> None:
    assert fitted(provider, Request(FAR)).messages == FAR


def test_parts_and_tools_that_a_format_has_no_words_for_are_told() -> None:
    audio = ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},)
    with pytest.raises(UnfitError, match="input_audio"):
        fitted("anthropic", Request(audio))
    custom = Request(HI, tools=({"type": "custom", "custom": {"name": "c"}},))
    for provider in ("anthropic", "gemini"):
        with pytest.raises(UnfitError, match="function"):
            fitted(provider, custom)
    allowed = replace(custom, tools=(), params={"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}})
    with pytest.raises(UnfitError, match="function"):
        fitted("gemini", allowed)
