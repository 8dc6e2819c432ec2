from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from routebench.bench import Bench
from routebench.pricing import price_of_call
from routebench.providers import Done, Event, ReasoningDelta, TextDelta, ToolCallDelta, prepare, provider_kind, stream
from routebench.types import Completion, Model, Price, Request, ToolCall

if TYPE_CHECKING:
    from interop.conftest import Proxy

KEY_ENV = "PROXY_KEY"
HELLO = "Hello from the proxy: Grüße 漢字 😀"
REQUEST = Request(messages=({"role": "user", "content": "hi"},))
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}

ROUTES = ("litellm", "openai", "anthropic", "gemini")
CHAT_ROUTES = ("litellm", "openai")
every_route = pytest.mark.parametrize("route", ROUTES)
chat_route = pytest.mark.parametrize("route", CHAT_ROUTES)
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def base_url(proxy: Proxy, route: str) -> str:
    return f"{proxy.url}/{'v1beta' if route == 'gemini' else 'v1'}"


def served(proxy: Proxy, route: str, model: str, *, streamed: bool, **fields: Any) -> Model:
    params = {"max_tokens": 16, "stream": streamed}
    return Model(
        "m", provider=route, model=model, base_url=base_url(proxy, route), key_env=KEY_ENV, params=params, **fields
    )


def ask(
    proxy: Proxy,
    route: str,
    model: str,
    *,
    streamed: bool = True,
    request: Request = REQUEST,
    key: str | None = None,
) -> Completion:
    async def once() -> Completion:
        provider = provider_kind(route).open({KEY_ENV: key or proxy.key})
        try:
            return await provider.complete(
                prepare(served(proxy, route, model, streamed=streamed), request, timeout_s=30)
            )
        finally:
            await provider.aclose()

    return asyncio.run(once())


def follow(proxy: Proxy, route: str, model: str) -> list[Event]:
    async def all_of_it() -> list[Event]:
        provider = provider_kind(route).open({KEY_ENV: proxy.key})
        call = prepare(served(proxy, route, model, streamed=True), REQUEST, timeout_s=30)
        try:
            return [event async for event in stream(provider, call)]
        finally:
            await provider.aclose()

    return asyncio.run(all_of_it())


# Answers


@every_route
@both_ways
def test_an_answer_comes_through_whole_with_its_characters_usage_and_times(
    proxy: Proxy, route: str, streamed: bool
) -> None:
    completion = ask(proxy, route, "hello", streamed=streamed)
    assert (completion.status, completion.text, completion.finish_reason) == ("ok", HELLO, "stop")
    assert completion.usage.input_tokens
    assert completion.usage.output_tokens
    assert completion.request_id
    assert completion.latency_s
    # LiteLLM's mocks of the messages route are never streamed.
    assert (completion.ttft_s is not None) == (streamed and route != "anthropic")


@every_route
@both_ways
def test_usage_is_told_in_the_same_words_on_every_route(proxy: Proxy, route: str, streamed: bool) -> None:
    usage = ask(proxy, route, "says", streamed=streamed).usage
    assert (usage.input_tokens, usage.output_tokens) == (30, 7)
    # LiteLLM leaves out what its translation has no place for.
    assert usage.cached_input_tokens == (None if route == "gemini" else 20)
    assert usage.reasoning_tokens == (5 if route in CHAT_ROUTES else None)


@every_route
def test_a_streamed_answer_comes_in_pieces_and_its_completion_last(proxy: Proxy, route: str) -> None:
    *pieces, last = follow(proxy, route, "thinks")
    assert isinstance(last, Done)
    completion = last.completion
    assert (completion.status, completion.text) == ("ok", "Hello there")
    texts = [event.text for event in pieces if isinstance(event, TextDelta)]
    assert texts == ["Hello ", "there"]
    thoughts = [event.text for event in pieces if isinstance(event, ReasoningDelta)]
    # LiteLLM drops thoughts when it translates a model that is not Gemini's.
    assert thoughts == ([] if route == "gemini" else ["Hmm."])
    assert completion.reasoning == (None if route == "gemini" else "Hmm.")
    assert completion.ttft_s is not None
    assert completion.latency_s is not None
    assert 0 < completion.ttft_s <= completion.latency_s


@every_route
@both_ways
def test_a_tool_call_comes_through_with_its_arguments(proxy: Proxy, route: str, streamed: bool) -> None:
    completion = ask(proxy, route, "calls", streamed=streamed)
    (call,) = completion.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Rome"})
    assert call.id == (None if route == "gemini" else "call_1")
    assert (completion.text, completion.finish_reason) == ("Let me look.", "tool_calls")


@every_route
def test_the_pieces_of_a_streamed_tool_call_are_those_of_its_completion(proxy: Proxy, route: str) -> None:
    *pieces, last = follow(proxy, route, "calls")
    assert isinstance(last, Done)
    calls = [event for event in pieces if isinstance(event, ToolCallDelta)]
    assert [event.name for event in calls if event.name] == ["weather"]
    assert "".join(event.arguments for event in calls) == last.completion.tool_calls[0].arguments


@chat_route
def test_a_mocked_tool_call_comes_through_whole_though_its_finish_reason_does_not_tell(
    proxy: Proxy, route: str
) -> None:
    completion = ask(proxy, route, "calls-a-tool", streamed=False)
    assert completion.tool_calls == (ToolCall("call_1", "weather", '{"city": "Rome"}'),)
    assert (completion.text, completion.finish_reason) == ("Let me look", "stop")


@every_route
@both_ways
def test_an_answer_that_reached_its_limit_says_so(proxy: Proxy, route: str, streamed: bool) -> None:
    completion = ask(proxy, route, "stops-short", streamed=streamed)
    assert (completion.status, completion.finish_reason) == ("ok", "length")


# Who answered


@both_ways
@pytest.mark.parametrize("route", ["openai", "anthropic"])
def test_without_the_proxys_headers_the_served_model_is_its_alias(proxy: Proxy, route: str, streamed: bool) -> None:
    assert ask(proxy, route, "says", streamed=streamed).served_model == "says"


@both_ways
def test_the_proxys_headers_name_the_model_behind_the_alias(proxy: Proxy, streamed: bool) -> None:
    assert ask(proxy, "litellm", "says", streamed=streamed).served_model == "hosted_vllm/says"


@both_ways
def test_the_gemini_route_does_not_tell_who_answered(proxy: Proxy, streamed: bool) -> None:
    assert ask(proxy, "gemini", "says", streamed=streamed).served_model is None


EASY = "What is the capital of France?"
HARD = (
    "Think step by step and reason through this: design a distributed database algorithm on kubernetes, prove its "
    "complexity, then analyze the architecture and refactor the async function and its class."
)


@both_ways
@pytest.mark.parametrize(("prompt", "who"), [(EASY, "small"), (HARD, "large")], ids=["easy", "hard"])
def test_a_router_of_the_proxy_is_a_model_like_any_other(proxy: Proxy, prompt: str, who: str, streamed: bool) -> None:
    request = Request(messages=({"role": "user", "content": prompt},))
    for model in ("auto", "auto-raw"):
        # The body names the router unless `return_raw_model_name` is set; a header tells who answered in any case.
        completion = ask(proxy, "litellm", model, streamed=streamed, request=request)
        assert (completion.text, completion.served_model) == (f"{who} says", f"openai/{who}-x")


@both_ways
def test_an_answer_of_a_fallback_names_the_model_that_gave_it(proxy: Proxy, streamed: bool) -> None:
    completion = ask(proxy, "litellm", "falls-back", streamed=streamed)
    assert (completion.text, completion.served_model) == (HELLO, "openai/gpt-4o-mini")


# What it cost


@both_ways
def test_the_cost_that_the_proxy_tells_is_the_cost_of_the_call(proxy: Proxy, streamed: bool) -> None:
    completion = ask(proxy, "litellm", "hello", streamed=streamed)
    # Of gpt-4o-mini, which LiteLLM takes for the model: in a header, or in the last event of a stream.
    usage = completion.usage
    expected = (usage.input_tokens * 0.15 + usage.output_tokens * 0.6) / 1e6
    assert completion.reported_cost_usd == pytest.approx(expected)
    cost = price_of_call(completion, served(proxy, "litellm", "hello", streamed=streamed))
    assert (cost.list_usd, cost.billed_usd, cost.source) == (
        completion.reported_cost_usd,
        completion.reported_cost_usd,
        "provider",
    )


@both_ways
def test_the_proxys_own_prices_are_reported_too_and_cached_tokens_are_named(proxy: Proxy, streamed: bool) -> None:
    completion = ask(proxy, "litellm", "priced", streamed=streamed)
    assert completion.reported_cost_usd == pytest.approx((30 * 1 + 7 * 2) / 1e6)
    cost = price_of_call(completion, served(proxy, "litellm", "priced", streamed=streamed))
    assert cost.source == "provider, cache included"


@both_ways
def test_a_price_of_the_user_wins_over_the_report(proxy: Proxy, streamed: bool) -> None:
    completion = ask(proxy, "litellm", "priced", streamed=streamed)
    price = Price(input_usd_per_mtok=10.0, output_usd_per_mtok=20.0)
    model = served(proxy, "litellm", "priced", streamed=streamed, price=price, price_source="user")
    cost = price_of_call(completion, model)
    assert (cost.list_usd, cost.source) == (pytest.approx((30 * 10 + 7 * 20) / 1e6), "user")


@both_ways
def test_a_model_without_a_price_has_an_unknown_cost_and_not_none_of_it(proxy: Proxy, streamed: bool) -> None:
    completion = ask(proxy, "litellm", "unpriced", streamed=streamed)
    assert completion.status == "ok"
    assert completion.reported_cost_usd is None
    assert price_of_call(completion, served(proxy, "litellm", "unpriced", streamed=streamed)).list_usd is None


# What was asked


def conversation() -> Request:
    calls = [{"id": "call_9", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}]
    return Request(
        messages=(
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "And here?"}, IMAGE]},
            {"role": "assistant", "content": "Let me look.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_9", "content": "rain"},
        ),
        tools=(WEATHER,),
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        params={"temperature": 0.5, "top_p": 0.9, "stop": ["END"], "tool_choice": "required", "max_tokens": 9},
    )


@every_route
@both_ways
def test_all_of_a_request_arrives_behind_the_proxy(proxy: Proxy, route: str, streamed: bool) -> None:
    assert ask(proxy, route, "says", streamed=streamed, request=conversation()).status == "ok"
    sent = proxy.upstream.requests[-1]
    system, user, assistant, result = sent["messages"]
    assert (system["role"], system["content"]) == ("system", "Be brief.")
    # LiteLLM's translation from Gemini's format knows an image as `inline_data` alone, and leaves out an `inlineData`.
    asked = "And here?" if route == "gemini" else [{"type": "text", "text": "And here?"}, IMAGE]
    assert user == {"role": "user", "content": asked}
    (call,) = assistant["tool_calls"]
    assert assistant["content"] == "Let me look."
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"city": "Oslo"})
    assert (result["role"], result["tool_call_id"]) == ("tool", call["id"])
    assert result["content"] == ('{"result": "rain"}' if route == "gemini" else "rain")
    assert sent["tools"] == [WEATHER]
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    assert {name: sent[name] for name in ("temperature", "top_p", "stop", "tool_choice", "max_tokens")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "tool_choice": "required",
        "max_tokens": 9,
    }
    assert bool(sent.get("stream")) == streamed


@every_route
def test_our_key_opens_the_proxy_and_goes_no_further(proxy: Proxy, route: str) -> None:
    assert ask(proxy, route, "says").status == "ok"
    headers = {name.lower(): value for name, value in proxy.upstream.headers[-1].items()}
    assert headers["authorization"] == "Bearer upstream-key"
    assert proxy.key not in json.dumps([headers, proxy.upstream.requests[-1]])


# What goes wrong

MOCKED_FAULTS = [
    ("limited", 429, "rate_limited"),
    ("broken", 500, "server"),
    ("too-long", 400, "context_overflow"),
    ("filtered", 400, "content_filter"),
    ("slow", 408, "timeout"),
    ("nobody", 400, "bad_request"),
]
FAULTS = [
    ("refuses-the-key", 401, "auth"),
    ("knows-no-model", 404, "bad_request"),
    ("overflows", 400, "context_overflow"),
    ("asks-to-wait", 429, "rate_limited"),
    ("has-no-money", 429, "auth"),
    ("fails", 500, "server"),
    ("is-overloaded", 503, "server"),
    ("nobody", 400, "bad_request"),
]


@chat_route
@both_ways
@pytest.mark.parametrize(("model", "status", "kind"), MOCKED_FAULTS, ids=[row[0] for row in MOCKED_FAULTS])
def test_a_mocked_fault_of_the_proxy_is_a_typed_error(
    proxy: Proxy, route: str, streamed: bool, model: str, status: int, kind: str
) -> None:
    completion = ask(proxy, route, model, streamed=streamed)
    assert (completion.status, completion.error_kind) == ("error", kind)
    assert completion.error is not None
    assert completion.error.startswith(f"HTTP {status}: ")
    assert completion.request_id


@pytest.mark.parametrize("model", ["limited", "broken", "too-long"])
@both_ways
def test_the_mocked_faults_of_the_messages_route_are_the_same(proxy: Proxy, model: str, streamed: bool) -> None:
    kinds = {name: kind for name, _, kind in MOCKED_FAULTS}
    assert ask(proxy, "anthropic", model, streamed=streamed).error_kind == kinds[model]


@every_route
@both_ways
@pytest.mark.parametrize(("model", "status", "kind"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_behind_the_proxy_is_a_typed_error_on_every_route(
    proxy: Proxy, route: str, streamed: bool, model: str, status: int, kind: str
) -> None:
    completion = ask(proxy, route, model, streamed=streamed)
    assert (completion.status, completion.error_kind) == ("error", kind)
    assert completion.error is not None
    assert completion.error.startswith(f"HTTP {status}: ")
    assert completion.text is None


@every_route
@both_ways
def test_a_filtered_answer_is_an_error_with_its_usage(proxy: Proxy, route: str, streamed: bool) -> None:
    completion = ask(proxy, route, "filters", streamed=streamed)
    assert (completion.status, completion.error_kind) == ("error", "content_filter")
    assert completion.usage.input_tokens == 30


@every_route
def test_a_stream_that_dies_is_an_error_and_not_half_an_answer(proxy: Proxy, route: str) -> None:
    *pieces, last = follow(proxy, route, "dies")
    assert [event.text for event in pieces if isinstance(event, TextDelta)] == ["Hello ", "there "]
    assert isinstance(last, Done)
    assert (last.completion.status, last.completion.error_kind) == ("error", "server")
    assert last.completion.text is None


@every_route
def test_a_wrong_key_is_an_error_of_the_account_and_not_charged(proxy: Proxy, route: str) -> None:
    completion = ask(proxy, route, "hello", key="sk-wrong")
    # What LiteLLM says to a key that is not its master key, where no database knows others.
    assert (completion.error_kind, completion.error) == ("auth", "HTTP 400: No connected db.")
    assert completion.billed_cost_usd == 0.0


@every_route
def test_a_refused_prompt_is_a_filtered_one(proxy: Proxy, route: str) -> None:
    assert ask(proxy, route, "refuses-the-prompt").error_kind == "content_filter"


@every_route
def test_a_limit_that_is_reached_midway_is_one(proxy: Proxy, route: str) -> None:
    assert ask(proxy, route, "is-limited-midway").error_kind == "rate_limited"


# LiteLLM drops the header on the messages route.
@pytest.mark.parametrize("route", [*CHAT_ROUTES, "gemini"])
def test_the_wait_that_a_provider_asks_for_is_kept(proxy: Proxy, route: str) -> None:
    assert ask(proxy, route, "asks-to-wait").retry_after_s == 7.0


def test_what_an_answer_costs_that_came_too_late_is_unknown(proxy: Proxy) -> None:
    assert ask(proxy, "litellm", "slow").billed_cost_usd is None


def test_what_a_stream_costs_that_dies_before_it_was_counted_is_unknown(proxy: Proxy) -> None:
    # Its `message_start` says 0 tokens.
    price = Price(input_usd_per_mtok=1.0, output_usd_per_mtok=2.0)
    model = served(proxy, "anthropic", "dies", streamed=True, price=price, price_source="user")
    assert price_of_call(ask(proxy, "anthropic", "dies"), model).billed_usd is None


# The whole job


def test_a_suite_runs_over_three_routes_and_is_graded_and_priced(proxy: Proxy, tmp_path: Path) -> None:
    price = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0}
    priced: dict[str, dict[str, Any]] = {"litellm": {}, "anthropic": {"price": price}, "gemini": {"price": price}}
    models = [
        {
            "name": route,
            "provider": route,
            "model": "yes",
            "base_url": base_url(proxy, route),
            "key_env": KEY_ENV,
            # The proxy's cost comes in a header here; in a stream it is in the last event.
            "params": {"max_tokens": 16, "stream": route != "litellm"},
            **fields,
        }
        for route, fields in priced.items()
    ]
    cases = [
        {"id": f"c{number}", "prompt": f"Question {number}?", "target": target, "grader": "exact"}
        for number, target in enumerate(["yes", "yes", "yes", "no", "no"])
    ]
    store = str(tmp_path / "bench.duckdb")
    config = tmp_path / "bench.yaml"
    config.write_text(yaml.safe_dump({"suite": "suite.jsonl", "store": store, "models": models}), encoding="utf-8")
    (tmp_path / "suite.jsonl").write_text("\n".join(map(json.dumps, cases)), encoding="utf-8")

    bench = Bench(config, environment={KEY_ENV: proxy.key})
    progress = bench.run().wait(120)
    assert (progress.done, progress.errors_by_kind, progress.n_cost_unknown) == (15, {}, 0)
    assert bench.grade() == 15
    outcomes = bench.sql("SELECT model, status, score FROM outcomes")
    assert list(outcomes["status"]) == ["ok"] * 15
    assert outcomes.groupby("model")["score"].mean().to_dict() == pytest.approx(dict.fromkeys(priced, 0.6))
    costs = bench.sql(
        "SELECT model, price_source, c.cost_usd, reported_cost_usd FROM completions c JOIN cells USING (request_key)"
    )
    sources = costs.groupby("model")["price_source"].unique().map(list).to_dict()
    assert sources == {"litellm": ["provider"], "anthropic": ["user"], "gemini": ["user"]}
    assert (costs["cost_usd"] > 0).all()
    told = costs[costs["model"] == "litellm"]
    assert list(told["cost_usd"]) == list(told["reported_cost_usd"])
