"""Whether conditions surely match every request that another one matches, shown from their keys alone.

What cannot be shown this way may still be true: only the answer that it is covered can be relied on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from routebench.rules.reading import Scope

if TYPE_CHECKING:
    from routebench.rules.when import RangeSettings, WhenSettings

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
_WHOLE = ("input_tokens", "turns", "tag", "has_tools", "has_images", "json_schema")
_RANGES = ("characters", "words", "digits", "input_tokens", "turns")
_MOST_ALTERNATIVES = 4096
"""Beyond so many combinations of alternatives nobody should wait for a proof."""


def covered(when: Mapping[str, Any], by: Sequence[Mapping[str, Any]], scope: Scope = "conversation") -> bool:
    """Whether every request that matches `when` surely matches at least one of `by`; False where that does not show.

    Args:
        when: the YAML form of a condition that is known to be right.
        by: likewise; they are alternatives, as of several guards that forbid the same.
        scope: which messages are read where `in` does not say; that of guards when left out.
    """
    from routebench.rules.when import WhenSettings

    alternatives = [_atoms(WhenSettings.model_validate(dict(one)), scope) for one in by]
    narrow = _atoms(WhenSettings.model_validate(dict(when)), scope)
    if any(_implies(narrow, wide) for wide in alternatives):
        return True
    parts = _parts(narrow)
    return parts is not None and all(any(_implies(part, wide) for wide in alternatives) for part in parts)


@dataclass(frozen=True, slots=True)
class _Atom:
    """One test of a condition.

    Attributes:
        key: as in the YAML form; `metadata.NAME` for one value.
        scope: whose messages are read; None where it does not matter.
        value: a set of words or values, a range, a flag, a pattern; for `any` a tuple of conditions, for `not` one.
    """

    key: str
    scope: Scope | None
    value: Any


_Atoms = tuple[_Atom, ...]
"""Tests that must all hold."""


def _atoms(when: WhenSettings, scope: Scope) -> _Atoms:
    scope = when.in_ or scope
    found = [_Atom(key, scope, _value(key, getattr(when, key))) for key in _TEXTUAL if getattr(when, key) is not None]
    found += [_Atom(key, None, _value(key, getattr(when, key))) for key in _WHOLE if getattr(when, key) is not None]
    found += [_Atom(f"metadata.{name}", None, _set(value)) for name, value in when.metadata.items()]
    if when.any is not None:
        found.append(_Atom("any", None, tuple(_atoms(one, scope) for one in when.any)))
    for one in when.all or ():
        found += _atoms(one, scope)
    if when.not_ is not None:
        found.append(_Atom("not", None, _atoms(when.not_, scope)))
    return tuple(found)


def _value(key: str, value: Any) -> Any:
    if key in ("any_keyword", "all_keywords"):
        return frozenset(word.casefold() for word in value)
    return _set(value) if key in ("language", "tag") else value


def _set(value: Any) -> frozenset[Any]:
    return frozenset(value if isinstance(value, list) else [value])


def _implies(narrow: _Atoms, wide: _Atoms) -> bool:
    return all(_shown(narrow, atom) for atom in wide)


def _shown(narrow: _Atoms, wide: _Atom) -> bool:
    """Whether a request that passes all of `narrow` surely passes one test more."""
    if wide.key == "any" and any(_implies(narrow, one) for one in wide.value):
        return True
    return any(_passes(atom, wide) for atom in narrow)


def _passes(narrow: _Atom, wide: _Atom) -> bool:
    if (narrow.key, wide.key) == ("all_keywords", "any_keyword"):
        return narrow.scope == wide.scope and not narrow.value.isdisjoint(wide.value)
    if (narrow.key, wide.key) == ("any_keyword", "all_keywords"):
        return narrow.scope == wide.scope and len(narrow.value) == 1 and bool(wide.value <= narrow.value)
    if (narrow.key, narrow.scope) != (wide.key, wide.scope):
        return False
    if wide.key == "not":
        # What excludes more lets less through.
        return _implies(wide.value, narrow.value)
    if wide.key == "any":
        return all(any(_implies(one, other) for other in wide.value) for one in narrow.value)
    if wide.key == "all_keywords":
        return bool(wide.value <= narrow.value)
    if isinstance(wide.value, frozenset):
        return bool(narrow.value <= wide.value)
    if wide.key in _RANGES:
        return _inside(narrow.value, wide.value)
    return bool(narrow.value == wide.value)


def _inside(narrow: RangeSettings, wide: RangeSettings) -> bool:
    if any(bound is not None and math.isnan(bound) for bound in (wide.lt, wide.le, wide.gt, wide.ge)):
        # No number is above or below what YAML writes as .nan, so nothing matches.
        return False
    return _low(narrow) >= _low(wide) and _high(narrow) <= _high(wide)


def _low(bounds: RangeSettings) -> tuple[float, int]:
    """The lower bound as (number, strictness): of two at the same number the strict one admits less."""
    pairs = [(bounds.ge, 0), (bounds.gt, 1)]
    return max(((value, strict) for value, strict in pairs if value is not None), default=(float("-inf"), 0))


def _high(bounds: RangeSettings) -> tuple[float, int]:
    pairs = [(bounds.le, 0), (bounds.lt, -1)]
    return min(((value, strict) for value, strict in pairs if value is not None), default=(float("inf"), 0))


def _parts(narrow: _Atoms) -> Iterator[_Atoms] | None:
    """Conditions of which at least one holds where `narrow` does; None where there would be too many to look at."""
    choices = [_alternatives(atom) for atom in narrow]
    number = 1
    for choice in choices:
        number *= len(choice)
    if number > _MOST_ALTERNATIVES:
        return None
    return (tuple(itertools.chain.from_iterable(one)) for one in itertools.product(*choices))


def _alternatives(atom: _Atom) -> list[_Atoms]:
    if atom.key == "any":
        return [part for one in atom.value for part in (_parts(one) or (one,))]
    if isinstance(atom.value, frozenset) and atom.key != "all_keywords":
        return [(_Atom(atom.key, atom.scope, frozenset([one])),) for one in atom.value]
    return [(atom,)]
