"""Regexes: RE2 only, and many of them asked at once.

All patterns that read the same scope of a router's requests stand in one set, which reads a text once, whatever their
number. RE2 has no way to say that such a set ran out of memory: that looks like a text without a match, and a guard
would be open. So every set holds a pattern that matches every text; where that one is missing each pattern is searched
for by itself, which cannot fail, for a single search goes on without its cache.

A set pays dearly for counts: of fifty patterns such as `[a-x].{30}A` nearly every character of a hostile text is a new
state of thousands of steps, half a minute for a megabyte. So a set holds `[a-x].+A` instead, which is found wherever
the other one is, and the pattern itself is searched for only where that was found.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import re2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from routebench.rules.reading.request import Scope, Text

_SET_BYTES = 64 * 2**20
"""What the automaton of one set may take; only hostile texts make it grow so far."""
_MOST_CHARACTERS = 10_000
_MOST_INSTRUCTIONS = 20_000
"""A pattern of ordinary size has some hundred; counted repetitions inside each other multiply."""
_LOWER = "lower the counts in braces"
_ALWAYS = ""
"""Matches every text."""
_COUNTS = re.compile(
    r"""
      (?P<other> \\Q .*? (?:\\E | \Z)
               | \\[pPx]\{ [^}]* \}
               | \\.
               | \[ \^? \]? (?: \[:\^?\w+:\] | \\. | [^\]\\] )* \] )
    | \{ (?P<least> 0 | [1-9][0-9]{0,3} ) (?: , (?: 0 | [1-9][0-9]{0,3} )? )? \}
    """,
    re.VERBOSE | re.DOTALL,
)
"""A count in braces, or what looks like one to somebody who does not know escapes and classes."""
_NOTHING: frozenset[int] = frozenset()


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """Returns a compiled pattern, whose `search` takes text or its UTF-8 bytes.

    Raises:
        ValueError: RE2 does not know it, or it is too large; the sentence says how to mend it.
    """
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(
            f"a regex of {len(pattern)} characters is too long (at most {_MOST_CHARACTERS}); list words under "
            "`any_keyword`, or write several rules"
        )
    try:
        found = re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"regex {pattern!r}: {reason}; {_mend(reason)}") from None
    except UnicodeEncodeError:
        raise ValueError(f"regex {pattern!r}: it holds half a character; write the whole one") from None
    if found.programsize > _MOST_INSTRUCTIONS:
        raise ValueError(
            f"regex {pattern!r}: it is too large when its repetitions are written out ({found.programsize} steps, at "
            f"most {_MOST_INSTRUCTIONS}); {_LOWER}"
        )
    return found


def _options(max_mem: int | None = None) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    if max_mem is not None:
        options.max_mem = max_mem
    return options


def _mend(reason: str) -> str:
    if "too large" in reason or "repetition size" in reason:
        return _LOWER
    if "perl operator" in reason or "escape sequence" in reason:
        return "rules use RE2 syntax, which has no look-around and no back references"
    return "mend the pattern, or put \\ before a sign that is meant as itself"


class PatternSet:
    """Patterns that are searched for together; safe to use from many threads.

    Args:
        max_mem: bytes that the automaton may take.
    """

    def __init__(self, max_mem: int = _SET_BYTES) -> None:
        self._max_mem = max_mem
        self._ids: dict[str, int] = {}
        self._search: Search | None = None
        self._lock = threading.Lock()

    def add(self, pattern: str) -> int:
        """Adds a pattern and returns its number; one that is there already keeps its own.

        Raises:
            ValueError: RE2 does not know it, or it is too large.
        """
        compiled(pattern)
        with self._lock:
            if pattern not in self._ids:
                self._ids[pattern] = len(self._ids)
                self._search = None
            return self._ids[pattern]

    def found(self, text: Text) -> frozenset[int]:
        """Returns the numbers of the patterns that are found somewhere in a text, as single searches find them."""
        search = self._search or self._compile()
        latest, numbers = text.found
        if latest is not search:
            numbers = search.found(text.data)
            text.found = (search, numbers)
        return numbers

    def _compile(self) -> Search:
        with self._lock:
            if self._search is None:
                patterns = tuple(self._ids)
                # One pattern alone is found faster by itself.
                together = _compiled_set(patterns, self._max_mem) if len(patterns) > 1 else None
                self._search = Search(patterns, together)
            return self._search


class Search:
    """A fixed list of patterns.

    Args:
        patterns: that are known to be right.
        together: all of them without their counts, and one after them that matches every text, as a `re2.Set`; None to
            search one by one.
    """

    def __init__(self, patterns: Sequence[str], together: Any) -> None:
        self._patterns = patterns
        self._set = together
        # Kept here, for the cache of `compiled` forgets.
        self._alone = {
            number: compiled(pattern)
            for number, pattern in enumerate(patterns)
            if together is None or without_counts(pattern) != pattern
        }

    def found(self, data: bytes) -> frozenset[int]:
        """Returns the numbers of the patterns that are found in a text in UTF-8."""
        if self._set is None:
            return self._one_by_one(data)
        numbers = self._set.Match(data)
        always = len(self._patterns)
        if numbers is None or always not in numbers:
            return self._one_by_one(data)
        if len(numbers) == 1:
            return _NOTHING
        alone = self._alone
        lost = {number for number in numbers if number in alone and alone[number].search(data) is None}
        return frozenset(numbers) - lost - {always}

    def _one_by_one(self, data: bytes) -> frozenset[int]:
        return frozenset(
            number
            for number, pattern in enumerate(self._patterns)
            if (self._alone.get(number) or compiled(pattern)).search(data) is not None
        )


def without_counts(pattern: str) -> str:
    """Returns a pattern with `+` or `*` for every count in braces, so that it is found wherever the pattern is."""
    if "{" not in pattern:
        return pattern
    return _COUNTS.sub(lambda found: found["other"] or ("*" if found["least"] == "0" else "+"), pattern)


def _compiled_set(patterns: Sequence[str], max_mem: int) -> Any:
    """A set of patterns, its last one the one that matches always; None where they are too many for its memory."""
    found = re2.Set.SearchSet(_options(max_mem))
    try:
        for pattern in patterns:
            found.Add(without_counts(pattern))
        found.Add(_ALWAYS)
        found.Compile()
    except re2.error:
        return None
    return found


class Patterns:
    """The patterns of all conditions that are asked together, such as those of one router: a set for each scope."""

    def __init__(self) -> None:
        self._sets: dict[Scope, PatternSet] = {}

    def of(self, scope: Scope) -> PatternSet:
        """Returns the set of the patterns that read a scope."""
        return self._sets.setdefault(scope, PatternSet())
