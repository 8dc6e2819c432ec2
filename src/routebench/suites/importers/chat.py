"""Chat as logs hold it: messages, tools, answers, token counts and kinds of failure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routebench.suites.importers.frames import Tally
from routebench.types import ErrorKind, Message, ToolCall, Usage

SHAPING = frozenset(
    """
    frequency_penalty function_call functions logit_bias max_completion_tokens max_output_tokens max_tokens min_p
    modalities parallel_tool_calls prediction presence_penalty reasoning reasoning_effort repetition_penalty seed stop
    stop_sequences temperature thinking thinking_config tool_choice top_k top_p verbosity web_search_options
    """.split()
)
"""Parameters that shape an answer; the others of a log (user, stream, timeouts, keys) are left out."""
_FINISH = {
    **dict.fromkeys(("stop", "eos", "end_turn", "stop_sequence", "complete", "completed"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
}
_FILTERED = frozenset({"content_filter", "safety", "refusal"})
_BY_STATUS: Mapping[int, ErrorKind] = {
    401: "auth",
    402: "auth",
    403: "auth",
    408: "timeout",
    413: "context_overflow",
    429: "rate_limited",
    504: "timeout",
}
_PARTICULAR: Mapping[ErrorKind, re.Pattern[str]] = {
    "context_overflow": re.compile(r"context.?(?:window|length|size)|maximum.?context|prompt is too long"),
    "content_filter": re.compile(r"content.?(?:policy|filter|management)|safety.?system|guardrail"),
    "budget": re.compile(r"budget.?exceeded|exceeded.?budget"),
}
"""Of refused requests, whatever the status."""
_GENERAL: Mapping[ErrorKind, re.Pattern[str]] = {
    "rate_limited": re.compile(r"rate.?limit|too.?many.?requests|resource.?exhausted|throttl"),
    "timeout": re.compile(r"time.?out|timed out|deadline.?exceeded"),
    "auth": re.compile(r"authentication|unauthori[sz]ed|unauthenticated|permission.?denied|forbidden|invalid api key"),
    "connection": re.compile(r"connect(?:ion)?.?error|connection.?(?:refused|reset)"),
    "bad_request": re.compile(
        r"bad.?request|invalid.?(?:request|argument)|not.?found|unprocessable|unsupported.?params"
    ),
    "server": re.compile(r"internal.?server|service.?unavailable|overloaded|server.?error|bad.?gateway|apierror"),
}
_STATUS_IN_TEXT = re.compile(r"(?:code|status|http)\D{0,12}([45]\d\d)\b", re.IGNORECASE)
_NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered; a filtered answer is a failure."""

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage = field(default_factory=lambda: _NO_USAGE)
    error_kind: ErrorKind | None = None


NO_REPLY = Reply()


def unpacked(value: Any) -> Any:
    """Returns what a text of JSON holds where it is an object, an array or a string; else the value itself."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"'):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """Returns an object, also one written as a text; an empty one where there is none."""
    value = unpacked(value)
    return value if isinstance(value, dict) else {}


def messages(value: Any) -> tuple[Message, ...] | None:
    """Returns chat messages, untouched: a list of them, one alone, an object with `messages`, or a prompt.

    None where there are none.
    """
    if isinstance(value, str):
        held = unpacked(value)
        found = messages(held) if isinstance(held, (list, dict)) else None
        if found is not None:
            return found
        text = held if isinstance(held, str) else value
        return ({"role": "user", "content": text},) if text else None
    if isinstance(value, list):
        whole = bool(value) and all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in value)
        return tuple(value) if whole else None
    if isinstance(value, dict):
        if isinstance(value.get("role"), str):
            return (value,)
        inner = value.get("messages", value.get("prompt"))
        return None if isinstance(inner, dict) else messages(inner)
    return None


def tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    """Returns the tools of a request, also where their list is a text."""
    value = unpacked(value)
    return tuple(tool for tool in value if isinstance(tool, dict)) if isinstance(value, list) else ()


def shaping(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those parameters that shape an answer; numbers that a table holds as texts become numbers."""
    kept = {}
    for name, value in params.items():
        if name in SHAPING and value is not None and (number := _number(name, value)) is not None:
            kept[name] = number
    return kept


def reply(value: Any, tally: Tally) -> Reply:
    """Returns what a text, a message, a chat completion, an Anthropic message or an OpenAI response answers."""
    if value is None:
        return NO_REPLY
    if isinstance(value, str):
        return Reply(text=value)
    if isinstance(value, list):
        return reply({"choices" if _are_choices(value) else "output" if _are_items(value) else "content": value}, tally)
    if not isinstance(value, dict):
        return Reply(text=json.dumps(value))
    counts = usage(value.get("usage"))
    choices = value.get("choices")
    if isinstance(choices, list):
        if len(choices) > 1:
            tally.noted["calls with several answers, of which the first counts"] += 1
        first = choices[0] if choices and isinstance(choices[0], dict) else {}
        message = first.get("message", first.get("text"))
        return _read(message, first.get("finish_reason"), counts)
    if isinstance(value.get("output"), list):
        return _read(_of_items(value["output"]), value.get("status"), counts)
    return _read(value, value.get("stop_reason", value.get("finish_reason")), counts)


def packed_reply(value: Any, tally: Tally) -> Reply:
    """Returns what `reply` does of a cell whose JSON may be a text; an answer that is itself JSON stays a text."""
    held = unpacked(value)
    inside = isinstance(held, dict) and (
        "choices" in held or "role" in held or isinstance(held.get("output"), list) or "stop_reason" in held
    )
    if isinstance(value, str) and not inside and not isinstance(held, str):
        inside = isinstance(held, list) and (_are_choices(held) or _are_items(held))
        return reply(held if inside else value, tally)
    return reply(held, tally)


def finish(raw: Any) -> str | None:
    """Returns the house's word for a provider's finish reason: `stop`, `length`, `tool_calls` or `other`."""
    return _FINISH.get(str(raw).lower(), "other") if raw else None


def is_filtered(raw: Any) -> bool:
    """Whether a finish reason says that the answer was withheld."""
    return isinstance(raw, str) and raw.lower() in _FILTERED


def tool_calls(value: Any) -> tuple[ToolCall, ...]:
    """Returns the calls of a message's `tool_calls`; arguments become JSON text where they are none."""
    found = []
    value = unpacked(value)
    for call in value if isinstance(value, list) else ():
        if isinstance(call, dict):
            inner = call.get("function")
            function = inner if isinstance(inner, dict) else call
            if isinstance(function.get("name"), str):
                found.append(ToolCall(call.get("id"), function["name"], json_text(function.get("arguments"))))
    return tuple(found)


def json_text(value: Any) -> str:
    """Returns arguments as the model wrote them, or JSON of what a log made of them."""
    if isinstance(value, str):
        return value
    return "{}" if value is None else json.dumps(value, ensure_ascii=False)


def usage(raw: Any) -> Usage:
    """Returns the token counts of an OpenAI or Anthropic usage object; what it does not tell is unknown."""
    if not isinstance(raw, dict):
        return _NO_USAGE
    read, written = raw.get("cache_read_input_tokens"), raw.get("cache_creation_input_tokens")
    given = raw.get("prompt_tokens", raw.get("input_tokens"))
    if "prompt_tokens" not in raw and isinstance(given, int):
        # Anthropic's count alone leaves the cache out.
        given += (_count(read) or 0) + (_count(written) or 0)
    before = mapping(raw.get("prompt_tokens_details") or raw.get("input_tokens_details"))
    after = mapping(raw.get("completion_tokens_details") or raw.get("output_tokens_details"))
    cached = before.get("cached_tokens")
    return Usage(
        input_tokens=_count(given) or None,
        output_tokens=_count(raw.get("completion_tokens", raw.get("output_tokens"))),
        cached_input_tokens=_count(raw.get("prompt_cache_hit_tokens", read) if cached is None else cached),
        cache_write_tokens=_count(written),
        reasoning_tokens=_count(after.get("reasoning_tokens")),
    )


def error_kind(status: Any, words: str, tally: Tally) -> ErrorKind:
    """Returns the kind of a failure, from a status code and what was said; an unknown one is noted.

    Args:
        status: of HTTP, as a number or text; may be unknown.
        words: the name of the error and its message.
        tally: takes note of failures that say nothing.
    """
    lowered = words.lower()
    code = _count(status)
    if code is None and (told := _STATUS_IN_TEXT.search(words)):
        code = int(told[1])
    if code is None or code < 500:
        for kind, pattern in _PARTICULAR.items():
            if pattern.search(lowered):
                return kind
    if code is not None and code in _BY_STATUS:
        return _BY_STATUS[code]
    if code is not None and code >= 500:
        # LiteLLM gives a connection that failed the status 500.
        return "connection" if _GENERAL["connection"].search(lowered) else "server"
    for kind, pattern in _GENERAL.items():
        if pattern.search(lowered):
            return kind
    if code is not None:
        return "bad_request"
    tally.noted["failed calls of an untold kind, taken as server errors"] += 1
    return "server"


def _read(message: Any, raw_finish: Any, counts: Usage) -> Reply:
    if not isinstance(message, dict):
        text = message if isinstance(message, str) else None
        return Reply(text, (), finish(raw_finish), counts, "content_filter" if is_filtered(raw_finish) else None)
    content, calls = message.get("content", message.get("text")), message.get("tool_calls")
    asked = tool_calls(calls) if calls else ()
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        asked += tuple(
            ToolCall(part.get("id"), str(part.get("name")), json_text(part.get("input")))
            for part in parts
            if part.get("type") == "tool_use"
        )
        spoken = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        content = "".join(spoken) if spoken else None
    withheld = is_filtered(raw_finish) or bool(message.get("refusal"))
    text = content if isinstance(content, str) else None
    return Reply(text, asked, finish(raw_finish), counts, "content_filter" if withheld else None)


def _of_items(items: list[Any]) -> dict[str, Any]:
    """The message that the output items of an OpenAI response make."""
    parts: list[Any] = []
    calls = []
    for item in items:
        if isinstance(item, dict) and item.get("type") == "function_call":
            calls.append({"id": item.get("call_id"), "name": item.get("name"), "arguments": item.get("arguments")})
        elif isinstance(item, dict) and isinstance(item.get("content"), list) and item.get("type") == "message":
            parts += item["content"]
    return {"content": parts, "tool_calls": calls}


def _are_choices(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(one, dict) and ("message" in one or "text" in one) for one in values[:1])


def _are_items(values: list[Any]) -> bool:
    kinds = ("message", "function_call", "reasoning")
    return bool(values) and all(isinstance(one, dict) and one.get("type") in kinds for one in values)


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _number(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in ("tool_choice", "function_call", "stop", "reasoning_effort", "verbosity"):
        return value
    try:
        number = float(value)
    except ValueError:
        return unpacked(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and "." not in value else number
