"""rules.yaml as its author writes it: the shape, checked key by key. What the keys mean together is in `ruleset`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from routebench.config import ModelSettings, Settings
from routebench.rules.reading import Scope

_Words = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
_OneOrMore = str | Annotated[list[str], Field(min_length=1)]
_Chain = Annotated[list[str], Field(min_length=1)]
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


class GuardSettings(Settings):
    """A set of models that a matching request may use, whatever rules, failures or budgets say."""

    name: Annotated[str, Field(min_length=1)]
    """What decisions call it."""
    when: WhenSettings
    """Which requests it holds for."""
    only: _Chain | None = None
    """These models and no other."""
    never: _Chain | None = None
    """Not these models."""
    at_least: str | None = None
    """This model or a stronger one, by `order`."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(value is not None for value in (self.only, self.never, self.at_least)) != 1:
            raise ValueError(f"guard {self.name!r} needs one of `only`, `never`, `at_least`")
        return self


class RuleSettings(Settings):
    """Requests that match go to the chain; the first rule that matches decides."""

    name: Annotated[str, Field(min_length=1)]
    """What decisions call it."""
    when: WhenSettings
    """Which requests it is for."""
    route: _Chain
    """Models to try, in order."""


class ShareSettings(Settings):
    """One part of a mix."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Its share of the conversations."""
    route: _Chain
    """Models to try, in order."""


class DefaultSettings(Settings):
    """Where requests go that no rule took."""

    route: _Chain | None = None
    """Models to try, in order."""
    mix: Annotated[list[ShareSettings], Field(min_length=1)] | None = None
    """Chains with shares; a conversation stays with what was drawn for it."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.route is None) == (self.mix is None):
            raise ValueError("`default` needs either `route` or `mix`")
        total = sum(part.share for part in self.mix or ())
        if self.mix and abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of `mix` add up to {total:g}, not to 1")
        return self


class GoldenSettings(Settings):
    """A decision that must stay as it is."""

    prompt: str | None = None
    """A user message alone."""
    request: dict[str, Any] | None = None
    """A whole request: messages, tools, response_format, metadata, tags."""
    decision: _Chain
    """The chain."""
    rule: str
    """The rule that decides."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.prompt is None) == (self.request is None):
            raise ValueError("a golden decision needs either `prompt` or `request`")
        return self


class RulesSettings(Settings):
    """A rules.yaml."""

    schema_: Annotated[Literal["routebench/rules/v1"], Field(alias="schema")]
    """The version of this format."""
    name: Annotated[str, Field(min_length=1)]
    """What the rule set is called; draws of a mix depend on it."""
    models: Annotated[dict[str, ModelSettings], Field(min_length=1)]
    """The models, by name."""
    order: list[str] | None = None
    """The models from weakest to strongest; their order in `models` when left out."""
    guards: list[GuardSettings] = []
    """What holds whatever the rules say."""
    rules: list[RuleSettings] = []
    """Conditions and chains; the first match decides."""
    default: DefaultSettings
    """Where the rest goes."""
    sticky: Literal["conversation", "none"] = "conversation"
    """Whether a conversation stays with its model."""
    evidence: dict[str, Any] = {}
    """What was measured, and on what; routebench writes it."""
    golden: Annotated[list[GoldenSettings], Field(max_length=200)] = []
    """Decisions that `routebench check` holds the file to."""
