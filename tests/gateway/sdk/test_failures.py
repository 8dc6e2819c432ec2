"""What clients see of upstreams that fail: a typed error before the first token, an explicit one after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from routebench.gateway import Gateway
from tests.gateway.sdk import wires
from tests.upstream import Reply, error, serve

HI: Any = [{"role": "user", "content": "hi"}]


@contextmanager
def before(tmp_path: Path, wire: str, reply: Reply) -> Iterator[OpenAI]:
    """A client of a gateway whose only model answers so."""
    with ExitStack() as stack:
        upstream = stack.enter_context(serve(lambda _body, _number: reply))
        rules = tmp_path / "rules.yaml"
        rules.write_text(
            "schema: routebench/rules/v1\nname: failing\nmodels:\n"
            f'  m: {{provider: {wire}, base_url: "{upstream.url}", model: m, key_env: KEY}}\n'
            "default: {route: [m]}\n"
        )
        config = tmp_path / "gateway.yaml"
        config.write_text("schema: routebench/gateway/v1\nlimits: {retries: 0}\n")
        look = {"KEY": "sk-secret-key"}.get
        gateway = stack.enter_context(Gateway(rules, config=config, port=0, traces=tmp_path / "traces", look=look))
        yield stack.enter_context(OpenAI(base_url=gateway.url, api_key="unused", max_retries=0, timeout=20))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("reply", "raised", "code"),
    [
        (error(400, "bad temperature"), openai.BadRequestError, "bad_request"),
        (error(400, "maximum context length is 8 tokens"), openai.BadRequestError, "context_length_exceeded"),
        (error(401, "sk-secret-key is wrong"), openai.InternalServerError, "provider_refused_key"),
        (error(429, "slow down", **{"retry-after": "7"}), openai.RateLimitError, "rate_limit_exceeded"),
        (error(500, "oops"), openai.InternalServerError, "provider_failed"),
        (Reply([b"<html>"], headers={"content-type": "text/html"}), openai.InternalServerError, "provider_malformed"),
        (Reply([], cut=True), openai.InternalServerError, "provider_unreachable"),
    ],
)
def test_before_the_first_token_a_failure_is_a_status(
    tmp_path: Path, reply: Reply, raised: type[openai.APIStatusError], code: str, *, streamed: bool
) -> None:
    with before(tmp_path, "openai", reply) as client, pytest.raises(raised) as caught:
        client.chat.completions.create(model="auto", messages=HI, stream=streamed)
    assert caught.value.code == code
    assert "sk-secret-key" not in caught.value.response.text
    assert "127.0.0.1" not in caught.value.response.text
    if code == "rate_limit_exceeded":
        assert caught.value.response.headers["retry-after"] == "7"
    if code == "provider_refused_key":
        assert caught.value.response.headers["x-should-retry"] == "false"


def cut(wire: str) -> Reply:
    """The upstream's stream without its last events."""
    body: dict[str, Any] = {"messages": HI, "contents": HI, "stream": True}
    whole = getattr(wires, wire)(body, 1)
    return Reply(whole.pieces[:-2] if wire != "gemini" else whole.pieces[:-1], cut=True)


@pytest.mark.parametrize("wire", ["openai", "anthropic", "gemini"])
def test_after_the_first_token_it_is_an_error_in_the_stream_and_no_clean_stop(tmp_path: Path, wire: str) -> None:
    with before(tmp_path, wire, cut(wire)) as client:
        said = []
        with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - it is raised by the stream
            for chunk in client.chat.completions.create(model="auto", messages=HI, stream=True):
                said.append(chunk.choices[0].delta.content or "")
                assert chunk.choices[0].finish_reason is None
        assert said
        assert caught.value.code == "incomplete"
        raw = httpx.post(
            f"{client.base_url}chat/completions", json={"model": "auto", "messages": HI, "stream": True}, timeout=20
        )
    assert raw.status_code == 200
    assert "[DONE]" not in raw.text
    assert '"finish_reason":"' not in raw.text
    assert json.loads(raw.text.rstrip().rpartition("data: ")[2])["error"]["code"] == "incomplete"


def test_an_error_event_inside_an_answer_ends_it_too(tmp_path: Path) -> None:
    reply = wires.events(
        {"choices": [{"index": 0, "delta": {"content": "Hal"}}]}, {"error": {"message": "overloaded", "code": 503}}
    )
    with before(tmp_path, "openai", reply) as client, pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(model="auto", messages=HI, stream=True))
    assert caught.value.code == "server"


def test_a_refused_answer_is_no_answer(tmp_path: Path) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    reply = wires.document({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    with before(tmp_path, "openai", reply) as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="auto", messages=HI)
    assert caught.value.code == "content_filter"
