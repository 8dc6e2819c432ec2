"""What a request would be without a word: for explanations that say what a word decided."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from routebench.rules.conditions.condition import Condition
from routebench.rules.contents import Guard, Rule
from routebench.rules.reading.request import Reading, Scope
from routebench.types import Message, Request

_KEYWORDS = ("any_keyword", "all_keywords")
_MOST_WORDS = 5


def words_of(conditions: Sequence[Rule | Guard], reading: Reading, scope: Scope) -> list[str]:
    """Returns the keywords of conditions that stand in a request, each once and not more than a person would read."""
    found = dict.fromkeys(
        word
        for one in conditions
        for word, where in _keywords(one.when, scope)
        if Condition.parse({"any_keyword": [word]}, where).matches(reading)
    )
    return list(found)[:_MOST_WORDS]


def removed(word: str, request: Request) -> Request:
    """Returns a request without a word, wherever it stands in a message's text, in any case."""
    pattern = re.compile(re.escape(word), re.IGNORECASE)
    return replace(request, messages=tuple(_without(pattern, message) for message in request.messages))


def _keywords(when: Mapping[str, Any], scope: Scope) -> Iterator[tuple[str, Scope]]:
    where = when.get("in") or scope
    for key in _KEYWORDS:
        yield from ((word, where) for word in when.get(key) or ())
    for key in ("any", "all"):
        for inner in when.get(key) or ():
            yield from _keywords(inner, where)


def _without(pattern: re.Pattern[str], message: Message) -> Message:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": pattern.sub(" ", content)}
    if isinstance(content, (list, tuple)):
        return {**message, "content": [_part_without(pattern, part) for part in content]}
    return message


def _part_without(pattern: re.Pattern[str], part: Any) -> Any:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return {**part, "text": pattern.sub(" ", part["text"])}
    return part
