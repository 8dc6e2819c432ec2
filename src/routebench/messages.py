"""Reading chat messages: their texts, and how large they are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from routebench.types import Message

_CHARACTERS_PER_TOKEN = 4


def text_of(message: Message) -> str:
    """Returns a message's text; of a list of parts, the text parts with line feeds between."""
    content: Any = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, (list, tuple)) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def last_user_text(messages: Sequence[Message]) -> str:
    """Returns the text of the last user message, empty where there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return text_of(message)
    return ""


def estimate_input_tokens(messages: Iterable[Message]) -> int:
    """Returns ceil(characters / 4) over all messages: the one estimate that plan, rules and gateway share."""
    return math.ceil(sum(len(text_of(message)) for message in messages) / _CHARACTERS_PER_TOKEN)
