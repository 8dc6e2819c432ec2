"""Whether conditions surely match every request that another one matches, shown from their keys alone.

What cannot be shown this way may still be true: only the answer that it is covered can be relied on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from routebench.rules.conditions.atoms import KEYWORDS, RANGES, Atom, Atoms, atoms_of, is_always, is_inside
from routebench.rules.conditions.catalogue import Catalogue
from routebench.rules.reading.request import Scope

if TYPE_CHECKING:
    from routebench.rules.conditions.when import WhenSettings

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

    alternatives = [atoms_of(WhenSettings.model_validate(dict(one)), scope) for one in by]
    narrow = atoms_of(WhenSettings.model_validate(dict(when)), scope)
    return _cover(narrow, alternatives) is not None


def unreached(whens: Sequence[WhenSettings], scope: Scope = "user") -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yields conditions that earlier ones surely take every request of: its place, and theirs.

    Conditions that match every request cover nothing here: they are another mistake.

    Args:
        whens: in the order in which they are asked; the first that matches takes the request.
        scope: which messages are read where `in` does not say.
    """
    rules = [atoms_of(when, scope) for when in whens]
    catalogue = Catalogue(rules)
    for place, atoms in enumerate(rules):
        likely = catalogue.likely(place)
        found = _cover(atoms, [rules[one] for one in likely]) if likely else None
        if found is not None:
            yield place, tuple(likely[one] for one in found)


def matches_always(when: WhenSettings) -> bool:
    """Whether a condition surely matches every request, for it asks for nothing."""
    return is_always(atoms_of(when, "user"))


def _cover(narrow: Atoms, alternatives: Sequence[Atoms]) -> tuple[int, ...] | None:
    """The places of alternatives that match wherever `narrow` does: one if one suffices; None where nothing shows."""
    parts = _parts(narrow)
    first = narrow if parts is None else next(parts)
    earliest = -1
    for place, wide in enumerate(alternatives):
        # What covers all of it covers each part, and most alternatives do not even cover the first.
        if _implies(first, wide):
            if _implies(narrow, wide):
                return (place,)
            earliest = place if earliest < 0 else earliest
    if parts is None or earliest < 0:
        return None
    used = {earliest}
    for part in parts:
        place = next((place for place, wide in enumerate(alternatives) if _implies(part, wide)), -1)
        if place < 0:
            return None
        used.add(place)
    return tuple(sorted(used))


# Loops, not generators, for these three are asked some hundred thousand times of a long file.
def _implies(narrow: Atoms, wide: Atoms) -> bool:
    for atom in wide:  # noqa: SIM110
        if not _shown(narrow, atom):
            return False
    return True


def _shown(narrow: Atoms, wide: Atom) -> bool:
    """Whether a request that passes all of `narrow` surely passes one test more."""
    if wide.key == "any":
        for one in wide.value:
            if _implies(narrow, one):
                return True
    for atom in narrow:
        if (atom.key == wide.key or atom.key in KEYWORDS) and atom.scope == wide.scope and _passes(atom, wide):
            return True
    return False


def _passes(narrow: Atom, wide: Atom) -> bool:
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
    if wide.key in RANGES:
        return is_inside(narrow.value, wide.value)
    return bool(narrow.value == wide.value)


def _parts(narrow: Atoms) -> Iterator[Atoms] | None:
    """Conditions of which at least one holds where `narrow` does; None where there would be too many to look at."""
    choices = [_alternatives(atom) for atom in narrow]
    number = 1
    for choice in choices:
        number *= len(choice)
    if number > _MOST_ALTERNATIVES:
        return None
    return (tuple(itertools.chain.from_iterable(one)) for one in itertools.product(*choices))


def _alternatives(atom: Atom) -> list[Atoms]:
    if atom.key == "any":
        return [part for one in atom.value for part in (_parts(one) or (one,))]
    if isinstance(atom.value, frozenset) and atom.key != "all_keywords":
        return [(Atom(atom.key, atom.scope, frozenset([one])),) for one in atom.value]
    return [(atom,)]
