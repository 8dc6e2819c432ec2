"""Reading chat messages: their texts, and how large they are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from routebench.types import Message, Request, ToolCall

_CHARACTERS_PER_TOKEN = 4
_TOKENS_AROUND_MESSAGE = 16
"""More than any chat template puts around a message."""
_TOKENS_OF_TEMPLATE = 256
"""More than what a chat template says by itself, such as a system text where the request brings none."""
_TOKENS_AROUND_TOOLS = 1024
"""More than the text with which any provider presents a list of tools to its model."""


def text_of(message: Message) -> str:
    """Returns a message's text; of a list of parts, the text parts with line feeds between."""
    content: Any = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, (list, tuple)) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def answer_text(text: str | None, calls: Sequence[ToolCall]) -> str:
    """Returns an answer as graders and judges read it: its text, and calls of tools as JSON without their ids."""
    if not calls:
        return text or ""
    told = json.dumps([{"name": call.name, "arguments": _arguments(call.arguments)} for call in calls], sort_keys=True)
    return f"{text}\n{told}" if text else told


def _arguments(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def last_user_text(messages: Sequence[Message]) -> str:
    """Returns the text of the last user message, empty where there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return text_of(message)
    return ""


def estimate_input_tokens(messages: Iterable[Message]) -> int:
    """Returns ceil(characters / 4) over all messages: the one estimate that plan, rules and gateway share."""
    return math.ceil(sum(len(text_of(message)) for message in messages) / _CHARACTERS_PER_TOKEN)


def most_input_tokens(request: Request) -> int | None:
    """Returns a bound on the input tokens of a rendered request, None where there is none, as for images.

    No tokenizer makes more than one token of a byte of UTF-8.
    """
    tokens = _TOKENS_OF_TEMPLATE
    for message in request.messages:
        content = message.get("content")
        if isinstance(content, str) and len(message) == 2:
            tokens += len(content.encode(errors="replace")) + _TOKENS_AROUND_MESSAGE
        elif _only_text(content):
            tokens += (
                len(json.dumps(dict(message), ensure_ascii=False).encode(errors="replace")) + _TOKENS_AROUND_MESSAGE
            )
        else:
            return None
    if request.tools:
        tokens += len(json.dumps([dict(tool) for tool in request.tools], ensure_ascii=False).encode(errors="replace"))
        tokens += _TOKENS_AROUND_TOOLS
    if request.response_format is not None:
        tokens += len(json.dumps(request.response_format, ensure_ascii=False).encode(errors="replace"))
    return tokens


def asks_for_cache(request: Request) -> bool:
    """Whether a rendered request asks that a part of it be written to the provider's cache, which costs more."""
    parts = [message for message in request.messages if not isinstance(message.get("content"), str)]
    asked = json.dumps([[dict(part) for part in parts], [dict(tool) for tool in request.tools], request.params])
    return "cache_control" in asked


def _only_text(content: Any) -> bool:
    if content is None or isinstance(content, str):
        return True
    return all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content)
