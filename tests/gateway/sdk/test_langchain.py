"""LangChain's ChatOpenAI, with nothing changed but `base_url`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.gateway.sdk import wires
from tests.gateway.sdk.conftest import WIRES, Running

pytestmark = pytest.mark.parametrize("wire", WIRES)


@pytest.fixture
def chat(running: Running, wire: str) -> Iterator[Callable[..., ChatOpenAI]]:
    with httpx.Client(timeout=20) as client:

        def made(**options: Any) -> ChatOpenAI:
            return ChatOpenAI(
                base_url=running.url,
                api_key=SecretStr("unused"),
                model=wire,
                max_retries=0,
                use_responses_api=False,
                http_client=client,
                **options,
            )

        yield made


@tool
def look(where: str) -> str:
    """Looks around."""
    return f"seen {where}"


class Weather(BaseModel):
    """The weather of a place."""

    city: str
    degrees: int


def test_invoke(chat: Callable[..., ChatOpenAI]) -> None:
    answer = chat(temperature=0.2, max_tokens=50).invoke([SystemMessage("Be kind."), HumanMessage("hi")])
    assert isinstance(answer, AIMessage)
    assert answer.content == wires.TEXT
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (30, 12)


def test_stream(chat: Callable[..., ChatOpenAI]) -> None:
    pieces = list(chat(stream_usage=True).stream("hi"))
    assert "".join(str(piece.content) for piece in pieces) == wires.TEXT
    told = [piece.usage_metadata for piece in pieces if piece.usage_metadata]
    assert [one["total_tokens"] for one in told] == [42]


def test_many_at_once(chat: Callable[..., ChatOpenAI]) -> None:
    async def ask() -> list[Any]:
        async with httpx.AsyncClient(timeout=20) as client:
            model = chat(http_async_client=client)
            return list(await asyncio.gather(*(model.ainvoke("hi") for _ in range(5))))

    assert [answer.content for answer in asyncio.run(ask())] == [wires.TEXT] * 5


def test_tools(chat: Callable[..., ChatOpenAI]) -> None:
    model = chat().bind_tools([look])
    messages: list[Any] = [HumanMessage("look")]
    first = model.invoke(messages)
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [("look", {"where": "here"}), ("leap", {})]
    messages += [first, *(ToolMessage("done", tool_call_id=call["id"]) for call in first.tool_calls)]
    assert model.invoke(messages).content == wires.TEXT
    gathered: Any = None
    for piece in model.stream("look"):
        gathered = piece if gathered is None else gathered + piece
    assert [(call["name"], call["args"]) for call in gathered.tool_calls] == [("look", {"where": "here"}), ("leap", {})]


def test_structured_output(chat: Callable[..., ChatOpenAI]) -> None:
    model: Any = chat().with_structured_output(Weather, method="json_schema")
    assert model.invoke("the weather of Bern?") == Weather(city="Bern", degrees=21)
