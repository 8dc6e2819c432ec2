"""OpenAI chat completions, and every server that speaks them; streamed, so that the time to first token is real."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from routebench.providers.base import Call, failed, now
from routebench.providers.http import error_message, from_exception, from_status
from routebench.types import Completion, Request, Usage

OPENAI_URL = "https://api.openai.com/v1"

_FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class OpenAIChat:
    """Adapter for `POST {base_url}/chat/completions`.

    Args:
        client: sends the requests; a test injects one with `httpx.MockTransport`.
        keys: environment variable name -> secret value.
    """

    max_concurrency: int | None = None

    def __init__(self, client: httpx.AsyncClient, keys: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._keys = dict(keys or {})

    async def complete(self, call: Call) -> Completion:
        """Sends one attempt; times are taken around the HTTP exchange alone."""
        model = call.model
        headers = {"accept": "text/event-stream"}
        if model.key_env is not None:
            headers["authorization"] = f"Bearer {self._keys[model.key_env]}"
        url = f"{(model.base_url or OPENAI_URL).rstrip('/')}/chat/completions"
        started_at, start = now(), time.perf_counter()
        answer = _Answer()
        try:
            async with self._client.stream(
                "POST", url, json=_body(call), headers=headers, timeout=call.timeout_s
            ) as response:
                if response.status_code >= 400:
                    return from_status(response, (await response.aread()).decode(errors="replace"))
                if "text/event-stream" in response.headers.get("content-type", ""):
                    async for event in _events(response):
                        answer.add(event, time.perf_counter() - start)
                        if answer.done:
                            break
                else:
                    answer.add_whole(json.loads(await response.aread()))
        except httpx.HTTPError as error:
            if answer.started and not isinstance(error, httpx.TimeoutException):
                return failed("incomplete", f"the stream broke off: {type(error).__name__}", started_at=started_at)
            return from_exception(error, call.timeout_s)
        except ValueError as error:
            return failed("malformed", f"not the JSON of a chat completion: {error}", started_at=started_at)
        return answer.completion(latency_s=time.perf_counter() - start, started_at=started_at)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


def _body(call: Call) -> dict[str, Any]:
    request: Request = call.request
    body: dict[str, Any] = {
        "model": call.model.model,
        "messages": [dict(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **request.params,
    }
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    return body


async def _events(response: httpx.Response) -> AsyncIterator[Any]:
    """Yields the JSON of each server-sent event, and None for the terminal `[DONE]`."""
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        yield None if data == "[DONE]" else json.loads(data)


@dataclass
class _Answer:
    """What has arrived of one answer."""

    text: list[str] = field(default_factory=list)
    finish: str | None = None
    usage: Usage = field(default_factory=Usage)
    served_model: str | None = None
    ttft_s: float | None = None
    done: bool = False
    error: str | None = None

    @property
    def started(self) -> bool:
        return self.ttft_s is not None

    def add(self, event: Any, elapsed_s: float) -> None:
        if event is None:
            self.done = True
            return
        if not isinstance(event, dict):
            raise ValueError(f"an event is a JSON object, got {type(event).__name__}")
        if event.get("error"):
            self.error, self.done = error_message(json.dumps(event)), True
            return
        self.served_model = event.get("model") or self.served_model
        if event.get("usage"):
            self.usage = _usage(event["usage"])
        for choice in event.get("choices") or ():
            piece = (choice.get("delta") or {}).get("content")
            if piece:
                self.text.append(piece)
                if self.ttft_s is None:
                    self.ttft_s = elapsed_s
            self.finish = choice.get("finish_reason") or self.finish

    def add_whole(self, document: Any) -> None:
        """Takes an answer from a server that does not stream; its time to first token stays unknown."""
        choices = document.get("choices") if isinstance(document, dict) else None
        if not choices:
            raise ValueError("no `choices` in the answer")
        self.text.append((choices[0].get("message") or {}).get("content") or "")
        self.finish = choices[0].get("finish_reason")
        self.served_model = document.get("model")
        self.usage = _usage(document.get("usage") or {})
        self.done = True

    def completion(self, **times: Any) -> Completion:
        known: dict[str, Any] = {"usage": self.usage, "served_model": self.served_model, **times}
        if self.error is not None:
            return failed("server", f"error event inside the stream: {self.error}", **known)
        if not self.done or self.finish is None:
            return failed("incomplete", "the stream ended before its terminal event", **known)
        if self.finish == "content_filter":
            return failed("content_filter", "the provider filtered the answer", raw_finish_reason=self.finish, **known)
        return Completion(
            status="ok",
            text="".join(self.text),
            finish_reason=_FINISH.get(self.finish, "other"),
            raw_finish_reason=self.finish,
            ttft_s=self.ttft_s,
            **known,
        )


def _usage(raw: Mapping[str, Any]) -> Usage:
    """OpenAI's convention is ours: prompt tokens include cached ones, completion tokens include reasoning."""
    prompt = raw.get("prompt_tokens_details") or {}
    completion = raw.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=raw.get("prompt_tokens"),
        output_tokens=raw.get("completion_tokens"),
        cached_input_tokens=prompt.get("cached_tokens"),
        reasoning_tokens=completion.get("reasoning_tokens"),
        raw=dict(raw) or None,
    )
