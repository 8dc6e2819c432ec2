"""The messages of a request: what each must be, told by its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routebench.gateway.parts import check_part
from routebench.gateway.refusal import wrong

MOST_MESSAGES = 10_000
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PLAIN_ROLES = frozenset(("system", "developer", "user", "assistant"))


def check_messages(messages: Any) -> tuple[Mapping[str, Any], ...]:
    """Returns the messages as they came.

    Raises:
        Refusal: one of them is not a message of the API, or there are none.
    """
    if not isinstance(messages, list) or not messages:
        wrong("messages", "a list of at least one message, such as {role: user, content: …}", messages)
    if len(messages) > MOST_MESSAGES:
        wrong("messages", f"at most {MOST_MESSAGES} messages, got {len(messages)}; summarise the older ones")
    for number, message in enumerate(messages):
        if not _is_plain(message):
            _check_message(f"messages[{number}]", message)
    return tuple(messages)


def _is_plain(message: Any) -> bool:
    """Whether a message is a role and a text, or texts, as nearly all are: no place has to be told."""
    if type(message) is not dict or len(message) != 2:
        return False
    role, content = message.get("role"), message.get("content")
    if type(role) is not str or role not in _PLAIN_ROLES:
        return False
    if type(content) is list and content:
        return all(
            type(part) is dict and len(part) == 2 and part.get("type") == "text" and type(part.get("text")) is str
            for part in content
        )
    return type(content) is str


def _check_message(place: str, message: Any) -> None:
    if not isinstance(message, dict):
        wrong(place, "an object with `role` and `content`", message)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        wrong(f"{place}.role", f"one of {', '.join(_ROLES)}", role)
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        wrong(f"{place}.name", "a text", name)
    if message.get("audio") is not None:
        wrong(f"{place}.audio", "earlier answers are handed over as text; write what was said into `content`")
    calls = message.get("tool_calls")
    if calls is not None:
        _check_calls(f"{place}.tool_calls", calls, role)
    called = message.get("function_call")
    if called is not None:
        _check_function(f"{place}.function_call", called, "arguments")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        wrong(f"{place}.tool_call_id", "the id of the tool call that this message answers", message.get("tool_call_id"))
    if role == "function" and not isinstance(name, str):
        wrong(f"{place}.name", "the name of the function that this message answers", name)
    _check_content(f"{place}.content", message, role)


def _check_content(place: str, message: Mapping[str, Any], role: str) -> None:
    content = message.get("content")
    if isinstance(content, str):
        return
    if content is None:
        speaks = message.get("tool_calls") or message.get("function_call") or message.get("refusal")
        if role == "assistant" and speaks:
            return
        wrong(place, "a text, or a list of parts", content)
    if not isinstance(content, list) or not content:
        wrong(place, "a text, or a list of at least one part", content)
    for number, part in enumerate(content):
        check_part(f"{place}[{number}]", part, role)


def _check_calls(place: str, calls: Any, role: str) -> None:
    if role != "assistant":
        wrong(place, "only assistant messages call tools; leave it out")
    if not isinstance(calls, list):
        wrong(place, "a list of tool calls", calls)
    for number, call in enumerate(calls):
        here = f"{place}[{number}]"
        if not isinstance(call, dict):
            wrong(here, "an object with `id`, `type` and `function`", call)
        if not isinstance(call.get("id"), str) or not call["id"]:
            wrong(f"{here}.id", "the id that the call had", call.get("id"))
        kind = call.get("type", "function")
        if kind not in ("function", "custom"):
            wrong(f"{here}.type", "function", kind)
        _check_function(f"{here}.{kind}", call.get(kind), "arguments" if kind == "function" else "input")


def _check_function(place: str, function: Any, said: str) -> None:
    if not isinstance(function, dict):
        wrong(place, f"an object with `name` and `{said}`", function)
    if not isinstance(function.get("name"), str) or not function["name"]:
        wrong(f"{place}.name", "the name of a function", function.get("name"))
    if not isinstance(function.get(said), str):
        wrong(f"{place}.{said}", "a text, as the model wrote it", function.get(said))
