"""An index of conditions, by what another one must have to be covered by them.

A condition covers another one only if each of its tests is surely passed, and what passes a test surely has a mark of
it: the same word, flag or pattern, or a range within its range. So of a long list few are left to be compared. Sets of
conditions are the bits of whole numbers here, the first condition the lowest bit.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import or_

from routebench.rules.conditions.atoms import KEYWORDS, RANGES, Atom, Atoms, Bound, Ends, passes_always

_Mark = tuple[Hashable, Ends | None]
"""What is read, and the ends of a range where it is one; of anything else the value belongs to what is read."""


class Catalogue:
    """Conditions in their order.

    Args:
        conditions: their tests; those that match every request are never likely.
    """

    def __init__(self, conditions: Sequence[Atoms]) -> None:
        self._shown = [frozenset(_shown_by(atoms)) for atoms in conditions]
        numbers = Counter(mark for marks in self._shown for mark in marks)
        asked = [[_rarest(one, numbers) for one in _telling(atoms)] for atoms in conditions]
        self._usable = _bits(place for place, tests in enumerate(asked) if tests)
        # The first test of all conditions, the second of all that have one, and so on.
        self._columns = [
            _Column([(place, tests[number]) for place, tests in enumerate(asked) if number < len(tests)])
            for number in range(max(map(len, asked), default=0))
        ]

    def likely(self, place: int) -> list[int]:
        """Returns the places before one of which the conditions may cover it or a part of it; no other one can."""
        found = self._usable & ((1 << place) - 1)
        for column in self._columns:
            if not found:
                break
            found &= column.passed(self._shown[place])
        return list(_places(found))


class _Column:
    """One test of each of many conditions.

    Args:
        tests: the marks of each, with the place of the condition.
    """

    def __init__(self, tests: Sequence[tuple[int, Sequence[_Mark]]]) -> None:
        self._same: dict[Hashable, int] = {}
        ranges: dict[Hashable, list[tuple[Ends, int]]] = {}
        present = unsure = 0
        for place, marks in tests:
            bit = 1 << place
            present |= bit
            for what, ends in marks:
                if ends is None:
                    self._same[what] = self._same.get(what, 0) | bit
                elif _has_order(ends):
                    ranges.setdefault(what, []).append((ends, bit))
                else:
                    unsure |= bit
        self._ranges = {what: _Ranges(some) for what, some in ranges.items()}
        self._all = present
        # Of all others the test passes, for they have none: bits without an end.
        self._others = ~present | unsure

    def passed(self, shown: Iterable[_Mark]) -> int:
        """The conditions whose test may be passed by one with these marks."""
        found = self._others
        for what, ends in shown:
            if ends is None:
                found |= self._same.get(what, 0)
            elif what in self._ranges:
                found |= self._ranges[what].around(ends) if _has_order(ends) else self._all
        return found


class _Ranges:
    """Ranges of one number, each with a bit."""

    def __init__(self, ranges: Sequence[tuple[Ends, int]]) -> None:
        self._lows, self._from = _growing([(ends[0], bit) for ends, bit in ranges])
        self._highs, self._to = _growing([(_less(ends[1]), bit) for ends, bit in ranges])

    def around(self, ends: Ends) -> int:
        """The bits of those that hold all of a range."""
        low, high = ends
        begins = self._from[bisect_right(self._lows, low)]
        return begins & self._to[bisect_right(self._highs, _less(high))]


def _growing(bounds: list[tuple[Bound, int]]) -> tuple[list[Bound], list[int]]:
    """Bounds in their order, and before each place and after the last the bits of all bounds until there."""
    bounds.sort()
    return [bound for bound, _ in bounds], list(accumulate((bit for _, bit in bounds), or_, initial=0))


def _less(bound: Bound) -> Bound:
    """The bound with its order turned round."""
    return -bound[0], -bound[1]


def _has_order(ends: Ends) -> bool:
    return not math.isnan(ends[0][0])


def _rarest(atom: Atom, numbers: Mapping[_Mark, int]) -> tuple[_Mark, ...]:
    """The marks that a test asks for; where it asks for several words, the one that the fewest conditions have."""
    if atom.key == "all_keywords":
        words = [Atom(atom.key, atom.scope, frozenset([word])) for word in sorted(atom.value)]
        return min((tuple(_marks(one)) for one in words), key=lambda marks: numbers[marks[0]])
    return tuple(_asked_by(atom))


def _asked_by(atom: Atom) -> Iterator[_Mark]:
    """Marks of which every condition has one that surely passes this test; nothing is known of one that has none."""
    if atom.key == "any":
        # It passes one of the alternatives as a whole, so it has what one test of that alternative asks for.
        for one in atom.value:
            yield from _asked_by(_telling(one)[0])
    elif atom.key == "all_keywords":
        # All of its words have to be there, so any one of them will do.
        yield ("word", atom.scope, min(atom.value)), None
    elif atom.key == "not":
        yield "not", None
        yield from map(_turned, _shown_by(atom.value))
    else:
        yield from _marks(atom)


def _shown_by(atoms: Atoms) -> Iterator[_Mark]:
    """The marks that a condition has, in its alternatives too."""
    for atom in atoms:
        if atom.key == "any":
            for one in atom.value:
                yield from _shown_by(one)
        elif atom.key == "not":
            # What excludes more lets less through: here the excluded condition is the one that would have to cover.
            telling = _telling(atom.value)
            yield from map(_turned, _asked_by(telling[0])) if telling else (("not", None),)
        else:
            yield from _marks(atom)


def _telling(atoms: Atoms) -> Atoms:
    """The tests that not every request passes."""
    return tuple(atom for atom in atoms if not passes_always(atom))


def _turned(mark: _Mark) -> _Mark:
    """A mark of what is excluded, where of two ranges the wider one is the narrower test."""
    what, ends = mark
    return ("not", what), None if ends is None else (_less(ends[0]), _less(ends[1]))


def _marks(atom: Atom) -> Iterator[_Mark]:
    if atom.key in RANGES:
        yield (atom.key, atom.scope), atom.value
    elif isinstance(atom.value, frozenset):
        key = "word" if atom.key in KEYWORDS else atom.key
        yield from (((key, atom.scope, one), None) for one in atom.value)
    else:
        yield (atom.key, atom.scope, atom.value), None


def _bits(places: Iterable[int]) -> int:
    return sum(1 << place for place in places)


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
