"""Two wire formats against a server that somebody else wrote: llama.cpp's, with a real model behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from routebench.providers import Done, TextDelta, prepare, stream
from routebench.providers.anthropic import AnthropicMessages
from routebench.providers.embedded import LlamaServer, find_weights
from routebench.providers.http import HttpProvider, Wire
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.providers.transport import open_transport
from routebench.types import Completion, Request
from tests.conftest import make_model

pytestmark = pytest.mark.embedded

WIRES: dict[str, Wire] = {"openai": OpenAIChat(Dialect("llamacpp", "")), "anthropic": AnthropicMessages()}
QUESTION = Request(messages=({"role": "user", "content": "What is the capital of France?"},))
SHORT = {"temperature": 0, "max_tokens": 12}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = LlamaServer(find_weights("smollm2-135m"))
    server.wait_ready()
    yield server.url
    server.stop()


def ask(wire: str, url: str, request: Request = QUESTION, **params: Any) -> tuple[Completion, list[Any]]:
    async def once() -> list[Any]:
        provider = HttpProvider(WIRES[wire], open_transport(keep_alive=False))
        call = prepare(make_model(base_url=url, model="smollm2", params={**SHORT, **params}), request, timeout_s=60)
        try:
            return [event async for event in stream(provider, call)]
        finally:
            await provider.aclose()

    *events, last = asyncio.run(once())
    assert isinstance(last, Done)
    return last.completion, events


@pytest.mark.parametrize("wire", WIRES)
def test_streamed_and_whole_answers_are_the_same(wire: str, url: str) -> None:
    streamed, events = ask(wire, url)
    whole, _ = ask(wire, url, stream=False)
    assert streamed.status == whole.status == "ok", (streamed.error, whole.error)
    assert streamed.text == whole.text
    assert streamed.text
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(texts) > 3
    assert "".join(texts) == streamed.text
    for completion in (streamed, whole):
        assert completion.finish_reason == "length"
        assert completion.usage.input_tokens is not None
        assert completion.usage.input_tokens > 10
        assert completion.usage.output_tokens == 12
        assert completion.usage.raw
    assert streamed.ttft_s is not None
    assert streamed.latency_s is not None
    # Eleven tokens come after the first one.
    assert streamed.ttft_s < streamed.latency_s
    assert whole.ttft_s is None


def test_both_formats_give_one_answer(url: str) -> None:
    (one, _), (two, _) = ask("openai", url), ask("anthropic", url)
    assert one.text == two.text
    assert one.usage.input_tokens == two.usage.input_tokens


@pytest.mark.parametrize("wire", WIRES)
def test_a_stop_sequence_ends_the_answer(wire: str, url: str) -> None:
    free, _ = ask(wire, url)
    assert free.text
    stop = free.text.split()[2]
    stopped, _ = ask(wire, url, stop=[stop])
    assert stopped.finish_reason == "stop"
    assert stopped.text is not None
    assert stop not in stopped.text
    assert free.text.startswith(stopped.text)


def test_a_schema_holds_the_answer_and_a_seed_repeats_it(url: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 8}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema}}
    request = Request(messages=QUESTION.messages, response_format=form)
    completion, _ = ask("openai", url, request, max_tokens=40)
    assert "city" in json.loads(completion.text or "")
    first, second = (ask("openai", url, temperature=1.5, seed=7)[0].text for _ in range(2))
    assert first == second


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_prompt_that_does_not_fit_is_a_context_overflow(wire: str, url: str, streamed: bool) -> None:
    long = Request(messages=({"role": "user", "content": "word " * 6000},))
    completion, _ = ask(wire, url, long, stream=streamed)
    assert completion.error_kind == "context_overflow", completion.error
    assert completion.billed_cost_usd == 0.0


def test_a_bad_request_is_told_with_the_server_s_words(url: str) -> None:
    completion, _ = ask("openai", url, Request(messages=({"role": "user", "content": [{"type": "nonsense"}]},)))
    assert completion.error_kind == "bad_request"
    assert "nonsense" in (completion.error or "") or "content" in (completion.error or "")


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_that_takes_too_long_is_given_up(wire: str, url: str) -> None:
    async def once() -> Completion:
        provider = HttpProvider(WIRES[wire], open_transport(keep_alive=False))
        model = make_model(base_url=url, params={"max_tokens": 2000, "temperature": 0})
        try:
            return await provider.complete(prepare(model, QUESTION, timeout_s=0.03))
        finally:
            await provider.aclose()

    completion = asyncio.run(once())
    assert completion.error_kind == "timeout"
    assert completion.text is None
