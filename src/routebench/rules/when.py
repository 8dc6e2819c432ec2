"""Conditions of a rules.yaml as their author writes them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from routebench.config import Settings
from routebench.rules.reading import Scope

_Words = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
_OneOrMore = str | Annotated[list[str], Field(min_length=1)]
_METADATA = "metadata."


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


class WhenSettings(Settings):
    """A condition; all of its keys must hold. `metadata.NAME` compares one value that the caller sent along."""

    model_config = ConfigDict(
        json_schema_extra={"patternProperties": {r"^metadata\..+": {"type": ["string", "number", "boolean", "array"]}}}
    )

    in_: Annotated[Scope | None, Field(alias="in")] = None
    """Which messages are read: user (the last user message), system, history, conversation, any."""
    any_keyword: _Words | None = None
    """One of these stands there as whole words, in any case."""
    all_keywords: _Words | None = None
    """All of these stand there as whole words, in any case."""
    regex: str | None = None
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
    json_schema: bool | None = None
    """Whether the answer must follow a JSON schema."""
    metadata: Annotated[dict[str, str | int | float | bool | list[str | int | float | bool]], Field(exclude=True)] = {}
    """Values that the caller sent along, by name; the same as keys `metadata.NAME`."""
    any: Annotated[list[WhenSettings], Field(min_length=1)] | None = None
    """At least one of these conditions holds."""
    all: Annotated[list[WhenSettings], Field(min_length=1)] | None = None
    """All of these conditions hold."""
    not_: Annotated[WhenSettings | None, Field(alias="not")] = None
    """This condition does not hold."""

    @model_validator(mode="before")
    @classmethod
    def _gather_metadata(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        found = {str(key)[len(_METADATA) :]: value for key, value in data.items() if str(key).startswith(_METADATA)}
        rest = {key: value for key, value in data.items() if not str(key).startswith(_METADATA)}
        return {**rest, "metadata": {**rest.get("metadata", {}), **found}} if found else rest
