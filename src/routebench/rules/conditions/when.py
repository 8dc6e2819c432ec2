"""Conditions of a rules.yaml as their author writes them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from routebench.config import Settings
from routebench.errors import nearest
from routebench.rules.conditions.calendar import TimeWindow
from routebench.rules.conditions.patterns import compiled
from routebench.rules.reading.keywords import is_blank
from routebench.rules.reading.language import LANGUAGES
from routebench.rules.reading.request import Scope

_METADATA = "metadata."
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _keyword(text: str) -> str:
    if is_blank(text):
        raise ValueError(f"keyword {text!r} has no character that could be looked for; take it out")
    return text


def _regex(pattern: str) -> str:
    compiled(pattern)
    return pattern


def _language(name: str) -> str:
    if name not in LANGUAGES:
        raise ValueError(f"no language {name!r}{nearest(name, LANGUAGES)}; languages: {', '.join(LANGUAGES)}")
    return name


def _clock(value: Any) -> Any:
    if isinstance(value, int):
        # YAML reads 18:00 as sixty times eighteen.
        raise ValueError('a time of day stands in quotes, such as "18:00"')
    if isinstance(value, str) and not _CLOCK.fullmatch(value):
        raise ValueError(f'{value!r} is no time of day; write one from "00:00" to "23:59", such as "08:00"')
    return value


_Words = Annotated[list[Annotated[str, Field(min_length=1), AfterValidator(_keyword)]], Field(min_length=1)]
_OneOrMore = str | Annotated[list[str], Field(min_length=1)]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(f"no time zone {name!r}; write one such as Europe/Berlin or UTC") from None
    return name


_Clock = Annotated[str, BeforeValidator(_clock)]
TimeZone = Annotated[str, AfterValidator(_zone)]
"""The name of a time zone, such as Europe/Berlin."""
_Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class RangeSettings(Settings):
    """Bounds of a number; at least one."""

    lt: float | None = None
    """Less than."""
    le: float | None = None
    """At most."""
    gt: float | None = None
    """More than."""
    ge: float | None = None
    """At least."""

    @model_validator(mode="after")
    def _some_number_fits(self) -> Self:
        low = max((bound for bound in (self.gt, self.ge) if bound is not None), default=float("-inf"))
        high = min((bound for bound in (self.lt, self.le) if bound is not None), default=float("inf"))
        if self == RangeSettings.model_construct():
            raise ValueError("a range needs a bound, such as {gt: 100}")
        if low > high or (low == high and low in (self.gt, self.lt)):
            raise ValueError(f"no number is above {low:g} and below {high:g}; nothing can match")
        return self


class TimeSettings(Settings):
    """A time of the week, by the clock on the wall; at least one of `after`, `before`, `days`."""

    after: _Clock | None = None
    """From this time of day on, such as "08:00"; later than `before` it goes on over midnight."""
    before: _Clock | None = None
    """Until this time of day, such as "18:00", which is outside."""
    days: Annotated[list[_Day], Field(min_length=1)] | None = None
    """On these days; what goes on over midnight belongs to the day on which it begins."""
    timezone: TimeZone = "UTC"
    """Whose clock it is, such as Europe/Berlin."""

    @model_validator(mode="after")
    def _is_a_part_of_the_week(self) -> Self:
        if self.after is None and self.before is None and self.days is None:
            raise ValueError('`time` needs one of `after`, `before`, `days`, such as {after: "08:00"}')
        if self.after is not None and self.after == self.before:
            raise ValueError(f"`after` and `before` are both {self.after}; leave both out for the whole day")
        if self.before == "00:00" and self.after is None:
            raise ValueError("no time of day is before 00:00; leave `before` out")
        return self

    def window(self) -> TimeWindow:
        """Returns it as a value."""
        return TimeWindow.parse(self.model_dump())


class WhenSettings(Settings):
    """A condition; all of its keys must hold. `metadata.NAME` compares one value that the caller sent along."""

    model_config = ConfigDict(
        json_schema_extra={"patternProperties": {r"^metadata\..+": {"type": ["string", "number", "boolean", "array"]}}}
    )

    in_: Annotated[Scope | None, Field(alias="in")] = None
    """Which messages are read: user (the last user message), system, history, conversation, any."""
    any_keyword: _Words | None = None
    """One of these stands there as whole words, in any case and any form of Unicode."""
    all_keywords: _Words | None = None
    """All of these stand there as whole words, in any case and any form of Unicode."""
    regex: Annotated[str, AfterValidator(_regex)] | None = None
    """An RE2 pattern that is found somewhere; `(?i)` at its start ignores case."""
    language: _OneOrMore | None = None
    """The text's language, as a two-letter code."""
    characters: RangeSettings | None = None
    """Length of the text in characters."""
    words: RangeSettings | None = None
    """Length of the text in words."""
    digits: RangeSettings | None = None
    """Share of its characters that are digits, 0 to 1."""
    has_code: bool | None = None
    """Whether it holds program code."""
    is_question: bool | None = None
    """Whether it ends in a question mark."""
    input_tokens: RangeSettings | None = None
    """Estimate ceil(characters / 4) over all messages."""
    turns: RangeSettings | None = None
    """User messages of the conversation so far."""
    tag: _OneOrMore | None = None
    """A tag that the caller sent along."""
    has_tools: bool | None = None
    """Whether the request offers tools."""
    has_images: bool | None = None
    """Whether a message carries an image."""
    has_unread: bool | None = None
    """Whether a message has a part that is not read as text: an image, audio, a file, anything unknown."""
    json_schema: bool | None = None
    """Whether the answer must follow a JSON schema."""
    time: TimeSettings | None = None
    """When the request comes; where the time is not known this does not hold, and neither does its `not`."""
    budget_pace: RangeSettings | None = None
    """What was spent today, divided by what an even day would have spent until now; unknown as for `time`."""
    metadata: Annotated[dict[str, str | int | float | bool | list[str | int | float | bool]], Field(exclude=True)] = {}
    """Values that the caller sent along, by name; the same as keys `metadata.NAME`."""
    any: Annotated[list[WhenSettings], Field(min_length=1)] | None = None
    """At least one of these conditions holds."""
    all: Annotated[list[WhenSettings], Field(min_length=1)] | None = None
    """All of these conditions hold."""
    not_: Annotated[WhenSettings | None, Field(alias="not")] = None
    """This condition does not hold."""

    @field_validator("language")
    @classmethod
    def _languages_are_known(cls, value: str | list[str] | None) -> str | list[str] | None:
        for name in [value] if isinstance(value, str) else value or ():
            _language(name)
        return value

    @model_validator(mode="before")
    @classmethod
    def _gather_metadata(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        found = {str(key)[len(_METADATA) :]: value for key, value in data.items() if str(key).startswith(_METADATA)}
        rest = {key: value for key, value in data.items() if not str(key).startswith(_METADATA)}
        known = rest.get("metadata", {})
        # What is no mapping is told by its own check.
        return {**rest, "metadata": {**known, **found}} if found and isinstance(known, dict) else rest
