"""What a provider is, the call that it is given, and the keys that name calls by their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from routebench.providers.events import Done, Event, ReasoningDelta, TextDelta, ToolCallDelta
from routebench.types import Completion, ErrorKind, Message, Model, Request

OWN_PARAMS = frozenset({"stream"})
"""Parameters that say how an answer travels, not what it is: they are not part of a key."""
_CAPS = frozenset({"max_tokens", "max_completion_tokens"})

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one model, as it will be sent.

    Attributes:
        request: rendered: system prompt, demonstrations and the model's parameters are in it.
        sample: 0 for the first answer to a prompt, 1 for the next independent one.
        key: sha256 over what can change the answer, and the sample index; names, prices and keys are not in it.
    """

    model: Model
    request: Request
    sample: int
    timeout_s: float
    key: str


class Provider(Protocol):
    """Speaks one wire format. A failed call is a Completion with `status='error'`, never an exception."""

    async def complete(self, call: Call) -> Completion:
        """Sends one attempt and returns its answer or its typed error."""
        ...

    async def aclose(self) -> None:
        """Frees connections and stops what was started."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """A provider that can hand an answer over while it is being written."""

    def stream(self, call: Call) -> AsyncIterator[Event]:
        """Sends one attempt; yields its pieces, and `Done` with the whole Completion last."""
        ...


async def stream(provider: Provider, call: Call) -> AsyncGenerator[Event]:
    """Yields the events of one attempt; a provider that cannot stream gives its answer in one piece of each kind."""
    if isinstance(provider, Streaming):
        events = provider.stream(call)
        try:
            async for event in events:
                yield event
        finally:
            # A third party's iterator may lack it.
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()
        return
    completion = await provider.complete(call)
    for piece in pieces_of(completion):
        yield piece
    yield Done(completion)


def pieces_of(completion: Completion) -> list[Event]:
    """Returns a whole answer as the pieces of a stream, one of each kind."""
    pieces: list[Event] = []
    if completion.reasoning:
        pieces.append(ReasoningDelta(completion.reasoning))
    if completion.text:
        pieces.append(TextDelta(completion.text, completion.logprobs))
    pieces += [ToolCallDelta(index, one.id, one.name, one.arguments) for index, one in enumerate(completion.tool_calls)]
    return pieces


def _accept(model: Model, request: Request) -> None:
    """Refuses nothing."""


def requested_output_cap(model: Model, request: Request) -> int | None:
    """Returns the most output tokens that a call can bring: what it asks for, else what the model can."""
    params = request.params
    cap = params.get("max_completion_tokens") or params.get("max_tokens") or model.max_output
    return cap if isinstance(cap, int) else None


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """What a provider's name stands for; built-ins and third parties register one under the same entry point group.

    Attributes:
        open: makes the Provider, given environment variable name -> secret for the models that will use it.
        check: raises ConfigError where a model or a rendered request asks for what the provider lacks.
        output_cap: the most output tokens of a call, None where nothing bounds them.
        concurrency: how many calls it can really work on at once, None where only the user's limit counts.
        max_tokens: an output cap that the format requires, where neither the model nor its parameters name one.
        base_url: where calls go when the model names no address.
        key_env: the environment variable of the key when the model names none and keeps that address.
        book: the provider's name in the price book.
        by_address: a model with an address of its own is looked up in the price book by that address.
    """

    open: Callable[[Mapping[str, str]], Provider]
    check: Callable[[Model, Request], None] = _accept
    output_cap: Callable[[Model, Request], int | None] = requested_output_cap
    concurrency: int | None = None
    max_tokens: int | None = None
    base_url: str | None = None
    key_env: str | None = None
    book: str | None = None
    by_address: bool = False


def render(model: Model, request: Request) -> Request:
    """Returns the request as it is sent to the model: system, demonstrations and the model's own parameters applied.

    A request's own system message, response format and parameters win over the model's.
    """
    messages = (*_system(model, request.messages), *model.few_shot, *_rest(request.messages))
    own: Mapping[str, Any] = model.params
    if not _CAPS.isdisjoint(request.params):
        # Two names for one ceiling: the request's stands, under whichever name it came.
        own = {name: value for name, value in own.items() if name not in _CAPS}
    params = {**own, **request.params}
    response_format = request.response_format or params.get("response_format")
    params.pop("response_format", None)
    # Not `replace`, which costs some times as much as all the rest of this.
    return Request(messages, request.tools, response_format, params, request.metadata, request.tags)


def _system(model: Model, messages: Sequence[Message]) -> Sequence[Message]:
    own = [message for message in messages if message.get("role") == "system"]
    return own or ([{"role": "system", "content": model.system}] if model.system is not None else [])


def _rest(messages: Sequence[Message]) -> Sequence[Message]:
    return [message for message in messages if message.get("role") != "system"]


def prepare(model: Model, request: Request, *, sample: int = 0, timeout_s: float = 60.0) -> Call:
    """Renders a request for a model and names the call by its content."""
    return Call(model, render(model, request), sample, timeout_s, Keys(model).of(request, sample))


class Keys:
    """Names calls to one model: the sha256 of the canonical request; equal keys, equal question to an equal model.

    What is in it can change the answer: address, model id, messages, tools, response format, parameters, sample.
    What is not: names, prices, keys, limits, tags, metadata, and whether the answer is streamed.

    A plan of a hundred thousand cells names each of them, so the model's part is written once and a case's messages
    are encoded once for all models.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._address = f'{{"base_url":{_encode(model.base_url)},"messages":['
        self._id = f'],"model":{_encode(model.model)},'
        self._provider = f'"provider":{_encode(model.provider)},'
        self._system = "" if model.system is None else _encode({"role": "system", "content": model.system})
        self._shots = ",".join(_encode(dict(message)) for message in model.few_shot)
        self._constant = self._tail(Request(()))

    def of(self, request: Request, sample: int, encoded: tuple[str, str] | None = None) -> str:
        """Returns the key of a request that is not rendered yet.

        Args:
            request: as the case has it.
            sample: index of the independent answer.
            encoded: `encode_messages` of the request, where it is at hand.
        """
        system, rest = encoded or encode_messages(request)
        messages = ",".join(part for part in (system or self._system, self._shots, rest) if part)
        bare = not (request.params or request.response_format or request.tools)
        start, end = self._constant if bare else self._tail(request)
        return hashlib.sha256(f"{self._address}{messages}{start}{sample}{end}".encode()).hexdigest()

    def _tail(self, request: Request) -> tuple[str, str]:
        """What stands behind the messages, before and after the sample index."""
        rendered = render(self._model, request)
        params = {name: value for name, value in rendered.params.items() if name not in OWN_PARAMS}
        tools = [dict(tool) for tool in request.tools]
        start = (
            f'{self._id}"params":{_encode(params)},{self._provider}'
            f'"response_format":{_encode(rendered.response_format)},"sample":'
        )
        return start, f',"tools":{_encode(tools)}}}'


def encode_messages(request: Request) -> tuple[str, str]:
    """Returns the canonical JSON of a request's system messages and of the others, without brackets."""
    own = [message for message in request.messages if message.get("role") == "system"]
    rest = _rest(request.messages) if own else request.messages
    return ",".join(_encode(dict(message)) for message in own), ",".join(_encode(dict(message)) for message in rest)


def model_key(model: Model) -> str:
    """Returns the sha256 that names a model's configuration, without its name and its price."""
    body = {
        "provider": model.provider,
        "base_url": model.base_url,
        "model": model.model,
        "params": {name: value for name, value in model.params.items() if name not in OWN_PARAMS},
        "system": model.system,
        "few_shot": [dict(message) for message in model.few_shot],
    }
    return hashlib.sha256(_encode(body).encode()).hexdigest()


def failed(kind: ErrorKind, error: str, **known: Any) -> Completion:
    """A Completion for a call that brought no answer."""
    return Completion(status="error", error_kind=kind, error=error, **known)


def now() -> datetime:
    """The wall-clock time, in UTC."""
    return datetime.now(UTC)
