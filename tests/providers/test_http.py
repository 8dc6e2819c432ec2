"""What goes out and what comes in as JSON, to the letter or nearly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from routebench.providers import Call, Done, TextDelta, prepare, render
from routebench.providers.http import HttpProvider
from routebench.providers.openai import Dialect, OpenAIChat
from routebench.types import Completion
from tests.conftest import make_model
from tests.providers.exchange import REQUEST

WIRE = OpenAIChat(Dialect("test", "http://127.0.0.1:9/v1"))
JSON = {"content-type": "application/json"}
TOO_LONG = 2**80


def ask(params: Mapping[str, Any], answer: bytes) -> tuple[Completion, list[bytes]]:
    sent: list[bytes] = []

    def reply(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(200, headers=JSON, content=answer)

    async def main() -> Completion:
        provider = HttpProvider(WIRE, httpx.MockTransport(reply))
        request = replace(REQUEST, params={"stream": False, **params})
        # As the gateway makes it, without a key for a store: that names no text with half a character.
        model = make_model()
        return await provider.complete(Call(model, render(model, request), 0, 5.0, ""))

    return asyncio.run(main()), sent


def answer(content: str, **more: str) -> bytes:
    usage = "".join(f', "{name}": {value}' for name, value in more.items())
    said = f'{{"index": 0, "message": {{"content": {content}}}, "finish_reason": "stop"}}'
    return f'{{"choices": [{said}], "usage": {{"prompt_tokens": 3{usage}}}}}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, {"deep": float("-inf")}], "half of \ud83d"])
def test_what_is_no_json_is_not_sent(value: Any) -> None:
    completion, sent = ask({"extra_body": {"odd": value}}, answer('"hi"'))
    assert (completion.error_kind, sent) == ("bad_request", [])


@pytest.mark.parametrize("value", [TOO_LONG, None, {1: "a name that is a number"}, "漢字 😀"])
def test_what_is_json_is_sent_as_it_is(value: Any) -> None:
    completion, sent = ask({"extra_body": {"odd": value}}, answer('"hi"'))
    assert completion.status == "ok"
    assert json.loads(sent[0])["odd"] == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("content", "usage", "text"),
    [
        ('"hi"', {"completion_tokens": "NaN"}, "hi"),
        (r'"half of \ud83d"', {}, "half of \ud83d"),
        ('"hi"', {"completion_tokens": str(TOO_LONG)}, "hi"),
    ],
)
def test_what_is_nearly_json_is_read(content: str, usage: Mapping[str, str], text: str) -> None:
    completion, _ = ask({}, answer(content, **usage))
    assert (completion.status, completion.text, completion.usage.output_tokens) == ("ok", text, None)


def test_a_listener_who_leaves_ends_the_exchange() -> None:
    closed: list[bool] = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                yield b'data: {"choices": [{"index": 0, "delta": {"content": "on and on "}}]}\n\n'
                await asyncio.sleep(0)

        async def aclose(self) -> None:
            closed.append(True)

    async def main() -> None:
        headers = {"content-type": "text/event-stream"}
        provider = HttpProvider(
            WIRE, httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=Endless()))
        )
        events = provider.stream(prepare(make_model(), REQUEST))
        assert await anext(events) == TextDelta("on and on ")
        await events.aclose()

    asyncio.run(main())
    assert closed == [True]


def test_a_listener_who_is_slow_has_the_pieces_and_then_the_end_of_time() -> None:
    class Silent(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b'data: {"choices": [{"index": 0, "delta": {"content": "one"}}]}\n\n'
            await asyncio.Event().wait()

    async def main() -> list[Any]:
        headers = {"content-type": "text/event-stream"}
        provider = HttpProvider(
            WIRE, httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=Silent()))
        )
        heard: list[Any] = []
        async for event in provider.stream(prepare(make_model(), REQUEST, timeout_s=0.01)):
            heard.append(event)
            if event == TextDelta("one"):
                # The deadline passes meanwhile, and must not end what the listener does.
                over = asyncio.Event()
                asyncio.get_running_loop().call_later(0.02, over.set)
                await over.wait()
        return heard

    first, last = asyncio.run(main())
    assert first == TextDelta("one")
    assert isinstance(last, Done)
    assert (last.completion.error_kind, last.completion.ttft_s is not None) == ("timeout", True)
