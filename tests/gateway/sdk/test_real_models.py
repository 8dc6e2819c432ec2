"""The official SDK before a model that really answers: the embedded one, and llama.cpp's own Anthropic route."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from pydantic import BaseModel

from routebench.gateway import Gateway
from routebench.providers.embedded import LlamaServer, find_weights

pytestmark = pytest.mark.embedded

HI: Any = [
    {"role": "developer", "content": "Answer in one word."},
    {"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]},
]
SHORT: Any = {"temperature": 0, "max_completion_tokens": 12}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    folder: Path = tmp_path_factory.mktemp("real")
    server = LlamaServer(find_weights("smollm2-135m"))
    server.wait_ready()
    try:
        with ExitStack() as stack:
            rules = folder / "rules.yaml"
            rules.write_text(
                "schema: routebench/rules/v1\nname: real\nmodels:\n"
                "  inside: {provider: embedded, model: smollm2-135m, price: {cpu_usd_per_hour: 0.05}}\n"
                f'  llama: {{provider: anthropic, base_url: "{server.url}", model: smollm2}}\n'
                f'  chat: {{provider: llamacpp, base_url: "{server.url}", model: smollm2}}\n'
                "default: {route: [inside]}\n"
            )
            gateway = stack.enter_context(Gateway(rules, port=0, traces=folder / "traces", look=lambda _: None))
            yield stack.enter_context(OpenAI(base_url=gateway.url, api_key="unused", max_retries=0, timeout=120))
    finally:
        server.stop()


@pytest.mark.parametrize("model", ["auto", "inside", "llama", "chat"])
def test_whole_and_streamed_answers_are_the_same(client: OpenAI, model: str) -> None:
    whole = client.chat.completions.create(model=model, messages=HI, **SHORT)
    text = whole.choices[0].message.content
    assert text
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 12
    chunks = list(
        client.chat.completions.create(
            model=model, messages=HI, stream=True, stream_options={"include_usage": True}, **SHORT
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == text
    # It comes as it is written, and not at the end.
    assert sum(bool(piece) for piece in pieces) > 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    about: Any = (whole.model_extra or {})["routebench"]
    assert about["model"] == ("inside" if model == "auto" else model)
    # The embedded model costs its processor's time; what a server of one's own costs, nobody has said.
    assert (about["cost_usd"] is None) is (model in ("llama", "chat"))


class Verdict(BaseModel):
    answer: bool


@pytest.mark.parametrize("model", ["inside", "chat"])
def test_a_schema_holds(client: OpenAI, model: str) -> None:
    answer = client.chat.completions.parse(
        model=model, messages=HI, response_format=Verdict, temperature=0, max_completion_tokens=60
    )
    assert isinstance(answer.choices[0].message.parsed, Verdict)


def test_logprobs_of_a_real_model(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=HI, logprobs=True, top_logprobs=2, **SHORT)
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content
    assert all(one.logprob <= 0 and len(one.top_logprobs) == 2 for one in told.content)
    text = answer.choices[0].message.content or ""
    assert "".join(one.token for one in told.content).startswith(text)
