"""What a request would be without a word: for explanations that say what a word decided."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from routebench.rules.conditions.condition import Condition
from routebench.rules.contents import Guard, Rule
from routebench.rules.reading.keywords import Phrase, fold, spaced
from routebench.rules.reading.request import Reading, Scope
from routebench.types import Request

_KEYWORDS = ("any_keyword", "all_keywords")
_MOST_WORDS = 5
_NOT_SAID = ("role", "type", "id", "tool_call_id")
"""Keys of a message, or of a part of one, whose values are no words of it."""
_JOINS = re.compile("[\uff9e\uff9f\u1160-\u11ff]")
"""Letters that become one with the letter before them: half-width voicing marks, Korean vowels and finals."""


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
    """Returns a request without a word, wherever a message says it as keywords are found: in any case and any form.

    In what tools are called with and what they answered too; what is left of a text stays as it was written.
    """
    phrase = Phrase(spaced(fold(word)))
    return replace(request, messages=tuple(_without(phrase, message) for message in request.messages))


def _keywords(when: Mapping[str, Any], scope: Scope) -> Iterator[tuple[str, Scope]]:
    where = when.get("in") or scope
    for key in _KEYWORDS:
        yield from ((word, where) for word in when.get(key) or ())
    for key in ("any", "all"):
        for inner in when.get(key) or ():
            yield from _keywords(inner, where)


def _without(phrase: Phrase, said: Any) -> Any:
    if isinstance(said, str):
        return _cut(phrase, said) if phrase.stands_in(spaced(fold(said))) else said
    if isinstance(said, Mapping):
        return {key: inner if key in _NOT_SAID else _without(phrase, inner) for key, inner in said.items()}
    return [_without(phrase, inner) for inner in said] if isinstance(said, (list, tuple)) else said


def _cut(phrase: Phrase, text: str) -> str:
    clusters = list(_clusters(text))
    folded = [fold(cluster) for cluster in clusters]
    # Which cluster each folded character comes from: one may fold to several, or to none.
    origin = [place for place, piece in enumerate(folded) for _ in piece]
    joined = "".join(folded)
    for found in re.finditer(r"\s+".join(map(re.escape, phrase.text.split())), joined):
        if phrase.stands_in(spaced(joined[max(0, found.start() - 1) : found.end() + 1])):
            first, last = origin[found.start()], origin[found.end() - 1]
            clusters[first : last + 1] = [" "] + [""] * (last - first)
    return "".join(clusters)


def _clusters(text: str) -> Iterator[str]:
    """The characters of a text, each with the marks and the unseen characters that follow it."""
    start = 0
    for place in range(1, len(text)):
        character = text[place]
        if not (_JOINS.match(character) or unicodedata.category(character)[0] == "M" or not fold(character)):
            yield text[start:place]
            start = place
    yield text[start:]
