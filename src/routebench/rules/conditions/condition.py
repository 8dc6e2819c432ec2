"""Conditions: built once from their YAML form, then asked for every request.

A test that asks for what nobody knows, such as the time where none is given, is neither true nor false, and so is its
`not`: the condition does not match.

The settings classes are imported when the first condition is parsed: building them is half of what importing this
room would cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from routebench.errors import RulesError
from routebench.rules.conditions.patterns import Patterns, PatternSet
from routebench.rules.reading.keywords import split
from routebench.rules.reading.request import Reading, Scope
from routebench.types import Request

if TYPE_CHECKING:
    from routebench.rules.conditions.calendar import TimeWindow
    from routebench.rules.conditions.when import RangeSettings, WhenSettings

_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True, slots=True)
class Sign:
    """What a text shows: a word, or a pattern by its number in a set.

    Attributes:
        scope: whose text.
        patterns: None for a word.
    """

    scope: Scope
    what: str | int
    patterns: PatternSet | None = None


_Signs = tuple[Sign, ...]


@dataclass(frozen=True, slots=True)
class _Test:
    """One key of a condition.

    Attributes:
        holds: True, False, or None where that is not known.
        signs: of which at least one shows where it holds; None where there is no such list.
    """

    holds: Callable[[Reading], bool | None]
    says: str
    signs: _Signs | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What must be true of a request; no tests at all is true of every request."""

    tests: tuple[_Test, ...]

    @classmethod
    def parse(cls, when: Mapping[str, Any], scope: Scope = "user") -> Self:
        """Builds a condition from its YAML form.

        Args:
            when: such as `{"any_keyword": ["contract"], "words": {"gt": 20}}`.
            scope: which messages are read where `in` does not say.

        Raises:
            RulesError: an unknown key, a pattern that RE2 does not know, or a value of the wrong shape.
        """
        from pydantic import ValidationError

        from routebench.rules.conditions.when import WhenSettings

        try:
            settings = WhenSettings.model_validate(when)
        except ValidationError as error:
            raise RulesError(
                [f"{'.'.join(map(str, one['loc'])) or 'when'}: {_reason(one)}" for one in error.errors()]
            ) from None
        return cls.build(settings, scope)

    @classmethod
    def build(cls, settings: WhenSettings, scope: Scope = "user", patterns: Patterns | None = None) -> Self:
        """Builds a condition from settings, which have been checked.

        Args:
            settings: the checked form.
            scope: which messages are read where `in` does not say.
            patterns: where its regexes are put, to be asked together with those of other conditions.
        """
        return cls(tuple(_tests(settings, settings.in_ or scope, Patterns() if patterns is None else patterns)))

    def matches(self, request: Request | Reading) -> bool:
        """Whether everything that the condition asks for is known to hold."""
        reading = request if isinstance(request, Reading) else Reading(request)
        for test in self.tests:  # noqa: SIM110 - a generator costs more than most tests
            if not test.holds(reading):
                return False
        return True

    def holds(self, reading: Reading) -> bool | None:
        """Whether everything that the condition asks for holds; None where that is not known."""
        return _every(test.holds(reading) for test in self.tests)

    @property
    def signs(self) -> tuple[Sign, ...] | None:
        """Of these a text shows at least one where the condition matches; None where there is no such list."""
        return _fewest(test.signs for test in self.tests)

    def __str__(self) -> str:
        return " and ".join(test.says for test in self.tests) or "always"


def _reason(problem: Mapping[str, Any]) -> str:
    return str(problem["ctx"]["error"] if problem["type"] == "value_error" else problem["msg"])


def _every(values: Iterable[bool | None]) -> bool | None:
    """False where one is False, else None where one is not known, else True."""
    unknown = False
    for value in values:
        if value is None:
            unknown = True
        elif not value:
            return False
    return None if unknown else True


def _fewest(lists: Iterable[_Signs | None]) -> _Signs | None:
    return min((signs for signs in lists if signs is not None), key=len, default=None)


def _tests(when: WhenSettings, scope: Scope, patterns: Patterns, *, negated: bool = False) -> list[_Test]:
    where = "" if scope == "user" else f" in {scope}"
    tests: list[_Test] = []
    if when.any_keyword is not None:
        tests.append(_any_keyword(when.any_keyword, scope, where))
    if when.all_keywords is not None:
        tests.append(_all_keywords(when.all_keywords, scope, where))
    if when.regex is not None:
        tests.append(_pattern(when.regex, scope, where, patterns.of(scope)))
    if when.language is not None:
        tests.append(_language(_many(when.language), scope, where))
    ranges: tuple[tuple[str, RangeSettings | None, Callable[[Reading], float | None]], ...] = (
        ("characters", when.characters, lambda reading: len(reading.text(scope).text)),
        ("words", when.words, lambda reading: len(reading.text(scope).words)),
        ("digits", when.digits, lambda reading: reading.text(scope).digits),
        ("input_tokens", when.input_tokens, lambda reading: reading.input_tokens),
        ("turns", when.turns, lambda reading: reading.turns),
        ("budget_pace", when.budget_pace, lambda reading: reading.situation.budget_pace),
    )
    tests += [_range(name, bounds, value) for name, bounds, value in ranges if bounds is not None]
    flags: tuple[tuple[str, bool | None, Callable[[Reading], bool]], ...] = (
        ("has_code", when.has_code, lambda reading: reading.text(scope).has_code),
        ("is_question", when.is_question, lambda reading: reading.text(scope).is_question),
        ("has_tools", when.has_tools, lambda reading: bool(reading.request.tools)),
        ("has_images", when.has_images, lambda reading: reading.has_images),
        ("has_unread", when.has_unread, lambda reading: reading.has_unread),
        ("json_schema", when.json_schema, lambda reading: reading.wants_json_schema),
    )
    tests += [_flag(name, wanted, value) for name, wanted, value in flags if wanted is not None]
    if when.time is not None:
        tests.append(_time(when.time.window()))
    if when.tag is not None:
        tests.append(_tag(_many(when.tag)))
    tests += [_metadata(name, value, every=negated) for name, value in when.metadata.items()]
    return [*tests, *_inner(when, scope, patterns, negated=negated)]


def _inner(when: WhenSettings, scope: Scope, patterns: Patterns, *, negated: bool) -> Iterator[_Test]:
    def build(settings: WhenSettings, *, under_not: bool) -> Condition:
        return Condition(tuple(_tests(settings, settings.in_ or scope, patterns, negated=under_not)))

    if when.any is not None:
        yield _any([build(one, under_not=negated) for one in when.any])
    if when.all is not None:
        yield _all([build(one, under_not=negated) for one in when.all])
    if when.not_ is not None:
        yield _not(build(when.not_, under_not=not negated))


def _any_keyword(keywords: Sequence[str], scope: Scope, where: str) -> _Test:
    words, phrases = split(keywords)

    def holds(reading: Reading) -> bool:
        text = reading.text(scope)
        if words and not words.isdisjoint(text.vocabulary):
            return True
        return bool(phrases) and any(phrase.stands_in(text.spaced) for phrase in phrases)

    signs = None if phrases else tuple(Sign(scope, word) for word in sorted(words))
    return _Test(holds, f"any keyword of {_listed(keywords)}{where}", signs)


def _all_keywords(keywords: Sequence[str], scope: Scope, where: str) -> _Test:
    words, phrases = split(keywords)

    def holds(reading: Reading) -> bool:
        text = reading.text(scope)
        return words <= text.vocabulary and all(phrase.stands_in(text.spaced) for phrase in phrases)

    # Every one of them shows; the longest is the rarest.
    signs = (Sign(scope, max(sorted(words), key=len)),) if words else None
    return _Test(holds, f"all keywords {_listed(keywords)}{where}", signs)


def _pattern(pattern: str, scope: Scope, where: str, patterns: PatternSet) -> _Test:
    number = patterns.add(pattern)
    return _Test(
        lambda reading: number in patterns.found(reading.text(scope)),
        f"pattern {pattern}{where}",
        (Sign(scope, number, patterns),),
    )


def _language(languages: Sequence[str], scope: Scope, where: str) -> _Test:
    return _Test(lambda reading: reading.text(scope).language in languages, f"language {_listed(languages)}{where}")


def _range(name: str, bounds: RangeSettings, value: Callable[[Reading], float | None]) -> _Test:
    low, least, high, most = bounds.gt, bounds.ge, bounds.lt, bounds.le

    def holds(reading: Reading) -> bool | None:
        number = value(reading)
        if number is None:
            return None
        return (
            (low is None or number > low)
            and (least is None or number >= least)
            and (high is None or number < high)
            and (most is None or number <= most)
        )

    limits = [(sign, getattr(bounds, name)) for name, sign in _SIGNS.items()]
    return _Test(holds, " and ".join(f"{name} {sign} {bound:g}" for sign, bound in limits if bound is not None))


def _flag(name: str, wanted: bool, value: Callable[[Reading], bool]) -> _Test:  # noqa: FBT001 - the value is data
    return _Test(lambda reading: value(reading) == wanted, name if wanted else f"not {name}")


def _time(window: TimeWindow) -> _Test:
    def holds(reading: Reading) -> bool | None:
        at = reading.situation.at
        return None if at is None else window.holds(at)

    return _Test(holds, str(window))


def _tag(tags: Sequence[str]) -> _Test:
    return _Test(lambda reading: any(tag in reading.request.tags for tag in tags), f"tag {_listed(tags)}")


def _metadata(name: str, wanted: Any, *, every: bool) -> _Test:
    """Compares a value that the caller sent; of several values one suffices, and inside a `not` all are needed.

    So a guard holds where any value asks for it, and a guard for all but some where any value is not among them.
    """
    values = wanted if isinstance(wanted, list) else [wanted]
    quantifier = all if every else any

    def holds(reading: Reading) -> bool:
        said = reading.request.metadata.get(name)
        several = list(said) if isinstance(said, (list, tuple, set, frozenset)) else [said]
        return bool(several) and quantifier(_is_among(one, values) for one in several)

    return _Test(holds, f"metadata.{name} is {_listed([str(value) for value in values])}")


def _is_among(said: Any, values: Sequence[Any]) -> bool:
    # What a caller sends may be anything, and some things cannot be compared.
    return isinstance(said, (str, int, float)) and said in values


def _any(parts: Sequence[Condition]) -> _Test:
    def holds(reading: Reading) -> bool | None:
        unknown = False
        for part in parts:
            held = part.holds(reading)
            if held:
                return True
            unknown = unknown or held is None
        return None if unknown else False

    lists = [part.signs for part in parts]
    signs = None if None in lists else tuple(dict.fromkeys(sign for one in lists for sign in one or ()))
    return _Test(holds, _joined(parts, " or "), signs)


def _all(parts: Sequence[Condition]) -> _Test:
    return _Test(
        lambda reading: _every(part.holds(reading) for part in parts),
        _joined(parts, " and "),
        _fewest(part.signs for part in parts),
    )


def _not(part: Condition) -> _Test:
    def holds(reading: Reading) -> bool | None:
        held = part.holds(reading)
        return None if held is None else not held

    return _Test(holds, f"not ({part})")


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(words[:6])
    return shown if len(words) <= 6 else f"{shown} and {len(words) - 6} more"


def _joined(parts: Sequence[Condition], word: str) -> str:
    return "(" + word.join(str(part) for part in parts) + ")"
