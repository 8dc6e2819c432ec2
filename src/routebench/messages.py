"""Reading chat messages: their texts, and how large they are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routebench.types import Message, Request, ToolCall

_TEXTS_OF_PARTS = ("text", "refusal", "thinking")
"""Keys under which a part of a message, or the message itself, holds a text."""
_KINDS_READ = frozenset(
    (None, "text", "input_text", "output_text", "refusal", "thinking", "tool_result", "tool_use", "server_tool_use")
)
"""Types of parts whose whole meaning is text that `spoken` returns."""
_PLAIN_KINDS = ("text", "input_text", "output_text")
_KEYS_KNOWN = frozenset(
    (
        "role",
        "content",
        "name",
        "refusal",
        "tool_calls",
        "function_call",
        "tool_call_id",
        "id",
        "cache_control",
        "audio",
    )
)
"""Keys of a message that are read, or that hold no text of anybody's."""
_IMAGES = frozenset(("image_url", "input_image", "image"))
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


def spoken(message: Message) -> str:
    """Returns all that a message says: its text, what tools answered in it, and the calls of tools that it makes.

    Pieces stand in the message's order with line feeds between; of a call, its name, then the keys and values of its
    arguments without the quotes and escapes of JSON. Arguments that are no JSON stand as they were written. What a
    tool answers stands as it was written, and where it is JSON with escapes its keys and values follow: a word behind
    an escaped line feed is a word.
    """
    plain = _plain(message)
    if plain is not None and "\\" not in plain:
        return plain
    return "\n".join(_pieces(message, read=True))


def has_unread(messages: Iterable[Message]) -> bool:
    """Whether a message has a part that `spoken` cannot read: an image, audio, a file, or anything unknown."""
    return any(
        _says_elsewhere(message) or any(not part.is_read for part in _parts(message))
        for message in messages
        if _plain(message) is None
    )


def _says_elsewhere(message: Message) -> bool:
    """Whether a message says something under a key, or in a call, that `spoken` does not look at."""
    calls: Any = message.get("tool_calls") or ()
    called: Any = message.get("function_call")
    return (
        any(value is not None and value != [] for key, value in message.items() if key not in _KEYS_KNOWN)
        or not isinstance(calls, (list, tuple))
        or not all(isinstance(one, Mapping) and (one.get("function") or one.get("custom")) for one in calls)
        or not (called is None or isinstance(called, Mapping))
    )


def has_images(messages: Iterable[Message]) -> bool:
    """Whether a message carries an image, in what a tool answered too."""
    return any(
        isinstance(part.said, Mapping) and _is_one_of(part.said.get("type"), _IMAGES)
        for message in messages
        if _plain(message) is None
        for part in _parts(message)
    )


def _plain(message: Message) -> str | None:
    """The text of a message that is nothing but text, as most are; None where it has to be looked at more closely."""
    if len(message) != 2 or "role" not in message:
        return None
    content: Any = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    for part in content:
        is_plain = isinstance(part, dict) and len(part) == 2 and part.get("type") in _PLAIN_KINDS
        if not is_plain or not isinstance(part.get("text"), str):
            return None
    return "\n".join([part["text"] for part in content])


def _pieces(message: Message, *, read: bool) -> Iterator[str]:
    """The texts of a message, arguments of calls read as JSON or as they were written."""
    for part in _parts(message):
        said = part.said
        texts = [said] if isinstance(said, str) else []
        if isinstance(said, Mapping):
            texts = [said[key] for key in _TEXTS_OF_PARTS if isinstance(said.get(key), str)]
        yield from texts
        if read and part.is_result:
            yield from (leaf for text in texts for leaf in _hidden(text))
        if isinstance(said, Mapping) and "input" in said:
            yield from _call(said.get("name"), said["input"], read=read)
    refusal: Any = message.get("refusal")
    if isinstance(refusal, str):
        yield refusal
    calls: Any = message.get("tool_calls")
    for call in (*(calls if isinstance(calls, (list, tuple)) else ()), {"function": message.get("function_call")}):
        for said in (call.get("function"), call.get("custom")) if isinstance(call, Mapping) else ():
            if isinstance(said, Mapping):
                yield from _call(said.get("name"), said.get("arguments", said.get("input")), read=read)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a message's content.

    Attributes:
        is_read: whether all that it says is text.
        is_result: whether a tool said it.
    """

    said: Any
    is_read: bool
    is_result: bool


def _parts(message: Message) -> Iterator[_Part]:
    """Every part of a message's content, parts of tool results too."""
    if message.get("audio") is not None:
        yield _Part(None, is_read=False, is_result=False)
    # A stack and no recursion: nothing that a caller nests may end in a RecursionError.
    content: Any = message.get("content")
    waiting = [] if content is None else [(content, message.get("role") in ("tool", "function"))]
    while waiting:
        said, is_result = waiting.pop()
        if isinstance(said, (list, tuple)):
            waiting.extend((one, is_result) for one in reversed(said))
        elif isinstance(said, Mapping):
            is_result = is_result or said.get("type") == "tool_result"
            inner = said.get("content")
            if inner is not None:
                waiting.append((inner, is_result))
            says = (
                inner is not None or "input" in said or any(isinstance(said.get(key), str) for key in _TEXTS_OF_PARTS)
            )
            # An empty result of a tool is read; an empty part of no known type is not.
            is_read = _is_one_of(said.get("type"), _KINDS_READ) and (says or said.get("type") == "tool_result")
            yield _Part(said, is_read, is_result)
        else:
            yield _Part(said, isinstance(said, str), is_result)


def _hidden(text: str) -> Iterator[str]:
    """What escapes hide in a text that is JSON; nothing where there are none."""
    if "\\" in text:
        value = _read_arguments(text)
        if value is not text:
            yield from _leaves(value)


def _is_one_of(kind: Any, kinds: frozenset[str | None] | frozenset[str]) -> bool:
    return (kind is None or isinstance(kind, str)) and kind in kinds


def _call(name: Any, arguments: Any, *, read: bool) -> Iterator[str]:
    if isinstance(name, str):
        yield name
    if isinstance(arguments, str):
        yield from _leaves(_read_arguments(arguments)) if read else (arguments,)
    elif arguments is not None:
        yield from _leaves(arguments)


def _read_arguments(text: str) -> Any:
    try:
        # Numbers stay as they were written, and a key that stands twice hides no value.
        return json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return text


def _leaves(value: Any) -> Iterator[str]:
    """The keys, strings and numbers of a JSON value, in its order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting.extend(inner for pair in reversed(list(one.items())) for inner in reversed(pair))
        elif isinstance(one, (list, tuple)):
            waiting.extend(reversed(one))
        elif isinstance(one, (int, float)):
            yield json.dumps(one)


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
    """Returns ceil(characters / 4) over all messages: the one estimate that plan, rules and gateway share.

    The characters of what `spoken` reads, calls of tools as they were written.
    """
    return math.ceil(sum(_characters(message) for message in messages) / _CHARACTERS_PER_TOKEN)


def _characters(message: Message) -> int:
    plain = _plain(message)
    if plain is not None:
        return len(plain)
    pieces = [len(piece) for piece in _pieces(message, read=False)]
    return sum(pieces) + max(0, len(pieces) - 1)


def most_output_tokens(params: Mapping[str, Any]) -> int | None:
    """Returns how many tokens a request lets its answer have, None where it says nothing usable, as with -1."""
    for name in ("max_completion_tokens", "max_tokens"):
        said = params.get(name)
        if isinstance(said, (int, float)) and not isinstance(said, bool) and 0 < said < math.inf:
            return math.ceil(said)
    return None


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
