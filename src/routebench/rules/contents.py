"""What a rules.yaml says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from routebench.rules.budget import Budget
from routebench.rules.deployments import Deployment, only_place
from routebench.rules.health.health import HealthPolicy
from routebench.types import Model, Request

if TYPE_CHECKING:
    from routebench.rules.answers.head import AnswerHead
    from routebench.rules.learned.classifier import Classifier
    from routebench.rules.learned.library import Library
    from routebench.rules.learned.llm_classifier import LlmClassifier
    from routebench.rules.learned.utility import UtilityHead

BUDGET = "budget"
COMPLEXITY = "complexity"
DEFAULT = "default"
LEARNED = "learned"
NAMED = "named"
SIMILARITY = "similarity"
STICKY = "sticky"
RESERVED = frozenset({BUDGET, COMPLEXITY, DEFAULT, LEARNED, NAMED, SIMILARITY, STICKY, "none"})
"""What decisions that no rule made are called by."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests that match `when` go to the chain `route`; answers have to pass the check `cascade`, if one is named."""

    name: str
    when: Mapping[str, Any]
    route: tuple[str, ...]
    cascade: str | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """Requests that match `when` may use `only` these, `never` those, `at_least` this model, or what runs in `regions`.

    One of the four is not None.
    """

    name: str
    when: Mapping[str, Any]
    only: tuple[str, ...] | None = None
    never: tuple[str, ...] | None = None
    at_least: str | None = None
    regions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Default:
    """Where requests go that no rule took: one chain, or (share, chain) pairs of a mix."""

    route: tuple[str, ...] | None = None
    mix: tuple[tuple[float, tuple[str, ...]], ...] | None = None
    cascade: str | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """Where requests go whose score is below a threshold; None for all the rest."""

    below: float | None
    route: tuple[str, ...]
    cascade: str | None = None


@dataclass(frozen=True, slots=True)
class Complexity:
    """A classifier that scores requests, and tiers with growing thresholds; the last one takes the rest.

    Attributes:
        settings: of the classifier, as in the file.
    """

    settings: Mapping[str, Any]
    tiers: tuple[Tier, ...]
    classifier: Classifier | LlmClassifier = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Similarity:
    """A library of past prompts and what became of them.

    Attributes:
        settings: as in the file.
    """

    settings: Mapping[str, Any]
    library: Library = field(compare=False, repr=False)
    cascade: str | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """Predicted utilities of the models.

    Attributes:
        settings: as in the file.
    """

    settings: Mapping[str, Any]
    head: UtilityHead = field(compare=False, repr=False)
    cascade: str | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """A decision that must stay as it is.

    Attributes:
        request: what is decided; None where it is private: then only who has it can check the decision.
        digest: of a private request, salted.
        features: what the conditions read of a private request, for the reader.
    """

    request: Request | None
    decision: tuple[str, ...]
    rule: str
    digest: str | None = None
    features: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a rules.yaml says.

    Attributes:
        models: by name.
        order: the names from weakest to strongest.
        checks: what answers must be like, by the name that a route's `cascade` gives; in their YAML form.
        heads: what a check's `head` names, by the check's name.
        deployments: model name -> the places that serve it, for models that have several or say so.
        explore: the share of decisions whose first model is drawn at random among those that may take the request; only
            a gateway explores, replay and golden decisions never do.
        evidence: what was measured; written by routebench.
        source: the file it was read from, for messages.
    """

    name: str
    models: Mapping[str, Model]
    default: Default
    rules: tuple[Rule, ...] = ()
    guards: tuple[Guard, ...] = ()
    order: tuple[str, ...] = ()
    sticky: Literal["conversation", "none"] = "conversation"
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    heads: Mapping[str, AnswerHead] = field(default_factory=dict, compare=False, repr=False)
    similarity: Similarity | None = None
    learned: Learned | None = None
    complexity: Complexity | None = None
    health: HealthPolicy | None = None
    budget: Budget | None = None
    deployments: Mapping[str, tuple[Deployment, ...]] = field(default_factory=dict)
    explore: float = 0.0
    evidence: Mapping[str, Any] = field(default_factory=dict)
    golden: tuple[Golden, ...] = ()
    source: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.order:
            object.__setattr__(self, "order", tuple(self.models))

    def deployments_of(self, name: str) -> tuple[Deployment, ...]:
        """Returns the places that serve a model; one where nothing else is said."""
        return self.deployments.get(name) or only_place(self.models[name])
