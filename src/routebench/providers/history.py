"""A conversation in the form that a server takes back: the answers in it may be other models', with words of theirs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from routebench.types import Message

_EXTRAS = frozenset({"reasoning_content", "reasoning", "reasoning_details", "annotations"})
"""What other servers' answers have, and a message sent back may not have at servers that take no unknown key."""
_MARK = "cache_control"
"""Marks, in a part of a message, what is to be kept for later; an error at servers that take no unknown key."""
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")


def chat_messages(
    messages: Iterable[Message], *, developer: bool, extras: bool, short_ids: bool
) -> list[Mapping[str, Any]]:
    """Returns messages for a server that speaks chat completions.

    Keys that are null, as clients write them who send an answer back as they got it, are left out.

    Args:
        messages: the conversation.
        developer: whether the server has the role of that name; it is `system` elsewhere.
        extras: whether it takes thoughts back, and marks for its cache.
        short_ids: whether ids of tool calls are nine letters and digits there.
    """
    return [
        message
        if len(message) == 2 and message.get("role") != "developer" and isinstance(message.get("content"), str)
        else _chat_message(message, developer=developer, extras=extras, short_ids=short_ids)
        for message in messages
    ]


def _chat_message(message: Message, *, developer: bool, extras: bool, short_ids: bool) -> dict[str, Any]:
    left_out = frozenset() if extras else _EXTRAS
    made = {
        key: value
        for key, value in message.items()
        if (value is not None or key == "content") and key not in left_out and not (key == "annotations" and not value)
    }
    if not extras and isinstance(made.get("content"), list):
        made["content"] = [
            {key: value for key, value in part.items() if key != _MARK} if _MARK in part else part
            for part in made["content"]
        ]
    if made.get("role") == "developer" and not developer:
        made["role"] = "system"
    if short_ids:
        if "tool_call_id" in made:
            made["tool_call_id"] = _fitting(made["tool_call_id"], _SHORT_ID, 9)
        if made.get("tool_calls"):
            made["tool_calls"] = [{**call, "id": _fitting(call.get("id"), _SHORT_ID, 9)} for call in made["tool_calls"]]
    return made


def call_id(told: Any) -> str:
    """Returns the id of a tool call in letters, digits, underscores and dashes, equal for the call and its result."""
    return _fitting(told, _CALL_ID, 24)


def _fitting(told: Any, form: re.Pattern[str], length: int) -> str:
    text = str(told)
    return text if form.fullmatch(text) else hashlib.sha256(text.encode(errors="replace")).hexdigest()[:length]


def arguments_of(function: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a call, for formats that have objects where chat completions have texts.

    Raises:
        ValueError: a model wrote something else, as small ones do.
    """
    text = function.get("arguments") or "{}"
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of a call of {str(function.get('name'))[:64]!r} are no JSON object")
    return arguments


def with_tool_calls(messages: Iterable[Message]) -> list[Message]:
    """Returns a conversation in which calls of functions, the form before tools, are calls of tools."""
    made: list[Message] = []
    called = ""
    for number, message in enumerate(messages):
        if message.get("function_call"):
            called = f"call_{number}"
            calls = [{"id": called, "type": "function", "function": message["function_call"]}]
            rest = {key: value for key, value in message.items() if key != "function_call"}
            made.append({**rest, "tool_calls": calls})
        elif message.get("role") == "function":
            made.append({"role": "tool", "tool_call_id": called, "content": message.get("content")})
        else:
            made.append(message)
    return made
