"""Many conditions asked of one request, of which mostly few can match."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from routebench.rules.conditions.condition import Condition, Sign
from routebench.rules.conditions.patterns import Patterns, PatternSet
from routebench.rules.reading.request import Reading, Scope

_Places = tuple[int, ...]


class Lineup:
    """Conditions in their order, by what a text must show for them to match: one that cannot match is not asked.

    Args:
        conditions: built with one `Patterns`, so that their regexes are searched for together.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.conditions = tuple(conditions)
        patterns: dict[tuple[Scope, PatternSet], dict[Any, _Places]] = {}
        words: dict[Scope, dict[Any, _Places]] = {}
        always = []
        for place, condition in enumerate(self.conditions):
            if condition.signs is None:
                always.append(place)
            for sign in condition.signs or ():
                found = _group(sign, patterns, words)
                found[sign.what] = (*found.get(sign.what, ()), place)
        self._always = tuple(always)
        self._patterns = tuple((scope, one, places) for (scope, one), places in patterns.items())
        self._words = tuple((scope, places.keys(), places) for scope, places in words.items())

    @classmethod
    def of(cls, whens: Sequence[Mapping[str, Any]], scope: Scope) -> Self:
        """Builds the conditions from their YAML forms, which are known to be right.

        Args:
            whens: of the conditions, in their order.
            scope: which messages they read where `in` does not say.
        """
        from routebench.rules.conditions.when import WhenSettings

        patterns = Patterns()
        return cls([Condition.build(WhenSettings.model_validate(dict(when)), scope, patterns) for when in whens])

    def matching(self, reading: Reading) -> Iterator[int]:
        """Yields the places of the conditions that match, from the first, as they are asked for."""
        conditions = self.conditions
        for place in self._possible(reading):
            if conditions[place].matches(reading):
                yield place

    def _possible(self, reading: Reading) -> Sequence[int]:
        shown: set[int] | None = None
        for scope, patterns, places in self._patterns:
            for number in patterns.found(reading.text(scope)):
                # Other conditions may have put theirs into the same set.
                shown = (shown or set()).union(places.get(number, ()))
        for scope, known, by_word in self._words:
            for word in known & reading.text(scope).vocabulary:
                shown = (shown or set()).union(by_word[word])
        return self._always if not shown else sorted(shown.union(self._always))


def _group(
    sign: Sign,
    patterns: dict[tuple[Scope, PatternSet], dict[Any, _Places]],
    words: dict[Scope, dict[Any, _Places]],
) -> dict[Any, _Places]:
    if sign.patterns is None:
        return words.setdefault(sign.scope, {})
    return patterns.setdefault((sign.scope, sign.patterns), {})
