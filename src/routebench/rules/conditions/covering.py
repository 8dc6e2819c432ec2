"""Whether conditions surely match every request that another one matches, shown from their keys alone.

What cannot be shown this way may still be true: only the answer that it is covered can be relied on.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
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
_RANGES = ("characters", "words", "digits", "input_tokens", "turns", "budget_pace")
_KEYWORDS = ("any_keyword", "all_keywords")
_MOST_ALTERNATIVES = 4096
"""Beyond so many combinations of alternatives nobody should wait for a proof."""


def covered(when: Mapping[str, Any], by: Sequence[Mapping[str, Any]], scope: Scope = "conversation") -> bool:
    """Whether every request that matches `when` surely matches at least one of `by`; False where that does not show.

    Args:
        when: the YAML form of a condition that is known to be right.
        by: likewise; they are alternatives, as of several guards that forbid the same.
        scope: which messages are read where `in` does not say; that of guards when left out.
    """
    from routebench.rules.conditions.when import WhenSettings

    alternatives = [_atoms(WhenSettings.model_validate(dict(one)), scope) for one in by]
    narrow = _atoms(WhenSettings.model_validate(dict(when)), scope)
    return _cover(narrow, alternatives) is not None


def unreached(whens: Sequence[WhenSettings], scope: Scope = "user") -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yields conditions that earlier ones surely take every request of: its place, and theirs.

    Conditions that match every request cover nothing here: they are another mistake.

    Args:
        whens: in the order in which they are asked; the first that matches takes the request.
        scope: which messages are read where `in` does not say.
    """
    rules = [_atoms(when, scope) for when in whens]
    shown = [frozenset(_shows(atoms)) for atoms in rules]
    asked = [[frozenset(_asks(atom)) for atom in atoms] for atoms in rules]
    numbers = Counter(token for tokens in shown for token in tokens)
    # An earlier rule is filed under one of its tests, the rarest, and looked at only where its tokens are shown.
    filed: dict[Hashable, list[int]] = {}
    for place, atoms in enumerate(rules):
        places = sorted({one for token in shown[place] for one in filed.get(token, ())})
        likely = [one for one in places if not any(map(shown[place].isdisjoint, asked[one]))]
        found = _cover(atoms, [rules[one] for one in likely]) if likely else None
        if found is not None:
            yield place, tuple(likely[one] for one in found)
        if not _is_always(atoms):
            rarest = min(asked[place], key=lambda tokens: sum(numbers[token] for token in tokens))
            for token in rarest:
                filed.setdefault(token, []).append(place)


def matches_always(when: WhenSettings) -> bool:
    """Whether a condition surely matches every request, for it asks for nothing."""
    return _is_always(_atoms(when, "user"))


def _cover(narrow: _Atoms, alternatives: Sequence[_Atoms]) -> tuple[int, ...] | None:
    """The places of alternatives that match wherever `narrow` does: one if one suffices; None where nothing shows."""
    parts = _parts(narrow)
    first = narrow if parts is None else next(parts)
    # What covers all of it covers each part, and most alternatives do not even cover the first.
    likely = [place for place, wide in enumerate(alternatives) if _implies(first, wide)]
    for place in likely:
        if _implies(narrow, alternatives[place]):
            return (place,)
    if parts is None or not likely:
        return None
    used = {likely[0]}
    for part in parts:
        place = next((place for place, wide in enumerate(alternatives) if _implies(part, wide)), -1)
        if place < 0:
            return None
        used.add(place)
    return tuple(sorted(used))


@dataclass(frozen=True, slots=True)
class _Atom:
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
    if key in _KEYWORDS:
        return frozenset(spaced(fold(word)) for word in value)
    if key in _RANGES:
        return _ends(value)
    if key == "time":
        return value.window()
    return _set(value) if key in ("language", "tag") else value


def _set(value: Any) -> frozenset[Any]:
    return frozenset(value if isinstance(value, list) else [value])


# Loops, not generators, for these three are asked some hundred thousand times of a long file.
def _implies(narrow: _Atoms, wide: _Atoms) -> bool:
    for atom in wide:  # noqa: SIM110
        if not _shown(narrow, atom):
            return False
    return True


def _shown(narrow: _Atoms, wide: _Atom) -> bool:
    """Whether a request that passes all of `narrow` surely passes one test more."""
    if wide.key == "any":
        for one in wide.value:
            if _implies(narrow, one):
                return True
    for atom in narrow:
        if (atom.key == wide.key or atom.key in _KEYWORDS) and atom.scope == wide.scope and _passes(atom, wide):
            return True
    return False


def _passes(narrow: _Atom, wide: _Atom) -> bool:
    """Whether a test of the same key, or of keywords, surely passes another one of the same scope."""
    if (narrow.key, wide.key) == ("all_keywords", "any_keyword"):
        return not narrow.value.isdisjoint(wide.value)
    if (narrow.key, wide.key) == ("any_keyword", "all_keywords"):
        return len(narrow.value) == 1 and bool(wide.value <= narrow.value)
    if narrow.key != wide.key:
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


def _inside(narrow: _Ends, wide: _Ends) -> bool:
    return narrow[0] >= wide[0] and narrow[1] <= wide[1]


_Ends = tuple[tuple[float, int], tuple[float, int]]
"""The bounds of a range as (number, strictness): of two at the same number the strict one admits less."""


def _ends(bounds: RangeSettings) -> _Ends:
    low = [(value, strict) for value, strict in ((bounds.ge, 0), (bounds.gt, 1)) if value is not None]
    high = [(value, strict) for value, strict in ((bounds.le, 0), (bounds.lt, -1)) if value is not None]
    if any(math.isnan(value) for value, _ in low + high):
        # No number is above or below what YAML writes as .nan, and no bound is more or less than these.
        return (math.nan, 0), (math.nan, 0)
    return max(low, default=(-math.inf, 0)), min(high, default=(math.inf, 0))


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


def _is_always(atoms: _Atoms) -> bool:
    return all(atom.key == "any" and any(_is_always(one) for one in atom.value) for atom in atoms)


def _asks(atom: _Atom) -> Iterator[Hashable]:
    """Tokens of which every condition shows one that surely passes this test."""
    if atom.key == "any":
        # It passes one of the alternatives as a whole, so it shows what a test of that one asks for.
        for one in atom.value:
            yield from _asks(one[0]) if one else ()
    elif atom.key == "all_keywords":
        # All of its words have to be there, so any one of them will do.
        yield "word", atom.scope, min(atom.value)
    else:
        yield from _tokens(atom)


def _shows(atoms: _Atoms) -> Iterator[Hashable]:
    """The tokens that a condition has."""
    for atom in atoms:
        if atom.key == "any":
            for one in atom.value:
                yield from _shows(one)
        else:
            yield from _tokens(atom)


def _tokens(atom: _Atom) -> Iterator[Hashable]:
    if atom.key == "not":
        yield atom.key
    elif atom.key in _RANGES:
        yield atom.key, atom.scope
    elif isinstance(atom.value, frozenset):
        key = "word" if atom.key in _KEYWORDS else atom.key
        yield from ((key, atom.scope, one) for one in atom.value)
    else:
        yield atom.key, atom.scope, atom.value
