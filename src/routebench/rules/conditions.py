"""Conditions: built once from their YAML form, then asked for every request.

The settings classes are imported when the first condition is parsed: building them is half of what importing this
room would cost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import re2

from routebench.errors import RulesError
from routebench.rules.language import LANGUAGES
from routebench.rules.reading import Reading, Scope
from routebench.types import Request

if TYPE_CHECKING:
    from routebench.rules.when import RangeSettings, WhenSettings

_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True, slots=True)
class _Test:
    """One key of a condition."""

    holds: Callable[[Reading], bool]
    says: str


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

        from routebench.rules.when import WhenSettings

        try:
            settings = WhenSettings.model_validate(when)
        except ValidationError as error:
            raise RulesError(
                [f"{'.'.join(map(str, one['loc'])) or 'when'}: {one['msg']}" for one in error.errors()]
            ) from None
        return cls.build(settings, scope)

    @classmethod
    def build(cls, settings: WhenSettings, scope: Scope = "user") -> Self:
        """Builds a condition from settings whose shape is known to be right.

        Raises:
            RulesError: a pattern that RE2 does not know, or an unknown language.
        """
        return cls(tuple(_tests(settings, settings.in_ or scope)))

    def matches(self, request: Request | Reading) -> bool:
        """Whether everything that the condition asks for holds."""
        reading = request if isinstance(request, Reading) else Reading(request)
        return all(test.holds(reading) for test in self.tests)

    def __str__(self) -> str:
        return " and ".join(test.says for test in self.tests) or "always"


def _tests(when: WhenSettings, scope: Scope) -> list[_Test]:
    where = "" if scope == "user" else f" in {scope}"
    tests: list[_Test] = []
    if when.any_keyword is not None:
        tests.append(_Test(_any_keyword(when.any_keyword, scope), f"any keyword of {_listed(when.any_keyword)}{where}"))
    if when.all_keywords is not None:
        tests.append(
            _Test(_all_keywords(when.all_keywords, scope), f"all keywords {_listed(when.all_keywords)}{where}")
        )
    if when.regex is not None:
        tests.append(_Test(_pattern(when.regex, scope), f"pattern {when.regex}{where}"))
    if when.language is not None:
        tests.append(_Test(_language(_many(when.language), scope), f"language {_listed(_many(when.language))}{where}"))
    ranges: tuple[tuple[str, RangeSettings | None, Callable[[Reading], float]], ...] = (
        ("characters", when.characters, lambda reading: len(reading.text(scope).text)),
        ("words", when.words, lambda reading: len(reading.text(scope).words)),
        ("digits", when.digits, lambda reading: reading.text(scope).digits),
        ("input_tokens", when.input_tokens, lambda reading: reading.input_tokens),
        ("turns", when.turns, lambda reading: reading.turns),
    )
    tests += [_range(name, bounds, value) for name, bounds, value in ranges if bounds is not None]
    flags: tuple[tuple[str, bool | None, Callable[[Reading], bool]], ...] = (
        ("has_code", when.has_code, lambda reading: reading.text(scope).has_code),
        ("is_question", when.is_question, lambda reading: reading.text(scope).is_question),
        ("has_tools", when.has_tools, lambda reading: bool(reading.request.tools)),
        ("has_images", when.has_images, lambda reading: reading.has_images),
        ("json_schema", when.json_schema, lambda reading: reading.wants_json_schema),
    )
    tests += [_flag(name, wanted, value) for name, wanted, value in flags if wanted is not None]
    if when.tag is not None:
        tests.append(_tag(_many(when.tag)))
    tests += [_metadata(name, value) for name, value in when.metadata.items()]
    if when.any is not None:
        parts = [Condition.build(one, scope) for one in when.any]
        tests.append(_Test(lambda reading: any(one.matches(reading) for one in parts), _joined(parts, " or ")))
    if when.all is not None:
        every = [Condition.build(one, scope) for one in when.all]
        tests.append(_Test(lambda reading: all(one.matches(reading) for one in every), _joined(every, " and ")))
    if when.not_ is not None:
        inner = Condition.build(when.not_, scope)
        tests.append(_Test(lambda reading: not inner.matches(reading), f"not ({inner})"))
    return tests


def _any_keyword(keywords: Sequence[str], scope: Scope) -> Callable[[Reading], bool]:
    words, phrases = _split(keywords)

    def holds(reading: Reading) -> bool:
        text = reading.text(scope)
        return not words.isdisjoint(text.vocabulary) or any(phrase.stands_in(text.folded) for phrase in phrases)

    return holds


def _all_keywords(keywords: Sequence[str], scope: Scope) -> Callable[[Reading], bool]:
    words, phrases = _split(keywords)

    def holds(reading: Reading) -> bool:
        text = reading.text(scope)
        return words <= text.vocabulary and all(phrase.stands_in(text.folded) for phrase in phrases)

    return holds


def _split(keywords: Sequence[str]) -> tuple[frozenset[str], list[_Phrase]]:
    """Most keywords are one word, and looking a word up in a set beats every pattern."""
    folded = [keyword.casefold() for keyword in keywords]
    words = frozenset(keyword for keyword in folded if re.fullmatch(r"\w+", keyword))
    return words, [_Phrase(keyword) for keyword in folded if keyword not in words]


class _Phrase:
    """Several words: no letter or digit may touch them where they themselves end in one."""

    def __init__(self, keyword: str) -> None:
        before = r"(?<!\w)" if re.match(r"\w", keyword) else ""
        after = r"(?!\w)" if re.search(r"\w$", keyword) else ""
        self._literal = keyword
        self._pattern = re.compile(before + re.escape(keyword) + after)

    def stands_in(self, text: str) -> bool:
        # Most texts do not hold it at all, and looking for a literal is ten times as fast as a pattern.
        return self._literal in text and self._pattern.search(text) is not None


def _pattern(pattern: str, scope: Scope) -> Callable[[Reading], bool]:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise RulesError(
            f"regex {pattern!r}: {reason}; rules use RE2 syntax, which has no look-around and no back references"
        ) from None
    return lambda reading: compiled.search(reading.text(scope).text) is not None


def _language(languages: Sequence[str], scope: Scope) -> Callable[[Reading], bool]:
    for name in languages:
        if name not in LANGUAGES:
            raise RulesError(f"language {name!r} is not recognised; known: {', '.join(LANGUAGES)}")
    return lambda reading: reading.text(scope).language in languages


def _range(name: str, bounds: RangeSettings, value: Callable[[Reading], float]) -> _Test:
    low, least, high, most = bounds.gt, bounds.ge, bounds.lt, bounds.le

    def holds(reading: Reading) -> bool:
        number = value(reading)
        return (
            (low is None or number > low)
            and (least is None or number >= least)
            and (high is None or number < high)
            and (most is None or number <= most)
        )

    limits = bounds.model_dump(exclude_none=True).items()
    return _Test(holds, " and ".join(f"{name} {_SIGNS[sign]} {bound:g}" for sign, bound in limits))


def _flag(name: str, wanted: bool, value: Callable[[Reading], bool]) -> _Test:  # noqa: FBT001 - the value is data
    return _Test(lambda reading: value(reading) == wanted, name if wanted else f"not {name}")


def _tag(tags: Sequence[str]) -> _Test:
    return _Test(lambda reading: any(tag in reading.request.tags for tag in tags), f"tag {_listed(tags)}")


def _metadata(name: str, wanted: Any) -> _Test:
    values = wanted if isinstance(wanted, list) else [wanted]
    return _Test(
        lambda reading: name in reading.request.metadata and reading.request.metadata[name] in values,
        f"metadata.{name} is {_listed([str(value) for value in values])}",
    )


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(words[:6])
    return shown if len(words) <= 6 else f"{shown} and {len(words) - 6} more"


def _joined(parts: Sequence[Condition], word: str) -> str:
    return "(" + word.join(str(part) for part in parts) + ")"
