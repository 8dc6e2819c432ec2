"""The one method that a provider has, and the call that it is given."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from routebench.types import Completion, ErrorKind, Model, Request


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
    """Speaks one wire format. A failed call is a Completion with `status='error'`, never an exception.

    Attributes:
        max_concurrency: how many calls it can really work on at once, None where only the user's limit counts.
    """

    max_concurrency: int | None

    async def complete(self, call: Call) -> Completion:
        """Sends one attempt and returns its answer or its typed error."""
        ...

    async def aclose(self) -> None:
        """Frees connections and stops what was started."""
        ...


def render(model: Model, request: Request) -> Request:
    """Returns the request as it is sent to the model: system, demonstrations and the model's own parameters applied.

    A request's own system message, response format and parameters win over the model's.
    """
    own_system = [message for message in request.messages if message.get("role") == "system"]
    rest = [message for message in request.messages if message.get("role") != "system"]
    system = own_system or ([{"role": "system", "content": model.system}] if model.system is not None else [])
    params = {**model.params, **request.params}
    response_format = request.response_format or params.get("response_format")
    params.pop("response_format", None)
    return Request(
        messages=(*system, *model.few_shot, *rest),
        tools=request.tools,
        response_format=response_format,
        params=params,
        metadata=request.metadata,
        tags=request.tags,
    )


def prepare(model: Model, request: Request, *, sample: int = 0, timeout_s: float = 60.0) -> Call:
    """Renders a request for a model and names the call by its content."""
    rendered = render(model, request)
    return Call(model, rendered, sample, timeout_s, request_key(model, rendered, sample))


def request_key(model: Model, rendered: Request, sample: int) -> str:
    """Returns the sha256 that names an answer: equal keys, equal question to an equal model."""
    body = {
        "provider": model.provider,
        "base_url": model.base_url,
        "model": model.model,
        "messages": [dict(message) for message in rendered.messages],
        "tools": [dict(tool) for tool in rendered.tools],
        "response_format": rendered.response_format,
        "params": dict(rendered.params),
        "sample": sample,
    }
    return _sha256(body)


def model_key(model: Model) -> str:
    """Returns the sha256 that names a model's configuration, without its name and its price."""
    body = {
        "provider": model.provider,
        "base_url": model.base_url,
        "model": model.model,
        "params": dict(model.params),
        "system": model.system,
        "few_shot": [dict(message) for message in model.few_shot],
    }
    return _sha256(body)


def failed(kind: ErrorKind, error: str, **known: Any) -> Completion:
    """A Completion for a call that brought no answer."""
    return Completion(status="error", error_kind=kind, error=error, **known)


def now() -> datetime:
    """The wall-clock time, in UTC."""
    return datetime.now(UTC)


def _sha256(body: Any) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
