"""The text of a rules.yaml as the parts of a rule set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from routebench.config import to_model
from routebench.errors import InputError, RulesError
from routebench.rules.budget import Budget
from routebench.rules.contents import Complexity, Default, Golden, Guard, Learned, Rule, Similarity, Tier
from routebench.rules.deployments import Deployment
from routebench.rules.file.checks import problems_of
from routebench.rules.file.schema import (
    DefaultSettings,
    GoldenSettings,
    GuardSettings,
    RequestSettings,
    RoutedModelSettings,
    RulesSettings,
)
from routebench.rules.file.wording import shape, syntax
from routebench.rules.health.health import HealthPolicy
from routebench.types import Request
from routebench.yaml_source import YamlSource, parse_yaml

if TYPE_CHECKING:
    from routebench.rules.answers.head import AnswerHead


def fields_of(text: str, name: str, folder: Path) -> dict[str, Any]:
    """Returns the fields of the RuleSet that a text describes.

    Args:
        text: of the file.
        name: what errors call it.
        folder: where artifacts are.

    Raises:
        RulesError: it cannot be used; every problem is named with its place and the mend.
    """
    try:
        source = parse_yaml(text, name)
        settings = RulesSettings.model_validate(source.data)
    except ValidationError as error:
        raise RulesError(shape(error, source)) from None
    except InputError as error:
        raise RulesError(syntax(str(error))) from None
    found = [f"{source.where(path)}: {sentence}" for path, sentence in problems_of(settings)]
    if found:
        raise RulesError(found)
    data = source.data
    guards, rules = data.get("guards") or (), data.get("rules") or ()
    return {
        "name": settings.name,
        "models": {
            name: to_model(name, one, one.few_shot if isinstance(one.few_shot, list) else ())
            for name, one in settings.models.items()
        },
        "order": tuple(settings.order or settings.models),
        "guards": tuple(parse_guard(guard) for guard in guards),
        "rules": tuple(
            Rule(rule.name, one["when"], tuple(rule.route), rule.cascade)
            for rule, one in zip(settings.rules, rules, strict=True)
        ),
        "default": _default(settings.default),
        "sticky": settings.sticky,
        "checks": {name: dict(check) for name, check in (data.get("cascade") or {}).items()},
        "heads": _heads(settings, source, folder),
        "similarity": _similarity(settings, source, folder),
        "learned": _learned(settings, source, folder),
        "complexity": _complexity(settings, source, folder),
        "health": None if settings.health is None else HealthPolicy(**settings.health.model_dump()),
        "budget": None if settings.budget is None else Budget(**settings.budget.model_dump()),
        "deployments": {
            name: _deployments(name, one) for name, one in settings.models.items() if one.deployments is not None
        },
        "explore": settings.explore,
        "evidence": settings.evidence,
        "golden": tuple(_golden(one) for one in settings.golden),
    }


def parse_guard(data: Mapping[str, Any]) -> Guard:
    """Returns a guard from its YAML form.

    Raises:
        RulesError: it is not a guard.
    """
    try:
        settings = GuardSettings.model_validate(data)
    except ValidationError as error:
        raise RulesError(
            [f"guards: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        ) from None
    return Guard(
        settings.name,
        data["when"],
        _names(settings.only),
        _names(settings.never),
        settings.at_least,
        _names(settings.regions),
    )


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _default(settings: DefaultSettings) -> Default:
    mix = None if settings.mix is None else tuple((part.share, tuple(part.route)) for part in settings.mix)
    return Default(_names(settings.route), mix, settings.cascade)


def _deployments(name: str, model: RoutedModelSettings) -> tuple[Deployment, ...]:
    places = model.deployments or []
    return tuple(
        Deployment(
            name if len(places) == 1 else f"{name}#{number}",
            name,
            model.base_url if one.base_url is None else one.base_url,
            model.key_env if one.key_env is None else one.key_env,
            one.weight,
            model.region if one.region is None else one.region,
        )
        for number, one in enumerate(places, start=1)
    )


def _heads(settings: RulesSettings, source: YamlSource, folder: Path) -> dict[str, AnswerHead]:
    said = {name: check.head for name, check in settings.cascade.items() if check.head is not None}
    if not said:
        return {}
    from routebench.rules.answers.head import load_head

    return {
        name: load_head(one.artifact, one.sha256, folder, where=source.where(("cascade", name, "head")))
        for name, one in said.items()
    }


def _complexity(settings: RulesSettings, source: YamlSource, folder: Path) -> Complexity | None:
    said = settings.complexity
    if said is None:
        return None
    from routebench.rules.learned.classifier import load_classifier

    classifier = load_classifier(said.classifier, folder, where=source.where(("complexity", "classifier")))
    tiers = tuple(Tier(tier.below, tuple(tier.route), tier.cascade) for tier in said.tiers)
    return Complexity(source.data["complexity"]["classifier"], tiers, classifier)


def _similarity(settings: RulesSettings, source: YamlSource, folder: Path) -> Similarity | None:
    said = settings.similarity
    if said is None:
        return None
    from routebench.rules.learned.library import load_library

    library = load_library(said, folder, tuple(settings.models), where=source.where(("similarity", "library")))
    rest = {key: value for key, value in source.data["similarity"].items() if key != "cascade"}
    return Similarity(rest, library, said.cascade)


def _learned(settings: RulesSettings, source: YamlSource, folder: Path) -> Learned | None:
    said = settings.learned
    if said is None:
        return None
    from routebench.rules.learned.utility import load_utility_head

    head = load_utility_head(said, folder, tuple(settings.models), where=source.where(("learned", "head")))
    return Learned({"head": source.data["learned"]["head"]}, head, said.cascade)


def _golden(settings: GoldenSettings) -> Golden:
    request: Request | None = None
    if settings.prompt is not None:
        request = Request(({"role": "user", "content": settings.prompt},))
    elif settings.request is not None:
        request = _request(settings.request)
    return Golden(request, tuple(settings.decision), settings.rule, settings.digest, settings.features)


def _request(settings: RequestSettings) -> Request:
    return Request(
        tuple(settings.messages),
        tuple(settings.tools),
        settings.response_format,
        settings.params,
        settings.metadata,
        tuple(settings.tags),
    )
