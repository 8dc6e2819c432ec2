"""What a whole answer and a streamed one have in common: usage, finish reasons and ids in OpenAI's words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from routebench.types import Completion, Usage

_FINISH: Mapping[str | None, str] = MappingProxyType(
    {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}
)


def finish_of(completion: Completion) -> str:
    """Returns why an answer ended, in OpenAI's words.

    An answer that calls tools says so, whatever its provider says. One that ended for a reason that is none of the
    API's, such as a pause, is `length`: whoever takes it for whole is wrong, and clients look out for that word.
    """
    if completion.tool_calls and completion.finish_reason != "length":
        return "tool_calls"
    return _FINISH.get(completion.finish_reason, "length")


def usage_of(usage: Usage) -> dict[str, Any] | None:
    """Returns the tokens of an answer, None unless prompt and answer are both known: half a bill reads as a small one.

    Details are there where the provider tells them.
    """
    prompt, written = usage.input_tokens, usage.output_tokens
    if prompt is None or written is None:
        return None
    told: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
    }
    if usage.cached_input_tokens is not None:
        told["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        told["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return told


def call_id(told: str | None, trace_id: str, number: int) -> str:
    """Returns the id of a tool call; one is made where the provider gives none, unique over a conversation's turns.

    Args:
        told: the provider's.
        trace_id: names the request.
        number: of the call in its answer, from 0.
    """
    # OpenAI takes ids of at most 40 characters back.
    return told or f"call_{trace_id[-30:]}_{number}"
