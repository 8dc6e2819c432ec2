"""The official SDK, with nothing changed but `base_url`, before upstreams of three wire formats."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.gateway.sdk import wires
from tests.gateway.sdk.conftest import WIRES, Running

HI: Any = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}]
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": "Does.", "parameters": {"type": "object", "properties": {}}}}
    for name in ("look", "leap")
]  # fmt: skip
THINK: Any = [{"role": "user", "content": "think first"}]
# Anthropic tells of thoughts in no count of their own.
REASONING = {"openai": 7, "anthropic": None, "gemini": 7}

pytestmark = pytest.mark.parametrize("wire", WIRES)


def test_an_answer(client: OpenAI, running: Running, wire: str) -> None:
    answer = client.chat.completions.create(model=wire, messages=HI, temperature=0.5, max_tokens=9, user="u1")
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason, answer.model) == (wires.TEXT, "stop", wire)
    usage = answer.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (30, 12, 42)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 20
    told = usage.completion_tokens_details
    assert (None if told is None else told.reasoning_tokens) == REASONING[wire]
    about: Any = (answer.model_extra or {})["routebench"]
    assert about["model"] == wire
    assert about["cost_usd"] == pytest.approx((30 * 1 + 12 * 2) / 1e6)
    assert answer.id == about["trace_id"]
    headers = running.upstreams[wire].headers[-1]
    assert f"sk-{wire}-key" in json.dumps(headers)
    assert "unused" not in json.dumps(headers)


def test_a_stream(client: OpenAI, wire: str) -> None:
    stream = client.chat.completions.create(
        model=wire, messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == wires.TEXT
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 42
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_without_usage(client: OpenAI, wire: str) -> None:
    chunks = list(client.chat.completions.create(model=wire, messages=HI, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_thoughts_are_kept_apart(client: OpenAI, wire: str) -> None:
    answer = client.chat.completions.create(model=wire, messages=THINK)
    assert (answer.choices[0].message.model_extra or {})["reasoning_content"] == wires.THOUGHT
    assert answer.choices[0].message.content == wires.TEXT
    chunks = list(client.chat.completions.create(model=wire, messages=THINK, stream=True))
    thoughts = [(chunk.choices[0].delta.model_extra or {}).get("reasoning_content") for chunk in chunks]
    assert "".join(one or "" for one in thoughts) == wires.THOUGHT


def test_tools_to_the_end(client: OpenAI, running: Running, wire: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "look and leap"}]
    first = client.chat.completions.create(model=wire, messages=messages, tools=TOOLS, tool_choice="auto")
    choice = first.choices[0]
    assert choice.finish_reason == "tool_calls"
    calls: list[Any] = list(choice.message.tool_calls or ())
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("look", {"where": "here"}),
        ("leap", {}),
    ]
    assert len({call.id for call in calls}) == 2
    # As people write it: the message goes back as it came, with everything that the client made of it.
    messages.append(choice.message.model_dump())
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} done"} for call in calls]
    last = client.chat.completions.create(model=wire, messages=messages, tools=TOOLS)
    assert last.choices[0].message.content == wires.TEXT
    sent = json.dumps(running.upstreams[wire].requests[-1])
    assert "look done" in sent
    assert "leap done" in sent
    assert ("skip_thought_signature_validator" in sent) is (wire == "gemini")


def test_tools_in_a_stream(client: OpenAI, wire: str) -> None:
    calls: dict[int, dict[str, str]] = {}
    finish = None
    for chunk in client.chat.completions.create(model=wire, messages=HI, tools=TOOLS, stream=True):
        finish = chunk.choices[0].finish_reason or finish
        for call in chunk.choices[0].delta.tool_calls or ():
            told = calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
            told["id"] += call.id or ""
            assert call.function is not None
            told["name"] += call.function.name or ""
            told["arguments"] += call.function.arguments or ""
    assert finish == "tool_calls"
    assert sorted(calls) == [0, 1]
    assert [(one["name"], json.loads(one["arguments"])) for one in calls.values()] == [
        ("look", {"where": "here"}),
        ("leap", {}),
    ]
    assert all(one["id"] for one in calls.values())


def test_the_clients_own_gathering_of_a_stream(client: OpenAI, wire: str) -> None:
    with client.chat.completions.stream(model=wire, messages=HI, tools=TOOLS) as stream:
        kinds = {event.type for event in stream}
        last = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    assert [call.function.name for call in last.choices[0].message.tool_calls or ()] == ["look", "leap"]


def test_a_conversation_moves_from_one_provider_to_the_next(client: OpenAI, running: Running, wire: str) -> None:
    other = WIRES[(WIRES.index(wire) + 1) % len(WIRES)]
    messages: list[Any] = [{"role": "user", "content": "think, look and leap"}]
    first = client.chat.completions.create(model=wire, messages=messages, tools=TOOLS).choices[0].message
    calls: list[Any] = list(first.tool_calls or ())
    messages.append(first.model_dump())
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} done"} for call in calls]
    last = client.chat.completions.create(model=other, messages=messages, tools=TOOLS)
    assert last.choices[0].message.content == wires.TEXT
    sent = json.dumps(running.upstreams[other].requests[-1])
    # Thoughts of one model are not another one's; its calls and their results are.
    assert (wires.THOUGHT in sent) is (other == "openai")
    assert all(f"{call.function.name} done" in sent for call in calls)
    assert other == "gemini" or all(call.id in sent for call in calls)


class Weather(BaseModel):
    city: str
    degrees: int


def test_an_answer_in_a_schema(client: OpenAI, wire: str) -> None:
    answer = client.chat.completions.parse(model=wire, messages=HI, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Bern", degrees=21)
    with client.chat.completions.stream(model=wire, messages=HI, response_format=Weather) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.parsed == Weather(city="Bern", degrees=21)


def test_many_at_once(running: Running, wire: str) -> None:
    async def ask() -> None:
        async with AsyncOpenAI(base_url=running.url, api_key="unused", max_retries=0) as client:
            answers = await asyncio.gather(
                *(client.chat.completions.create(model=wire, messages=HI) for _ in range(20))
            )
            assert {answer.choices[0].message.content for answer in answers} == {wires.TEXT}
            pieces = [
                chunk.choices[0].delta.content or ""
                async for chunk in await client.chat.completions.create(model=wire, messages=HI, stream=True)
            ]
            assert "".join(pieces) == wires.TEXT

    asyncio.run(ask())


def test_the_rules_decide_where_no_model_is_named(client: OpenAI, wire: str) -> None:
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "openai": ("hi", {}),
        "anthropic": ("hi claude", {}),
        "gemini": ("hi", {"routebench": {"tags": ["google"]}}),
    }
    text, extra = ways[wire]
    messages: Any = [{"role": "user", "content": text}]
    raw = client.chat.completions.with_raw_response.create(model="routebench/auto", messages=messages, extra_body=extra)
    assert raw.parse().model == wire
    assert raw.headers["x-routebench-model"] == wire
    assert raw.headers["x-routebench-rule"] == {"openai": "default", "anthropic": "claude", "gemini": "tagged"}[wire]


def test_metadata_is_for_the_rules_and_goes_no_further(client: OpenAI, running: Running, wire: str) -> None:
    tier = {"openai": "none", "anthropic": "none", "gemini": "gold"}[wire]
    asked: Any = {"model": wire, "messages": HI} if wire == "anthropic" else {"model": "auto", "messages": HI}
    answer = client.chat.completions.create(**asked, metadata={"tier": tier})
    assert answer.model == wire
    assert "tier" not in json.dumps(running.upstreams[wire].requests[-1])


def test_what_a_model_lacks_is_a_clear_error(client: OpenAI, running: Running, wire: str) -> None:
    asked = len(running.upstreams[wire].requests)
    lacking: dict[str, Any] = {"openai": {"n": 2}, "anthropic": {"seed": 1}, "gemini": {"logit_bias": {"5": 1}}}[wire]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=wire, messages=HI, **lacking)
    name = next(iter(lacking))
    assert name in caught.value.message
    assert "extra_body" not in caught.value.message
    assert len(running.upstreams[wire].requests) == asked


def test_a_model_that_lacks_something_is_passed_over(client: OpenAI, running: Running, wire: str) -> None:
    asked = len(running.upstreams["gemini"].requests)
    lacking: dict[str, Any] = {"openai": {"logit_bias": {"5": 1}}, "anthropic": {"store": True}, "gemini": {"top_k": 3}}
    answer = client.chat.completions.create(
        model="auto", messages=HI, extra_body={"routebench": {"metadata": {"tier": "gold"}}, **lacking[wire]}
    )
    # The chain is [gemini, openai]; gemini has `top_k`, and neither of the others.
    assert answer.model == ("gemini" if wire == "gemini" else "openai")
    about: Any = (answer.model_extra or {})["routebench"]
    assert [one["verdict"] for one in about["attempts"]] == (
        ["accepted"] if wire == "gemini" else ["failed", "accepted"]
    )
    assert len(running.upstreams["gemini"].requests) == asked + (wire == "gemini")
    assert about["cost_usd"] == pytest.approx(54e-6)


def test_a_name_that_is_no_model(client: OpenAI, wire: str) -> None:
    with pytest.raises(openai.NotFoundError, match=wire):
        client.chat.completions.create(model=f"{wire}-large", messages=HI)


def test_models_are_listed(client: OpenAI, wire: str) -> None:
    names = [model.id for model in client.models.list()]
    assert names == ["routebench/auto", *WIRES]
    assert client.models.retrieve(wire).id == wire


def test_logprobs(client: OpenAI, wire: str) -> None:
    if wire != "openai":
        with pytest.raises(openai.BadRequestError, match="logprobs"):
            client.chat.completions.create(model="anthropic", messages=HI, logprobs=True, top_logprobs=2)
        return
    answer = client.chat.completions.create(model=wire, messages=HI, logprobs=True)
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert (told.content[0].token, told.content[0].logprob) == ("G", -0.5)
    chunks = list(client.chat.completions.create(model=wire, messages=HI, logprobs=True, stream=True))
    assert sum(len(one.choices[0].logprobs.content or ()) for one in chunks if one.choices[0].logprobs) == len(
        wires.PIECES
    )
