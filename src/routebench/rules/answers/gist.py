"""Gist: what an answer comes down to, so that two answers can be held against each other.

Two models that say the same in other words agree: numbers are compared as numbers, JSON without its order, words
without case, spaces and punctuation. What is not handled: fractions, units, numbers in words, and paraphrases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from routebench.rules.structured import read_json
from routebench.types import Answer

GistKind = Literal["auto", "text", "number", "choice", "json", "tool_calls"]
GIST_KINDS: tuple[GistKind, ...] = get_args(GistKind)

_MAX_CHARACTERS = 50_000
_MAX_SAID = 20_000
_NUMBER = re.compile(r"(?<![\w.])[-\u2212]?[0-9][0-9,]*(?:\.[0-9]+)?")
_MARKER = re.compile(r"####|\\boxed|\b(?:final\s+)?answer\b\W{0,4}(?:is\b)?", re.IGNORECASE)
_CHOICE = re.compile(r"(?<![\w'])\(?([A-J])(?![\w'])")
_ALONE = re.compile(r"\A\W*([A-Ja-j])\W*\Z")
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL)
_NO_SIGN = re.compile(r"[^\w.\-]+|_")
_SHORT = 200
"""Characters of a text that is its own gist where no number stands in it."""


def gist(answer: Answer, kind: GistKind = "auto") -> str | None:
    """Returns what an answer comes down to, None where it has nothing of that kind.

    Args:
        answer: an answer that came.
        kind: `text`: all of its words; `number`: the one behind its last "answer is", `####` or boxed sign, else its
            last; `choice`: the letter A to J, likewise; `json`: the document, whatever the order of its keys;
            `tool_calls`: the tools that it calls with their arguments, in any order; `auto`: its tool calls, else the
            field called answer of its JSON object, else the whole of its JSON, else its number, choice or text.
    """
    return _KINDS[kind](answer)


def said(answer: Answer) -> str:
    """Returns the end of an answer's text, its tool calls written behind it."""
    calls = "".join(f"\n{call.name}({call.arguments})" for call in answer.tool_calls)
    return ((answer.text or "") + calls)[-_MAX_SAID:]


def numbers_of(text: str) -> list[float]:
    """Returns the numbers in a text, in order; commas between digits aside."""
    return [value for found in _NUMBER.findall(text) if (value := _to_number(found)) is not None]


def last_marker(text: str) -> int | None:
    """Returns where the text behind the last sign of a final answer begins, None where there is none."""
    ends = [found.end() for found in _MARKER.finditer(text)]
    return ends[-1] if ends else None


def _text(answer: Answer) -> str | None:
    return _plain((answer.text or "")[-_MAX_CHARACTERS:]) or None


def _plain(text: str) -> str:
    return _NO_SIGN.sub("", text.casefold())


def _to_number(text: str) -> float | None:
    try:
        return float(text.replace(",", "").replace("\u2212", "-"))
    except ValueError:
        return None


def _number(answer: Answer) -> str | None:
    text = (answer.text or "")[-_MAX_CHARACTERS:]
    start = last_marker(text)
    behind = numbers_of(text[start:]) if start is not None else []
    if behind:
        return f"{behind[0]:.12g}"
    numbers = numbers_of(text)
    return f"{numbers[-1]:.12g}" if numbers else None


def _choice(answer: Answer) -> str | None:
    text = (answer.text or "")[-_MAX_CHARACTERS:]
    alone = _ALONE.match(text)
    if alone:
        return alone[1].upper()
    start = last_marker(text)
    behind = None if start is None else _CHOICE.search(text, start)
    if behind:
        return behind[1]
    letters = _CHOICE.findall(text)
    return letters[-1] if letters else None


def _json(answer: Answer) -> str | None:
    document = _document(answer.text or "")
    return None if document is None else _canonical(document)


def _tool_calls(answer: Answer) -> str | None:
    if not answer.tool_calls:
        return None
    calls = []
    for call in answer.tool_calls:
        try:
            arguments = _canonical(read_json(call.arguments or "{}"))
        except ValueError:
            arguments = call.arguments
        calls.append(f"{call.name}({arguments})")
    return " ".join(sorted(calls))


def _auto(answer: Answer) -> str | None:
    if answer.tool_calls:
        return _tool_calls(answer)
    text = (answer.text or "")[-_MAX_CHARACTERS:].strip()
    document = _document(text)
    if isinstance(document, dict) and document:
        named = [key for key in document if "answer" in key.casefold()]
        return _plain_value(document[named[-1]]) if named else _canonical(document)
    if document is not None:
        return _canonical(document)
    if last_marker(text) is not None:
        found = _number(answer) or _choice(answer)
        if found is not None:
            return found
    if text.startswith(("[", "{")) or (len(text) < _SHORT and not numbers_of(text)):
        return _plain(text) or None
    return _number(answer) or _plain(text) or None


def _plain_value(value: Any) -> str | None:
    if isinstance(value, str):
        number = _to_number(value.strip().strip("$% "))
        return f"{number:.12g}" if number is not None else _plain(value) or None
    return _canonical(value)


def _document(text: str) -> Any:
    """The JSON object or list that a text is or holds in a fence or between its outer brackets; None without one."""
    fenced = _FENCE.search(text)
    body = fenced[1] if fenced else text
    start, end = body.find("{"), body.rfind("}")
    candidates = [body, body[start : end + 1]] if 0 <= start < end else [body]
    for one in candidates:
        try:
            # Models write line feeds into strings.
            found = json.loads(one, strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, (dict, list)):
            return found
    return None


def _canonical(value: Any) -> str:
    return json.dumps(_levelled(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _levelled(value: Any) -> Any:
    """Numbers as one type, texts without case and spaces around."""
    if isinstance(value, Mapping):
        return {key: _levelled(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_levelled(inner) for inner in value]
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53 else value


_KINDS: Mapping[GistKind, Callable[[Answer], str | None]] = {
    "auto": _auto,
    "text": _text,
    "number": _number,
    "choice": _choice,
    "json": _json,
    "tool_calls": _tool_calls,
}
