"""rules.yaml as its author writes it: the shape, checked key by key. What the keys mean together is in `ruleset`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from routebench.config import ModelSettings, Settings
from routebench.rules.conditions.when import WhenSettings
from routebench.rules.file.states import BudgetSettings, CheckSettings, HealthSettings
from routebench.rules.learned.settings import ClassifierSettings, LearnedSettings, SimilaritySettings

_Chain = Annotated[list[str], Field(min_length=1)]
_Name = Annotated[str, Field(min_length=1)]


class DeploymentSettings(Settings):
    """A place that serves a model."""

    base_url: str | None = None
    """Where it listens; the model's own when left out."""
    key_env: str | None = None
    """The environment variable that holds its key; the model's own when left out."""
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Its share of the model's requests, relative to the others."""
    region: str | None = None
    """Where it runs; the model's own when left out."""


class RoutedModelSettings(ModelSettings):
    """A model of a rules.yaml."""

    deployments: Annotated[list[DeploymentSettings], Field(min_length=1)] | None = None
    """The places that serve it, where there are several."""


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
    regions: _Chain | None = None
    """Only what runs in these regions; a place whose region nobody wrote down is in none."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [key for key in ("only", "never", "at_least", "regions") if getattr(self, key) is not None]
        if len(said) != 1:
            rest = f"; it has {' and '.join(said)}: write a guard for each" if said else ""
            raise ValueError(f"guard {self.name!r} needs one of `only`, `never`, `at_least`, `regions`{rest}")
        return self


class RuleSettings(Settings):
    """Requests that match go to the chain; the first rule that matches decides."""

    name: Annotated[str, Field(min_length=1)]
    """What decisions call it."""
    when: WhenSettings
    """Which requests it is for."""
    route: _Chain
    """Models to try, in order."""
    cascade: str | None = None
    """The check under `cascade` that an answer has to pass, or the next model is tried."""


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
    cascade: str | None = None
    """The check under `cascade` that an answer has to pass, or the next model is tried."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.route is None) == (self.mix is None):
            raise ValueError("`default` needs one of `route`, `mix`" + ("; it has both" if self.mix else ""))
        total = sum(part.share for part in self.mix or ())
        if self.mix and abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of `mix` add up to {total:g}, not to 1")
        return self


class TierSettings(Settings):
    """Where requests go that score below a threshold."""

    below: Annotated[float, Field(gt=0, le=1)] | None = None
    """The threshold; left out in the last tier, which takes the rest."""
    route: _Chain
    """Models to try, in order."""
    cascade: str | None = None
    """The check under `cascade` that an answer has to pass, or the next model is tried."""


class ComplexitySettings(Settings):
    """A classifier that scores requests no rule took, and tiers by its score."""

    classifier: ClassifierSettings
    """What scores them."""
    tiers: Annotated[list[TierSettings], Field(min_length=1)]
    """Tiers by growing threshold."""

    @model_validator(mode="after")
    def _grow(self) -> Self:
        *thresholds, last = [tier.below for tier in self.tiers]
        if last is not None:
            raise ValueError("the last tier takes the rest: leave its `below` out")
        known = [below for below in thresholds if below is not None]
        if len(known) < len(thresholds):
            raise ValueError("a tier without `below` takes everything; only the last one may lack it")
        if known != sorted(set(known)):
            raise ValueError(
                f"the thresholds do not grow: {', '.join(f'{one:g}' for one in known)}; put the tier with the lowest "
                "`below` first"
            )
        return self


class RequestSettings(Settings):
    """A chat request, and what its caller knows."""

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    """The conversation."""
    tools: list[dict[str, Any]] = []
    """Tools that it offers."""
    response_format: dict[str, Any] | None = None
    """The form that the answer must have."""
    params: dict[str, Any] = {}
    """Other request parameters."""
    metadata: dict[str, Any] = {}
    """Values that the caller knows."""
    tags: list[str] = []
    """Words that the caller knows."""


class GoldenSettings(Settings):
    """A decision that must stay as it is."""

    prompt: str | None = None
    """A user message alone."""
    request: RequestSettings | None = None
    """A whole request."""
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]+:[0-9a-f]{64}$")] | None = None
    """Salt and SHA-256 of a request that is private; who has the request can check the decision."""
    features: dict[str, Any] = {}
    """What the conditions read of a private request."""
    decision: _Chain
    """The chain."""
    rule: str
    """The rule that decides."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if sum(one is not None for one in (self.prompt, self.request, self.digest)) != 1:
            raise ValueError("a golden decision needs one of `prompt`, `request`, `digest`")
        return self


class RulesSettings(Settings):
    """A rules.yaml."""

    schema_: Annotated[Literal["routebench/rules/v1"], Field(alias="schema")]
    """The version of this format."""
    name: Annotated[str, Field(min_length=1)]
    """What the rule set is called; draws of a mix depend on it."""
    models: Annotated[dict[_Name, RoutedModelSettings], Field(min_length=1)]
    """The models, by name."""
    order: list[str] | None = None
    """The models from weakest to strongest; their order in `models` when left out."""
    guards: list[GuardSettings] = []
    """What holds whatever the rules say."""
    rules: list[RuleSettings] = []
    """Conditions and chains; the first match decides."""
    cascade: dict[_Name, CheckSettings] = {}
    """Checks of answers, by the name that routes give."""
    similarity: SimilaritySettings | None = None
    """Past prompts and what became of them; asked where no rule matches."""
    learned: LearnedSettings | None = None
    """Predicted worth of every model; asked where neither rules nor similarity decide."""
    complexity: ComplexitySettings | None = None
    """A classifier and tiers; asked where nothing before it decides."""
    default: DefaultSettings
    """Where the rest goes."""
    sticky: Literal["conversation", "none"] = "conversation"
    """Whether a conversation stays with its model."""
    health: HealthSettings | None = None
    """When a model that fails or slows down is passed over."""
    budget: BudgetSettings | None = None
    """What a day may cost."""
    explore: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """The share of decisions whose first model is drawn at random, to learn from; never past a guard."""
    evidence: dict[str, Any] = {}
    """What was measured, and on what; routebench writes it."""
    golden: Annotated[list[GoldenSettings], Field(max_length=200)] = []
    """Decisions that `routebench check` holds the file to."""
