"""What every provider of the list takes, refuses and says in its own way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from routebench.errors import ConfigError
from routebench.providers import (
    check_requests,
    find_secrets,
    priced_models,
    provider_kind,
    provider_names,
    with_defaults,
)
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.types import Price, Request
from tests.conftest import make_model
from tests.providers.exchange import REQUEST, sent, whole

AT = datetime(2026, 11, 24, tzinfo=UTC)
WIRE = OpenAIChat(Dialect("test", ""))
HOME = {
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "anthropic": ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "gemini": ("https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
    "deepseek": ("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "qwen": ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "tokenmix": ("https://api.tokenmix.ai/v1", "TOKENMIX_API_KEY"),
    "portkey": ("https://api.portkey.ai/v1", "PORTKEY_API_KEY"),
    "litellm": (None, "LITELLM_API_KEY"),
    "vllm": ("http://127.0.0.1:8000/v1", None),
    "llamacpp": ("http://127.0.0.1:8080/v1", None),
    "ollama": ("http://127.0.0.1:11434/v1", None),
}


def wire(name: str) -> Any:
    return provider_kind(name).check.__self__  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", HOME)
def test_every_provider_has_its_address_and_key(name: str) -> None:
    kind = provider_kind(name)
    assert (kind.base_url, kind.key_env) == HOME[name]


def test_the_built_ins_come_through_the_door_of_third_parties(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(HOME) | {"embedded", "tool"} <= set(provider_names())
    package = tmp_path / "acme"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from routebench.providers import ProviderKind\n"
        "kind = ProviderKind(open=lambda secrets: None, key_env='ACME_KEY')\nwrong = 7\n"
    )
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[routebench.providers]\nacme = acme:kind\nbroken = acme:wrong\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "acme" in provider_names()
    assert with_defaults(make_model(provider="acme"), AT).key_env == "ACME_KEY"
    with pytest.raises(ConfigError, match=r"'broken': acme:wrong is not a .*ProviderKind"):
        provider_kind("broken")


def test_an_unknown_provider_names_the_model_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"model 'small': unknown provider 'antropic' \(did you mean 'anthropic'\?\)"):
        with_defaults(make_model(provider="antropic"), AT)


def test_a_request_to_openai_is_written_in_the_format() -> None:
    request = replace(
        REQUEST,
        tools=({"type": "function", "function": {"name": "look"}},),
        response_format={"type": "json_object"},
        params={"seed": 3, "extra_body": {"top_k": 4}, "extra_headers": {"x-a": "b"}},
    )
    http, body = sent(WIRE, request=request, stream=True)
    assert str(http.url) == "http://127.0.0.1:1/v1/chat/completions"
    assert (http.headers["authorization"], http.headers["x-a"]) == ("Bearer sk-secret", "b")
    assert body == {
        "model": "mock-small",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 16,
        "seed": 3,
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "response_format": {"type": "json_object"},
        "top_k": 4,
    }
    assert "stream_options" not in sent(WIRE)[1]


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("openai", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("mistral", {"seed": 1, "max_completion_tokens": 5}, {"random_seed": 1, "max_tokens": 5}),
        ("deepseek", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("qwen", {"enable_thinking": False, "seed": 1}, {"enable_thinking": False, "seed": 1}),
        ("ollama", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        (
            "openrouter",
            {"models": ["a/b"], "provider": {"sort": "price"}},
            {"models": ["a/b"], "usage": {"include": True}},
        ),
        ("vllm", {"guided_choice": ["a"]}, {"guided_choice": ["a"]}),
    ],
)
def test_parameters_take_the_provider_s_name(name: str, params: dict[str, Any], expected: dict[str, Any]) -> None:
    body = sent(wire(name), params=params, base_url=HOME[name][0])[1]
    assert expected.items() <= body.items()


def test_a_server_that_only_speaks_like_openai_gets_the_names_that_were_written() -> None:
    assert sent(wire("openai"), params={"max_tokens": 5, "cache_prompt": False})[1]["max_tokens"] == 5


def test_mistral_is_not_asked_for_the_usage_that_it_tells_anyway() -> None:
    assert "stream_options" not in sent(wire("mistral"), stream=True, base_url=HOME["mistral"][0])[1]


def test_portkey_has_its_key_in_a_header_of_its_own() -> None:
    headers = sent(wire("portkey"), params={"extra_headers": {"x-portkey-provider": "openai"}})[0].headers
    assert (headers["x-portkey-api-key"], headers["x-portkey-provider"]) == ("sk-secret", "openai")
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("openai", {"temprature": 0}, r"openai has no request parameter 'temprature' \(did you mean 'temperature'\?\)"),
        ("openai", {"top_k": 3}, "inside `extra_body`"),
        ("mistral", {"logprobs": True}, "mistral has no request parameter 'logprobs'"),
        ("deepseek", {"seed": 1}, "deepseek has no request parameter 'seed'"),
        ("deepseek", {"response_format": {"type": "json_schema"}}, "deepseek has no JSON schema"),
        ("qwen", {"logit_bias": {}}, "qwen has no request parameter 'logit_bias'"),
        ("vllm", {"max_token": 3}, "did you mean 'max_tokens'"),
        ("openai", {"n": 3}, "use `samples`"),
        ("litellm", {}, "litellm has no address of its own; set `base_url`"),
        ("openai", {"extra_body": {"max_completion_tokens": 9}}, "bounds what a call costs"),
        ("vllm", {"extra_body": [1]}, "`extra_body` is a mapping"),
    ],
)
def test_what_a_provider_lacks_is_an_error_before_anything_is_sent(
    name: str, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        check_requests([make_model(provider=name, params=params)], [])


def test_a_case_s_own_parameters_are_checked_too() -> None:
    case = Request(messages=REQUEST.messages, params={"seed": 1})
    check_requests([make_model(provider="openai")], [REQUEST, case])
    with pytest.raises(ConfigError, match="anthropic has no request parameter 'seed'"):
        check_requests([make_model(provider="anthropic")], [REQUEST, case])


@pytest.mark.parametrize(
    "written",
    [
        {"base_url": "https://me:abc-123@host/v1"},
        {"base_url": "https://host/v1?key=abc-123"},
        {"key_env": "abc-123"},
        {"params": {"api_key": "abc-123"}},
        {"params": {"extra_headers": {"Authorization": "Bearer abc-123"}}},
        {"params": {"extra_headers": {"x-portkey-api-key": "abc-123"}}},
        {"params": {"extra_headers": {"Ocp-Apim-Subscription-Key": "abc-123"}}},
        {"params": {"extra_body": {"provider": [{"auth": "abc-123"}]}}},
    ],
)
def test_a_key_in_a_file_is_an_error_that_does_not_tell_it(written: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="key_env") as caught:
        with_defaults(make_model(**written), AT)
    assert "abc-123" not in str(caught.value)


def test_an_address_without_its_scheme_is_an_error() -> None:
    with pytest.raises(ConfigError, match="http://"):
        with_defaults(make_model(base_url="127.0.0.1:8000/v1"), AT)


def test_usage_of_other_servers() -> None:
    def usage(**raw: Any) -> Any:
        message = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": raw}
        return whole(WIRE, message)

    deepseek = usage(prompt_tokens=9, completion_tokens=2, prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=5)
    assert (deepseek.usage.input_tokens, deepseek.usage.cached_input_tokens) == (9, 4)
    openrouter = usage(prompt_tokens=9, completion_tokens=2, cost=0.0031)
    assert openrouter.reported_cost_usd == 0.0031
    own_key = {"cost": 0.0001, "is_byok": True}
    assert usage(**own_key).reported_cost_usd is None
    assert usage(**own_key, cost_details={"upstream_inference_cost": 0.003}).reported_cost_usd == pytest.approx(0.0031)
    for nonsense in (float("nan"), float("inf"), -1.0, True, "free"):
        assert usage(cost=nonsense).reported_cost_usd is None
    for nonsense in (1e30, -5, float("inf"), True, "9", 0):
        assert usage(prompt_tokens=nonsense).usage.input_tokens is None
    assert usage().usage.input_tokens is None


@pytest.mark.parametrize(
    ("raw", "ours", "kind"),
    [
        ("stop", "stop", None),
        ("eos", "stop", None),
        ("length", "length", None),
        ("model_length", "length", None),
        ("function_call", "tool_calls", None),
        ("something_new", "other", None),
        ("content_filter", None, "content_filter"),
        ("error", None, "server"),
        ("insufficient_system_resource", None, "server"),
    ],
)
def test_finish_reasons(raw: str, ours: str | None, kind: str | None) -> None:
    completion = whole(WIRE, {"choices": [{"message": {"content": "x"}, "finish_reason": raw}]})
    assert (completion.finish_reason, completion.error_kind, completion.raw_finish_reason) == (ours, kind, raw)


def test_contents_of_every_form() -> None:
    def text(message: dict[str, Any]) -> Any:
        return whole(WIRE, {"choices": [{"message": message, "finish_reason": "stop"}]})

    assert text({"content": None}).text == ""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "yes"}]
    assert (text({"content": parts}).text, text({"content": parts}).reasoning) == ("yes", "hm")
    assert text({"content": "x", "reasoning": "y"}).reasoning == "y"
    assert text({"refusal": "I will not"}).error_kind == "content_filter"
    assert text({"content": 7}).error_kind == "malformed"
    assert whole(WIRE, {"error": {"message": "no", "code": 402}}).error_kind == "auth"


def test_a_gateway_s_cost_header_is_read() -> None:
    body = b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "service_tier": "default"}'
    from tests.providers.exchange import play

    headers = {"content-type": "application/json", "x-litellm-response-cost": "1.5e-05", "x-request-id": "r-7"}
    completion, _ = play(wire("litellm"), body, headers=headers)
    assert (completion.reported_cost_usd, completion.request_id, completion.service_tier) == (
        1.5e-05,
        "r-7",
        "standard",
    )
    assert (
        play(wire("litellm"), body, headers={**headers, "x-litellm-response-cost": "None"})[0].reported_cost_usd is None
    )


def test_defaults_come_from_the_provider_and_the_book_and_the_user_s_word_wins() -> None:
    bare = make_model(provider="anthropic", model="claude-sonnet-4-5", price=None, price_source=None)
    model = with_defaults(bare, AT)
    assert (model.key_env, model.context_window) == ("ANTHROPIC_API_KEY", 200_000)
    assert model.price is not None
    assert (model.price.input_usd_per_mtok, model.price.output_usd_per_mtok) == (3.0, 15.0)
    assert model.price_source is not None
    assert model.price_source.startswith("genai-prices ")
    assert model.price_date == AT.date()
    own = with_defaults(replace(bare, price=Price(usd_per_request=1.0), price_source="user", key_env="MINE"), AT)
    assert (own.price, own.price_source, own.key_env) == (Price(usd_per_request=1.0), "user", "MINE")


def test_a_model_elsewhere_has_no_key_and_no_price_unless_its_address_is_in_the_book() -> None:
    local = with_defaults(make_model(base_url="http://127.0.0.1:9/v1", price=None, price_source=None), AT)
    assert (local.key_env, local.price, local.price_source) == (None, None, None)
    groq = make_model(base_url="https://api.groq.com/openai/v1", model="llama-3.1-8b-instant", price=None)
    assert with_defaults(groq, AT).price is not None


def test_qwen_is_priced_by_the_dated_file() -> None:
    model = with_defaults(make_model(provider="qwen", model="qwen3-max", price=None, price_source=None), AT)
    assert model.price is not None
    assert [tier.above_input_tokens for tier in model.price.tiers] == [32_000, 128_000]
    assert (model.price_source, str(model.price_date)) == ("Alibaba Cloud Model Studio, international", "2026-11-24")


def test_the_book_lists_models_by_our_name_of_the_provider_and_by_its_own() -> None:
    ours = priced_models(AT, provider="gemini")
    assert ours
    assert ours == priced_models(AT, provider="google")
    assert {entry.book for entry in priced_models(AT, provider="qwen")} == {"dashscope"}
    with pytest.raises(ConfigError, match="no provider 'opnai'"):
        priced_models(AT, provider="opnai")


def test_secrets_are_found_by_name_and_missing_ones_named_with_their_models() -> None:
    models = [
        make_model("a", key_env="ONE", params={"extra_headers": {"x": "env:TWO"}}),
        make_model("b", key_env="ONE"),
    ]
    assert find_secrets(models, {"ONE": "1", "TWO": "2"}.get) == {"ONE": "1", "TWO": "2"}
    with pytest.raises(ConfigError, match="variable ONE is not set; models a, b need it") as caught:
        find_secrets(models, {}.get)
    assert "TWO" in str(caught.value)
