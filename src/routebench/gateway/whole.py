"""A whole answer, and the list of models, as documents of the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from routebench.gateway.answered import call_id, finish_of, usage_of
from routebench.gateway.encoding import encoded
from routebench.types import Completion


def whole_answer(completion: Completion, *, trace_id: str, created: int, model: str, about: Mapping[str, Any]) -> bytes:
    """Returns a `chat.completion` document.

    Args:
        completion: an answer, whatever provider gave it; not a failure.
        trace_id: names the request; the document's `id`.
        created: seconds since 1970.
        model: as the rule set names it, so that it can be asked for by that name.
        about: what the gateway knows of the request, such as rule and cost; the document's `routebench`.
    """
    calls = completion.tool_calls
    message: dict[str, Any] = {
        "role": "assistant",
        "content": completion.text or (None if calls else ""),
        "refusal": None,
    }
    if completion.reasoning:
        message["reasoning_content"] = completion.reasoning
    if calls:
        message["tool_calls"] = [
            {
                "id": call_id(call.id, trace_id, number),
                "type": "function",
                # A function without arguments is called with an empty text by some providers, which is no JSON.
                "function": {"name": call.name, "arguments": call.arguments or "{}"},
            }
            for number, call in enumerate(calls)
        ]
    logprobs = completion.logprobs
    return encoded(
        {
            "id": trace_id,
            "object": "chat.completion",
            "created": created,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": None if logprobs is None else {"content": logprobs, "refusal": None},
                    "finish_reason": finish_of(completion),
                }
            ],
            "usage": usage_of(completion.usage),
            "service_tier": "default" if completion.service_tier == "standard" else completion.service_tier,
            "routebench": about,
        }
    )


def models_document(names: Iterable[str], created: int) -> bytes:
    """Returns the answer to `GET /v1/models`.

    Args:
        names: of the models that may be asked for, in their order.
        created: seconds since 1970; when the rule set was read.
    """
    return encoded({"object": "list", "data": [_model(name, created) for name in names]})


def model_document(name: str, created: int) -> bytes:
    """Returns the answer to `GET /v1/models/NAME`."""
    return encoded(_model(name, created))


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "routebench"}
