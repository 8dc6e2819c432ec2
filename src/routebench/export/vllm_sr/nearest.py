"""The nearest condition that vLLM Semantic Router can ask: of a rule a narrower one, of a guard a wider one.

What it cannot read makes a rule match less often, so that a request goes on to the next rule, and a guard hold more
often, so that nothing gets past it. Its texts are the last user message alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TEXTS = ("any_keyword", "all_keywords", "regex", "language", "characters", "words", "has_code", "is_question")
_REQUESTS = ("input_tokens", "turns", "has_tools", "has_images")
_METADATA = "metadata."

HISTORY: Mapping[str, Any] = {"in": "history", "characters": {"gt": 0}}
"""Something was said before the last user message, or after it."""
UNUSUAL = (
    r"[\p{M}\x{00AA}\x{00AD}\x{00BA}\x{0130}\x{0131}\x{017F}\x{02B0}-\x{02B8}\x{034F}\x{061C}\x{115F}\x{1160}"
    r"\x{180B}-\x{180F}\x{1D2C}-\x{1D6A}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{209C}\x{2100}-\x{218F}"
    r"\x{2460}-\x{24FF}\x{3164}\x{FB00}-\x{FB06}\x{FE00}-\x{FE0F}\x{FEFF}\x{FF01}-\x{FFEF}\x{FFF0}-\x{FFF8}"
    r"\x{1D400}-\x{1D7FF}\x{1F100}-\x{1F1FF}\x{E0000}-\x{E0FFF}]"
)
"""Characters with which a word can be written so that only folded text shows it: full-width ones, zero-width ones."""
_TOKEN_MARGIN = 2
"""Its estimate of tokens and ours differ by less than this factor."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """A condition in its own words.

    Attributes:
        when: the YAML form; None where nothing is left of a rule's condition.
        notes: why it is not the same, one a difference; empty where it is.
        always: whether every request matches it.
    """

    when: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()
    always: bool = False


def of_rule(when: Mapping[str, Any]) -> Nearest:
    """Returns a condition that matches only what a rule's condition matches."""
    return _nearest(when, "user", widen=False)


def of_guard(when: Mapping[str, Any]) -> Nearest:
    """Returns a condition that matches all that a guard's condition matches."""
    return _nearest(when, "conversation", widen=True)


def _nearest(when: Mapping[str, Any], scope: str, *, widen: bool) -> Nearest:
    notes: dict[str, None] = {}
    found = _Reduction(notes, for_guard=widen).all_of(when, scope, widen=widen)
    if isinstance(found, bool):
        return Nearest({} if found else None, tuple(notes), always=found)
    return Nearest(found, tuple(notes))


_Found = Mapping[str, Any] | bool
"""A condition, or what is always so."""


class _Reduction:
    """Goes through a condition.

    Args:
        notes: where differences are put.
        for_guard: what is inexact must be on the safe side.
    """

    def __init__(self, notes: dict[str, None], *, for_guard: bool) -> None:
        self._notes = notes
        self._for_guard = for_guard

    def all_of(self, when: Mapping[str, Any], scope: str, *, widen: bool) -> _Found:
        """A condition whose keys must all hold."""
        scope = when.get("in") or scope
        return _joined(list(self._parts(when, scope, widen=widen)), "all")

    def _parts(self, when: Mapping[str, Any], scope: str, *, widen: bool) -> Iterator[_Found]:
        for key, value in _flat(when):
            if key == "in":
                continue
            if key == "any":
                yield _joined([self.all_of(one, scope, widen=widen) for one in value], "any")
            elif key == "all":
                yield _joined([self.all_of(one, scope, widen=widen) for one in value], "all")
            elif key == "not":
                inner = self.all_of(value, scope, widen=not widen)
                yield (not inner) if isinstance(inner, bool) else {"not": inner}
            elif key in _TEXTS:
                yield self._text(key, value, scope, widen=widen)
            elif key.startswith(_METADATA):
                yield self._metadata(key, value, widen=widen)
            elif key in _REQUESTS:
                yield self._request(key, value, widen=widen)
            else:
                yield self._unread(f"it does not read `{key}`", widen=widen)

    def _unread(self, note: str, *, widen: bool) -> bool:
        self._notes[note] = None
        return widen

    def _text(self, key: str, value: Any, scope: str, *, widen: bool) -> _Found:
        if scope not in ("user", "conversation"):
            return self._unread(f"it does not read the texts of `in: {scope}`", widen=widen)
        if key == "language":
            if self._for_guard:
                return self._unread("another detector tells the language there", widen=widen)
            self._notes["another detector tells the language there"] = None
        found: Mapping[str, Any] = {"in": "user", key: value}
        if key in ("any_keyword", "all_keywords") and self._for_guard:
            self._notes["a text with unusual forms of letters counts as a match, for it does not fold them"] = None
            unusual = {"in": "user", "regex": UNUSUAL}
            found = {"any": [found, unusual]} if widen else {"all": [found, {"not": unusual}]}
        if scope == "user":
            return found
        self._notes[
            "it reads the last user message alone: with anything before or after it the condition "
            + ("holds" if widen else "does not hold")
        ] = None
        return {"any": [found, HISTORY]} if widen else {"all": [found, {"not": HISTORY}]}

    def _metadata(self, key: str, value: Any, *, widen: bool) -> _Found:
        values = value if isinstance(value, list) else [value]
        if all(isinstance(one, str) for one in values):
            return {key: value}
        return self._unread(f"it compares `{key}` with texts alone", widen=widen)

    def _request(self, key: str, value: Any, *, widen: bool) -> _Found:
        if key != "input_tokens":
            return {key: value}
        self._notes["it estimates tokens another way"] = None
        bounds = _bounds(value)
        if self._for_guard:
            factor = _TOKEN_MARGIN if widen else 1 / _TOKEN_MARGIN
            bounds = {name: bound / factor if name[0] == "g" else bound * factor for name, bound in bounds.items()}
        low = [
            math.floor(bound) + 1 if name == "gt" else math.ceil(bound)
            for name, bound in bounds.items()
            if name[0] == "g"
        ]
        high = [
            math.ceil(bound) - 1 if name == "lt" else math.floor(bound)
            for name, bound in bounds.items()
            if name[0] == "l"
        ]
        whole = {**({"ge": max(low)} if low else {}), **({"le": min(high)} if high else {})}
        if low and high and max(low) > min(high):
            return False
        return {"input_tokens": whole}


def _bounds(value: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(bound) for name, bound in value.items() if bound is not None}


def _flat(when: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of a condition, those of `metadata` one by one."""
    for key, value in when.items():
        if key == "metadata":
            yield from ((f"{_METADATA}{name}", one) for name, one in value.items())
        elif value is not None:
            yield key, value


def _joined(parts: Sequence[_Found], how: str) -> _Found:
    """Parts as one condition, without those that are always so or never."""
    decisive = how == "any"
    if any(part is decisive for part in parts):
        return decisive
    left = [part for part in parts if not isinstance(part, bool)]
    if not left:
        return not decisive
    return left[0] if len(left) == 1 else {how: left}


PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
"""A keyword that its own keyword signal finds as ours does."""
