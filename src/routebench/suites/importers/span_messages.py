"""Messages as spans hold them: the conventions' parts, numbered attributes, and events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routebench.suites.importers.chat import json_text, tool_calls, unpacked
from routebench.types import Message, ToolCall

Attributes = Mapping[str, Any]
_ASKED = ("gen_ai.input.messages", "gen_ai.prompt")
_SPOKEN = ("gen_ai.output.messages", "gen_ai.completion")
_ROLE_EVENTS = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the model answered; both empty where the span does not hold it."""

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


def attributes(held: Any) -> dict[str, Any]:
    """Returns attributes as an object, from one or from OTLP's list of keys and typed values."""
    if isinstance(held, dict):
        return held
    found = {}
    for pair in held if isinstance(held, list) else ():
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            found[pair["key"]] = _value(pair.get("value"))
    return found


def asked_messages(held: Attributes, events: Sequence[Attributes]) -> tuple[Message, ...]:
    """Returns the messages that were sent, as chat messages; none where the span does not hold them."""
    found = _told(held, events, _ASKED) or _numbered(held, "gen_ai.prompt")
    found = [message for one in found for message in _chat_messages(one)]
    if not found:
        found = [_of_event(event, _ROLE_EVENTS[event["event"]]) for event in events if event["event"] in _ROLE_EVENTS]
    system = _joined(unpacked(_look(held, events, "gen_ai.system_instructions")))
    if system and found and found[0].get("role") != "system":
        found.insert(0, {"role": "system", "content": system})
    return tuple(found)


def spoken(held: Attributes, events: Sequence[Attributes]) -> tuple[Spoken, str | None]:
    """Returns the first answer, and why it ended where that is told beside it."""
    found = _told(held, events, _SPOKEN) or _numbered(held, "gen_ai.completion")
    if not found:
        for event in events:
            if event["event"] == "gen_ai.choice":
                inner = unpacked(event.get("message"))
                message = inner if isinstance(inner, dict) else event
                found = [{**message, "finish_reason": event.get("finish_reason")}]
                break
    if not found:
        return Spoken(), None
    message = next(iter(_chat_messages({"role": "assistant", **found[0]})), {})
    content = message.get("content")
    text = content if isinstance(content, str) else _joined(content)
    return Spoken(text, tool_calls(message.get("tool_calls"))), found[0].get("finish_reason")


def _told(held: Attributes, events: Sequence[Attributes], names: Sequence[str]) -> list[dict[str, Any]]:
    """Messages that stand together in one attribute, of the span or of one of its events."""
    for name in names:
        value = _look(held, events, name)
        inner = unpacked(value)
        if isinstance(inner, dict):
            inner = inner.get("messages", [inner])
        if isinstance(inner, list):
            whole = [one for one in inner if isinstance(one, dict) and ("role" in one or "parts" in one)]
            if whole:
                return whole
        elif isinstance(inner, str) and inner:
            return [{"role": "user" if names is _ASKED else "assistant", "content": inner}]
    return []


def _numbered(held: Attributes, prefix: str) -> list[dict[str, Any]]:
    """Messages whose every field is an attribute of its own, as OpenLLMetry writes them."""
    found: dict[int, dict[str, Any]] = {}
    calls: dict[int, dict[int, dict[str, Any]]] = {}
    for name, value in held.items():
        if not name.startswith(f"{prefix}."):
            continue
        number, _, key = name[len(prefix) + 1 :].partition(".")
        if not number.isdecimal() or not key:
            continue
        message = found.setdefault(int(number), {})
        place, _, inner = key.removeprefix("tool_calls.").partition(".")
        if key.startswith("tool_calls.") and place.isdecimal() and inner:
            calls.setdefault(int(number), {}).setdefault(int(place), {})[inner.removeprefix("function.")] = value
        else:
            message[key] = _content(value) if key == "content" else value
    for at, message in found.items():
        if at in calls:
            message["tool_calls"] = [_asked_call(call) for _, call in sorted(calls[at].items())]
        message.setdefault("role", "user" if prefix == "gen_ai.prompt" else "assistant")
        message.setdefault("content", None)
    return [message for _, message in sorted(found.items())]


def _chat_messages(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message in the form of a chat request; one with parts may be several, as every tool's result is one."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return [message]
    results: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    calls = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_call":
            calls.append(_asked_call(part))
        elif kind == "tool_call_response":
            result = part.get("response", part.get("result"))
            text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
            results.append({"role": "tool", "tool_call_id": part.get("id"), "content": text})
        # Thoughts are not sent again.
        elif kind is not None and kind not in ("reasoning", "thinking"):
            content.append(_content_part(part))
    if not content and not calls:
        return results
    only_text = all(part.get("type") == "text" for part in content)
    whole: Any = content if not only_text or len(content) > 1 else content[0]["text"] if content else None
    said = {"role": message.get("role", "user"), "content": whole}
    return [*results, {**said, "tool_calls": calls} if calls else said]


def _content_part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part["type"]
    if kind == "text":
        return {"type": "text", "text": str(part.get("content", part.get("text", "")))}
    if part.get("modality") == "image" and kind == "uri":
        return {"type": "image_url", "image_url": {"url": part.get("uri")}}
    if part.get("modality") == "image" and kind == "blob":
        return {"type": "image_url", "image_url": {"url": f"data:{part.get('mime_type')};base64,{part.get('content')}"}}
    return part


def _asked_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": call.get("name"), "arguments": json_text(call.get("arguments"))}
    return {"id": call.get("id"), "type": "function", "function": function}


def _of_event(event: Attributes, role: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": event.get("role", role), "content": event.get("content")}
    if calls := unpacked(event.get("tool_calls")):
        message["tool_calls"] = calls
    if role == "tool" and event.get("id"):
        message["tool_call_id"] = event["id"]
    return message


def _look(held: Attributes, events: Sequence[Attributes], name: str) -> Any:
    if name in held:
        return held[name]
    return next((event[name] for event in events if name in event), None)


def _content(value: Any) -> Any:
    """Content parts that an attribute holds as a text; an answer that is JSON stays one."""
    held = unpacked(value)
    parts = isinstance(held, list) and bool(held) and all(isinstance(one, dict) and "type" in one for one in held)
    return held if parts else value


def _joined(parts: Any) -> str | None:
    if isinstance(parts, str):
        return parts
    texts = [
        str(part.get("content", part.get("text", "")))
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and part.get("type", "text") == "text"
    ]
    return "\n".join(texts) if texts else None


def _value(typed: Any) -> Any:
    """OTLP's typed value; its names come in camel case and in snake case."""
    if not isinstance(typed, dict) or not typed:
        return None
    name, value = next(iter(typed.items()))
    kind = name.replace("_", "").lower()
    if kind == "intvalue":
        return int(value) if str(value).lstrip("-").isdecimal() else value
    if kind == "arrayvalue":
        held = value.get("values") if isinstance(value, dict) else None
        return [_value(one) for one in held] if isinstance(held, list) else []
    if kind == "kvlistvalue":
        return attributes(value.get("values") if isinstance(value, dict) else None)
    return value
