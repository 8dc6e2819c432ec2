r"""Which conditions LiteLLM's complexity router can ask, and how it asks them.

It reads the last message of the user that has text, lower-cased. A keyword of one word is found between word
boundaries, one of several words anywhere. A pattern (Python's `re`, whatever the case) reads the first 2,048
characters, may repeat one character or class at most 64 times and knows no look-around. Its token count is the length
of the message divided by four, without the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routebench.export.litellm.patterns import RefusedPatternError, bounded

_END, _RE2_END = r"\Z", r"\z"
_WORDS_EACH = 5.7
"""Characters of an English word with the space after it, where a bound on words becomes one on characters."""
_ALTERNATION = re.compile(r"(?:\(\?i\))?(?:\\b)?(?:\(\?:|\()?([\w' -]+(?:\|[\w' -]+)*)\)?(?:\\b)?")
_CODE = (
    "```",
    r"(?m:^)[ \t]{0,16}(?:def |class |import |#include|SELECT )",
    r"(?m:^)[ \t]{0,16}(?:public |function |const |let )",
    r"(?m:[;{}][ \t]{0,16}$)",
)
_QUESTION = "[?\uff1f\u061f]" + r"\s{0,32}\Z"


class InexpressibleError(Exception):
    """A condition that LiteLLM cannot ask; the text says what it lacks."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """What LiteLLM is told to look for; it is found where any of it is.

    Attributes:
        keywords: words and phrases.
        patterns: of Python's `re`.
        above: characters that the message must have at least; None for no bound.
        below: characters that it must have fewer than, likewise.
        inexact: how it differs from the condition, empty where it does not.
    """

    keywords: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    above: int | None = None
    below: int | None = None
    inexact: tuple[str, ...] = ()

    @property
    def is_words_alone(self) -> bool:
        """Whether keywords are all that is asked for, which need no score."""
        return not self.patterns and self.above is None and self.below is None

    def when(self) -> dict[str, Any]:
        """Returns the condition that LiteLLM really asks, in the words of a rules.yaml."""
        parts: list[dict[str, Any]] = []
        if self.keywords:
            parts.append({"any_keyword": list(self.keywords)})
        parts += [{"regex": f"(?i){pattern.replace(_END, _RE2_END)}"} for pattern in self.patterns]
        if self.above is not None:
            parts.append({"characters": {"ge": self.above}})
        if self.below is not None:
            parts.append({"characters": {"lt": self.below}})
        return parts[0] if len(parts) == 1 else {"any": parts}

    def beside(self, other: Matcher) -> Matcher:
        """Returns what matches where one of two does."""
        above = [one for one in (self.above, other.above) if one is not None]
        below = [one for one in (self.below, other.below) if one is not None]
        return Matcher(
            tuple(dict.fromkeys((*self.keywords, *other.keywords))),
            tuple(dict.fromkeys((*self.patterns, *other.patterns))),
            min(above, default=None),
            max(below, default=None),
            tuple(dict.fromkeys((*self.inexact, *other.inexact))),
        )


Clause = tuple[Matcher, ...]
"""Matchers that must all match."""


def when_of(clause: Clause) -> dict[str, Any]:
    """Returns the condition of a clause, in the words of a rules.yaml."""
    return clause[0].when() if len(clause) == 1 else {"all": [one.when() for one in clause]}


def clause_of(when: Mapping[str, Any], scope: str = "user") -> Clause:
    """Returns how LiteLLM asks a condition.

    Args:
        when: as in a rules.yaml.
        scope: which messages are read where `in` does not say.

    Raises:
        InexpressibleError: it cannot.
    """
    where = when.get("in", scope)
    found: list[Matcher] = []
    for key, value in when.items():
        if key == "all":
            found += [one for part in value for one in clause_of(part, where)]
        elif key == "any":
            parts = [clause_of(part, where) for part in value]
            if any(len(part) > 1 for part in parts):
                raise InexpressibleError("it cannot ask for one of several conditions that have several parts")
            found.append(_any([part[0] for part in parts]))
        elif key == "not":
            found.append(_not(value, where))
        elif key == "all_keywords":
            found += [_keywords([word]) for word in value]
        elif key != "in":
            found.append(_single(key, value, where))
    if not found:
        raise InexpressibleError("it has no condition that always holds")
    return tuple(found)


def _single(key: str, value: Any, where: str) -> Matcher:
    read = _READ.get(key)
    if read is None:
        raise InexpressibleError(_LACKS.get(key, f"it reads no `{key}`"))
    if where != "user" and key != "input_tokens":
        raise InexpressibleError(f"it reads the last user message alone, not `{where}`")
    found: Matcher = read(value)
    return found


def _any(parts: Sequence[Matcher]) -> Matcher:
    found = parts[0]
    for one in parts[1:]:
        found = found.beside(one)
    return found


def _not(when: Mapping[str, Any], scope: str) -> Matcher:
    """The other side of a bound is one; of nothing else there is one."""
    if len(when) == 1 and next(iter(when)) in _LENGTHS:
        (inside,) = clause_of(when, scope)
        if inside.above is not None:
            return Matcher(below=inside.above, inexact=inside.inexact)
        return Matcher(above=inside.below, inexact=inside.inexact)
    raise InexpressibleError("it cannot ask for what is not there")


def _keywords(words: Sequence[str]) -> Matcher:
    odd, phrases = [], []
    for word in words:
        if " " in word.strip():
            phrases.append(word)
        elif not (re.match(r"\w", word) and re.search(r"\w\Z", word)):
            odd.append(word)
    if odd:
        # A boundary beside a sign is none: LiteLLM would find `c++` only where a letter follows.
        plain = [word for word in words if word not in odd]
        patterns = tuple(_signs(word) for word in odd)
        rest = ("keywords that begin or end in a sign are looked for in the first 2,048 characters",)
        return Matcher(tuple(plain), patterns, inexact=(*_phrased(phrases), *rest))
    return Matcher(tuple(words), inexact=_phrased(phrases))


def _phrased(phrases: Sequence[str]) -> tuple[str, ...]:
    return ("phrases are found inside longer words too, and only with single spaces",) if phrases else ()


def _signs(word: str) -> str:
    before = r"\b" if re.match(r"\w", word) else ""
    after = r"\b" if re.search(r"\w\Z", word) else ""
    return before + re.escape(word) + after


def _regex(pattern: str) -> Matcher:
    plain = _ALTERNATION.fullmatch(pattern)
    if plain and pattern.count("\\b") == 2 and pattern.count("(") == pattern.count(")"):
        words = tuple(word for word in plain[1].split("|") if word.strip())
        case = () if pattern.startswith("(?i)") else ("it ignores case",)
        return Matcher(words, inexact=(*_phrased([word for word in words if " " in word]), *case))
    try:
        found = bounded(pattern)
    except RefusedPatternError as error:
        raise InexpressibleError(str(error)) from None
    inexact = ["patterns read the first 2,048 characters"]
    if "".join(found) != pattern.removeprefix("(?i)").replace("|", ""):
        inexact.append("open repetitions have an end")
    if not pattern.startswith("(?i)"):
        inexact.append("patterns ignore case")
    return Matcher(patterns=found, inexact=tuple(inexact))


def _characters(bounds: Mapping[str, float]) -> Matcher:
    return _length(bounds, 1.0, ())


def _words(bounds: Mapping[str, float]) -> Matcher:
    return _length(bounds, _WORDS_EACH, (f"words are counted as {_WORDS_EACH} characters each",))


def _input_tokens(bounds: Mapping[str, float]) -> Matcher:
    return _length(bounds, 4.0, ("the last user message is measured, not the whole request",))


def _length(bounds: Mapping[str, float], each: float, inexact: tuple[str, ...]) -> Matcher:
    """A bound in characters: of four a token is made, so that more than t tokens are more than 4 t characters."""
    least = [math.floor(bounds["gt"] * each) + 1] if bounds.get("gt") is not None else []
    if bounds.get("ge") is not None:
        least.append(math.ceil(bounds["ge"] * each) if each != 4.0 else math.floor(4 * (bounds["ge"] - 1)) + 1)
    most = [math.floor(bounds["le"] * each) + 1] if bounds.get("le") is not None else []
    if bounds.get("lt") is not None:
        most.append(math.ceil(bounds["lt"] * each) if each != 4.0 else math.floor(4 * (bounds["lt"] - 1)) + 1)
    if least and most:
        raise InexpressibleError("it knows lengths above a bound or below one, not between two")
    return Matcher(above=max(least, default=None), below=min(most, default=None), inexact=inexact)


def _has_code(wanted: bool) -> Matcher:  # noqa: FBT001 - the value is data
    if not wanted:
        raise InexpressibleError("it cannot ask for what is not there")
    return Matcher(patterns=_CODE, inexact=("code is looked for in the first 2,048 characters",))


def _is_question(wanted: bool) -> Matcher:  # noqa: FBT001 - the value is data
    if not wanted:
        raise InexpressibleError("it cannot ask for what is not there")
    return Matcher(patterns=(_QUESTION,), inexact=("a question mark counts at the end of the first 2,048 characters",))


_LENGTHS = ("characters", "words", "input_tokens")
_READ: Mapping[str, Any] = {
    "any_keyword": _keywords,
    "regex": _regex,
    "characters": _characters,
    "words": _words,
    "input_tokens": _input_tokens,
    "has_code": _has_code,
    "is_question": _is_question,
}
_LACKS: Mapping[str, str] = {
    "time": "it knows no time of day",
    "budget_pace": "it knows no pace of spend",
    "has_tools": "it looks at no tools when it routes",
    "has_images": "it routes by images only away from models that cannot see",
    "language": "it knows no languages",
    "turns": "it counts no turns",
    "tag": "its tags choose deployments, not tiers",
}
