"""Conditions taken apart into their tests, to be compared with each other and not with requests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routebench.rules.reading.keywords import fold, spaced
from routebench.rules.reading.request import Scope

if TYPE_CHECKING:
    from routebench.rules.conditions.when import RangeSettings, WhenSettings

_TEXTUAL = (
    "any_keyword",
    "all_keywords",
    "regex",
    "language",
    "characters",
    "words",
    "digits",
    "has_code",
    "is_question",
)
"""Keys that read the messages of a scope; the others read the request as a whole."""
_WHOLE = (
    "input_tokens",
    "turns",
    "tag",
    "has_tools",
    "has_images",
    "has_unread",
    "json_schema",
    "time",
    "budget_pace",
)
RANGES = ("characters", "words", "digits", "input_tokens", "turns", "budget_pace")
KEYWORDS = ("any_keyword", "all_keywords")


@dataclass(frozen=True, slots=True)
class Atom:
    """One test of a condition.

    Attributes:
        key: as in the YAML form; `metadata.NAME` for one value.
        scope: whose messages are read; None where it does not matter.
        value: a set of words or values, a range as its two ends, a flag, a pattern, a window of time; for `any` a
            tuple of conditions, for `not` one.
    """

    key: str
    scope: Scope | None
    value: Any


Atoms = tuple[Atom, ...]
"""Tests that must all hold."""
Bound = tuple[float, int]
Ends = tuple[Bound, Bound]
"""The bounds of a range as (number, strictness): of two at the same number the strict one admits less."""


def atoms_of(when: WhenSettings, scope: Scope) -> Atoms:
    """Returns the tests of a condition; those of its `all` are among them.

    Args:
        when: the condition.
        scope: which messages are read where `in` does not say.
    """
    scope = when.in_ or scope
    found = [Atom(key, scope, _value(key, getattr(when, key))) for key in _TEXTUAL if getattr(when, key) is not None]
    found += [Atom(key, None, _value(key, getattr(when, key))) for key in _WHOLE if getattr(when, key) is not None]
    found += [Atom(f"metadata.{name}", None, _set(value)) for name, value in when.metadata.items()]
    if when.any is not None:
        found.append(Atom("any", None, tuple(atoms_of(one, scope) for one in when.any)))
    for one in when.all or ():
        found += atoms_of(one, scope)
    if when.not_ is not None:
        found.append(Atom("not", None, atoms_of(when.not_, scope)))
    return tuple(found)


def is_always(atoms: Atoms) -> bool:
    """Whether they surely match every request, for they ask for nothing."""
    return all(passes_always(atom) for atom in atoms)


def passes_always(atom: Atom) -> bool:
    """Whether every request surely passes a test, for one of its alternatives asks for nothing."""
    return atom.key == "any" and any(is_always(one) for one in atom.value)


def is_inside(narrow: Ends, wide: Ends) -> bool:
    """Whether every number of one range is in another one."""
    return narrow[0] >= wide[0] and narrow[1] <= wide[1]


def _value(key: str, value: Any) -> Any:
    if key in KEYWORDS:
        return frozenset(spaced(fold(word)) for word in value)
    if key in RANGES:
        return _ends(value)
    if key == "time":
        return value.window()
    return _set(value) if key in ("language", "tag") else value


def _set(value: Any) -> frozenset[Any]:
    return frozenset(value if isinstance(value, list) else [value])


def _ends(bounds: RangeSettings) -> Ends:
    low = [(value, strict) for value, strict in ((bounds.ge, 0), (bounds.gt, 1)) if value is not None]
    high = [(value, strict) for value, strict in ((bounds.le, 0), (bounds.lt, -1)) if value is not None]
    if any(math.isnan(value) for value, _ in low + high):
        # No number is above or below what YAML writes as .nan, and no bound is more or less than these.
        return (math.nan, 0), (math.nan, 0)
    return max(low, default=(-math.inf, 0)), min(high, default=(math.inf, 0))
