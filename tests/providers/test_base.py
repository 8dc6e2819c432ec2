from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.providers import (
    Call,
    Done,
    Event,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    model_key,
    prepare,
    stream,
)
from routebench.providers.base import render
from routebench.types import Completion, Price, Request, ToolCall
from tests.conftest import make_model

REQUEST = Request(messages=({"role": "user", "content": "hi"},))


def test_rendering_puts_system_then_demonstrations_then_the_case() -> None:
    shots = ({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})
    rendered = render(make_model(system="Be brief.", few_shot=shots), REQUEST)
    assert [message["content"] for message in rendered.messages] == ["Be brief.", "q", "a", "hi"]


def test_a_request_wins_over_the_model() -> None:
    request = Request(
        messages=({"role": "system", "content": "Mine"}, *REQUEST.messages),
        params={"max_tokens": 99},
        response_format={"type": "json_object"},
    )
    model = make_model(system="Yours", params={"max_tokens": 5, "response_format": {"type": "text"}})
    rendered = render(model, request)
    assert rendered.messages[0]["content"] == "Mine"
    assert rendered.params == {"max_tokens": 99}
    assert rendered.response_format == {"type": "json_object"}


@pytest.mark.parametrize("own", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("asked", ["max_tokens", "max_completion_tokens"])
def test_a_ceiling_has_two_names_and_the_requests_one_stands(own: str, asked: str) -> None:
    model = make_model(params={own: 5, "top_p": 1})
    assert render(model, replace(REQUEST, params={asked: 99})).params == {asked: 99, "top_p": 1}
    assert render(model, replace(REQUEST, params={"seed": 1})).params == {own: 5, "top_p": 1, "seed": 1}


def test_a_provider_that_cannot_stream_gives_a_piece_of_each_kind() -> None:
    whole = Completion(
        "ok", text="Hi", reasoning="Hm.", tool_calls=(ToolCall("a", "look", "{}"), ToolCall(None, "leap", ""))
    )

    class Whole:
        async def complete(self, _call: Call) -> Completion:
            return whole

        async def aclose(self) -> None:
            """Nothing to free."""

    async def once() -> list[Event]:
        return [event async for event in stream(Whole(), prepare(make_model(), REQUEST))]

    assert asyncio.run(once()) == [
        ReasoningDelta("Hm."),
        TextDelta("Hi"),
        ToolCallDelta(0, "a", "look", "{}"),
        ToolCallDelta(1, None, "leap", ""),
        Done(whole),
    ]


def test_the_key_ignores_what_cannot_change_an_answer() -> None:
    model = make_model()
    same = replace(model, name="other", price=Price(usd_per_request=1.0), key_env="K", region="eu")
    assert prepare(model, REQUEST).key == prepare(same, REQUEST, timeout_s=1).key
    assert model_key(model) == model_key(same)


def test_the_key_sees_what_can() -> None:
    model = make_model()
    keys = {
        prepare(model, REQUEST).key,
        prepare(model, REQUEST, sample=1).key,
        prepare(replace(model, model="x"), REQUEST).key,
        prepare(replace(model, provider="embedded"), REQUEST).key,
        prepare(replace(model, system="s"), REQUEST).key,
        prepare(replace(model, base_url="http://127.0.0.1:1"), REQUEST).key,
        prepare(model, replace(REQUEST, tools=({"type": "function"},))).key,
        prepare(model, replace(REQUEST, response_format={"type": "json_object"})).key,
        prepare(model, replace(REQUEST, params={"seed": 1})).key,
    }
    assert len(keys) == 9


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
def test_the_key_does_not_depend_on_the_order_of_parameters(params: dict[str, int]) -> None:
    reverse = dict(reversed(params.items()))
    model = make_model()
    assert prepare(model, replace(REQUEST, params=params)).key == prepare(model, replace(REQUEST, params=reverse)).key
