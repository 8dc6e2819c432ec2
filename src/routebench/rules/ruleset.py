"""RuleSet: the policy as a value, read from a rules.yaml and written to one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from routebench.errors import RulesError
from routebench.rules.budget import Budget
from routebench.rules.deployments import Deployment, only_place
from routebench.rules.file.writing import to_yaml
from routebench.rules.health import HealthPolicy
from routebench.types import Model, Request

if TYPE_CHECKING:
    from routebench.rules.learned.classifier import Classifier
    from routebench.rules.learned.library import Library


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

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Builds a guard from its YAML form.

        Raises:
            RulesError: it is not a guard.
        """
        from pydantic import ValidationError

        from routebench.rules.file.schema import GuardSettings

        try:
            settings = GuardSettings.model_validate(data)
        except ValidationError as error:
            raise RulesError(
                [f"guards: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            ) from None
        return cls(
            settings.name,
            data["when"],
            _names(settings.only),
            _names(settings.never),
            settings.at_least,
            _names(settings.regions),
        )


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
    classifier: Classifier = field(compare=False, repr=False)


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
class RuleSet:
    """A routing policy.

    Attributes:
        models: by name.
        order: the names from weakest to strongest.
        checks: what answers must be like, by the name that a route's `cascade` gives; in their YAML form.
        deployments: model name -> the places that serve it, for models that have several or say so.
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
    similarity: Similarity | None = None
    complexity: Complexity | None = None
    health: HealthPolicy | None = None
    budget: Budget | None = None
    deployments: Mapping[str, tuple[Deployment, ...]] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    golden: tuple[Golden, ...] = ()
    source: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.order:
            object.__setattr__(self, "order", tuple(self.models))

    @property
    def policy_sha256(self) -> str:
        """Digest of everything that decides: equal for rule sets that decide every request alike by their text."""
        models = {name: replace(model, price=None) for name, model in self.models.items()}
        text = replace(self, models=models, evidence={}, golden=()).to_yaml()
        return hashlib.sha256(text.encode()).hexdigest()

    def deployments_of(self, name: str) -> tuple[Deployment, ...]:
        """Returns the places that serve a model; one where nothing else is said."""
        return self.deployments.get(name) or only_place(self.models[name])

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a rules.yaml.

        Raises:
            RulesError: the file cannot be read or used; every problem is named with its line and the mend.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RulesError(f"{path}: no such file; `routebench tune` writes one") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RulesError(f"{path}: cannot be read: {error}") from None
        return cls.parse(text, name=str(path), folder=Path(path).parent)

    @classmethod
    def parse(cls, text: str, *, name: str = "rules.yaml", folder: str | Path = ".") -> Self:
        """Reads the text of a rules.yaml.

        Args:
            text: of the file.
            name: what errors call it.
            folder: where the files are that it refers to.

        Raises:
            RulesError: it cannot be used.
        """
        from routebench.rules.file.loading import fields_of

        return cls(**fields_of(text, name, Path(folder)), source=name)

    def to_yaml(self) -> str:
        """Returns the text of a rules.yaml that reads back as this rule set."""
        return to_yaml(self)


def rules_json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a rules.yaml, for editors."""
    from routebench.config import json_schema
    from routebench.rules.file.schema import RulesSettings

    return json_schema(RulesSettings, "rules.yaml")


def request_from_dict(data: Mapping[str, Any]) -> Request:
    """Builds a Request from the body of a chat request; `metadata` and `tags` may stand in it too."""
    return Request(
        messages=tuple(data.get("messages") or ()),
        tools=tuple(data.get("tools") or ()),
        response_format=data.get("response_format"),
        params=data.get("params") or {},
        metadata=data.get("metadata") or {},
        tags=tuple(data.get("tags") or ()),
    )


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)
