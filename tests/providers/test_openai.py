from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from routebench.providers import prepare
from routebench.providers.http import HttpProvider
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.providers.transport import open_transport
from routebench.types import Completion, Request
from tests.conftest import make_model
from tests.upstream import Reply, chat_stream, error, serve

REQUEST = Request(messages=({"role": "user", "content": "hi"},))


def ask(reply: Reply, **model: Any) -> tuple[Completion, dict[str, Any]]:
    with serve(lambda _body, _n: reply) as upstream:
        completion = send(upstream.url, **model)
        return completion, upstream.requests[0]


def send(url: str, *, timeout_s: float = 5.0, keys: dict[str, str] | None = None, **model: Any) -> Completion:
    async def once() -> Completion:
        provider = HttpProvider(OpenAIChat(Dialect("test", "")), open_transport(), keys)
        call = prepare(make_model(base_url=url, **model), REQUEST, timeout_s=timeout_s)
        try:
            return await provider.complete(call)
        finally:
            await provider.aclose()

    return asyncio.run(once())


def test_a_streamed_answer_has_text_usage_times_and_model() -> None:
    usage = {
        "prompt_tokens": 30,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    completion, sent = ask(chat_stream("Hello there", usage=usage))
    assert (completion.status, completion.text, completion.finish_reason) == ("ok", "Hello there ", "stop")
    assert completion.served_model == "served-model"
    assert (completion.usage.input_tokens, completion.usage.cached_input_tokens) == (30, 20)
    assert (completion.usage.output_tokens, completion.usage.reasoning_tokens) == (7, 5)
    assert completion.usage.raw == usage
    assert completion.ttft_s is not None
    assert completion.latency_s is not None
    assert 0 < completion.ttft_s <= completion.latency_s
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["max_tokens"] == 16


def test_a_server_that_does_not_stream_is_read_and_its_first_token_time_stays_unknown() -> None:
    body = {"choices": [{"message": {"content": "whole"}, "finish_reason": "length"}], "usage": {"prompt_tokens": 1}}
    completion, _ = ask(Reply([json.dumps(body).encode()], headers={"content-type": "application/json"}))
    assert (completion.text, completion.finish_reason, completion.ttft_s) == ("whole", "length", None)
    assert completion.usage.output_tokens is None


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunk_borders_inside_events_and_characters_change_nothing(size: int) -> None:
    whole = b": a comment\r\n\r\n" + b"".join(chat_stream("Grüße 漢字 😀").pieces).replace(b"\n", b"\r\n")
    completion, _ = ask(Reply([whole[i : i + size] for i in range(0, len(whole), size)]))
    assert completion.text == "Grüße 漢字 😀 "


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (error(429, "slow down", **{"retry-after": "3"}), "rate_limited", "slow down"),
        (error(401, "bad key"), "auth", "bad key"),
        (error(500, "oops"), "server", "HTTP 500"),
        (error(529, "overloaded"), "server", "overloaded"),
        (error(404, "no such model"), "bad_request", "no such model"),
        (error(400, "maximum context length is 8 tokens"), "context_overflow", "context"),
        (error(400, "blocked by content_filter"), "content_filter", "content_filter"),
        (Reply([b"<html>gateway</html>"], status=502, headers={"content-type": "text/html"}), "server", "gateway"),
        (Reply([b"<html>hello</html>"], headers={"content-type": "text/html"}), "malformed", "JSON"),
        (Reply([b"{}"], headers={"content-type": "application/json"}), "malformed", "choices"),
        (Reply([b"data: {broken\n\n"]), "malformed", "JSON"),
        (Reply([b'data: {"error": {"message": "died"}}\n\n']), "server", "died"),
        (chat_stream("half", done=False), "incomplete", "terminal"),
        (chat_stream("x", finish="content_filter"), "content_filter", "filtered"),
        (Reply(chat_stream("half").pieces[:1], cut=True), "incomplete", "broke off"),
    ],
)
def test_every_fault_is_a_typed_error(reply: Reply, kind: str, words: str) -> None:
    completion, _ = ask(reply)
    assert (completion.status, completion.error_kind) == ("error", kind)
    assert words in (completion.error or "")
    assert completion.text is None


def test_retry_after_is_kept() -> None:
    completion, _ = ask(error(429, "slow down", **{"retry-after": "3"}))
    assert completion.retry_after_s == 3.0


def test_nobody_listening_is_a_connection_error() -> None:
    completion = send("http://127.0.0.1:9/v1")
    assert completion.error_kind == "connection"


def test_the_key_goes_into_the_header_and_nowhere_else() -> None:
    with serve(lambda _body, _n: chat_stream("ok")) as upstream:
        send(upstream.url, key_env="SOME_KEY", keys={"SOME_KEY": "sk-secret-value"})
        assert upstream.headers[0]["authorization"] == "Bearer sk-secret-value"
        assert "sk-secret-value" not in json.dumps(upstream.requests)
