"""RuleSet: the policy as a value, read from a rules.yaml and written to one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml

from routebench.errors import InputError, RulesError
from routebench.types import Model, Request
from routebench.yaml_source import YamlSource, parse_yaml

if TYPE_CHECKING:
    from routebench.rules.schema import RulesSettings

SCHEMA = "routebench/rules/v1"

NOT_RUN_HERE = ("budget", "cascade", "complexity", "health", "similarity")
"""Keys of the format that this version cannot execute: better refused than ignored."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests that match `when` go to the chain `route`."""

    name: str
    when: Mapping[str, Any]
    route: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """Requests that match `when` may use `only` these, `never` those, or `at_least` this model; one of the three."""

    name: str
    when: Mapping[str, Any]
    only: tuple[str, ...] | None = None
    never: tuple[str, ...] | None = None
    at_least: str | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Builds a guard from its YAML form.

        Raises:
            RulesError: it is not a guard.
        """
        from pydantic import ValidationError

        from routebench.rules.schema import GuardSettings

        try:
            settings = GuardSettings.model_validate(data)
        except ValidationError as error:
            raise RulesError(
                [f"guards: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            ) from None
        return cls(settings.name, data["when"], _chain(settings.only), _chain(settings.never), settings.at_least)


@dataclass(frozen=True, slots=True)
class Default:
    """Where requests go that no rule took: one chain, or (share, chain) pairs of a mix."""

    route: tuple[str, ...] | None = None
    mix: tuple[tuple[float, tuple[str, ...]], ...] | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """A decision that must stay as it is."""

    request: Request
    decision: tuple[str, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A routing policy.

    Attributes:
        models: by name.
        order: the names from weakest to strongest.
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
        return cls.parse(text, name=str(path))

    @classmethod
    def parse(cls, text: str, *, name: str = "rules.yaml") -> Self:
        """Reads the text of a rules.yaml; `name` is what errors call it.

        Raises:
            RulesError: it cannot be used.
        """
        from pydantic import ValidationError

        from routebench.config import describe
        from routebench.rules.checks import problems_of
        from routebench.rules.schema import RulesSettings

        try:
            source = parse_yaml(text, name)
            _refuse_what_is_not_run(source)
            settings = RulesSettings.model_validate(source.data)
        except ValidationError as error:
            raise RulesError(describe(error, source, RulesSettings)) from None
        except RulesError:
            raise
        except InputError as error:
            raise RulesError(str(error)) from None
        found = [f"{source.where(path)}: {sentence}" for path, sentence in problems_of(settings)]
        if found:
            raise RulesError(found)
        return cls._from_settings(settings, source)

    @classmethod
    def _from_settings(cls, settings: RulesSettings, source: YamlSource) -> Self:
        from routebench.config import to_model

        data = source.data
        whens = [rule["when"] for rule in data.get("rules") or ()]
        default = settings.default
        return cls(
            name=settings.name,
            models={
                name: to_model(name, one, one.few_shot if isinstance(one.few_shot, list) else ())
                for name, one in settings.models.items()
            },
            order=tuple(settings.order or settings.models),
            guards=tuple(Guard.parse(guard) for guard in data.get("guards") or ()),
            rules=tuple(
                Rule(rule.name, when, tuple(rule.route)) for rule, when in zip(settings.rules, whens, strict=True)
            ),
            default=Default(
                route=_chain(default.route),
                mix=None if default.mix is None else tuple((part.share, tuple(part.route)) for part in default.mix),
            ),
            sticky=settings.sticky,
            evidence=settings.evidence,
            golden=tuple(
                Golden(
                    request_from_dict(
                        {"messages": [{"role": "user", "content": one.prompt}]} if one.request is None else one.request
                    ),
                    tuple(one.decision),
                    one.rule,
                )
                for one in settings.golden
            ),
            source=source.name,
        )

    def to_yaml(self) -> str:
        """Returns the text of a rules.yaml that reads back as this rule set."""
        body: dict[str, Any] = {
            "schema": SCHEMA,
            "name": self.name,
            "models": {name: _model_dict(model) for name, model in self.models.items()},
            "order": list(self.order),
            "guards": [_guard_dict(guard) for guard in self.guards],
            "rules": [{"name": rule.name, "when": _plain(rule.when), "route": list(rule.route)} for rule in self.rules],
            "default": _default_dict(self.default),
            "sticky": self.sticky,
            "evidence": _plain(self.evidence),
            "golden": [_golden_dict(one) for one in self.golden],
        }
        kept = {key: value for key, value in body.items() if value not in ({}, [])}
        return yaml.dump(kept, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120)


def rules_json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a rules.yaml, for editors."""
    from routebench.config import json_schema
    from routebench.rules.schema import RulesSettings

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


def _refuse_what_is_not_run(source: YamlSource) -> None:
    for key in source.data if isinstance(source.data, dict) else ():
        if key in NOT_RUN_HERE:
            raise RulesError(
                f"{source.where((key,))}: this version of routebench cannot execute `{key}`; take it out, or use a "
                "version that can: what is not executed must not look as if it were"
            )


def _chain(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _model_dict(model: Model) -> dict[str, Any]:
    values: dict[str, Any] = {
        "provider": model.provider,
        "model": model.model,
        "base_url": model.base_url,
        "key_env": model.key_env,
        "params": _plain(model.params),
        "system": model.system,
        "few_shot": [_plain(message) for message in model.few_shot],
        "price": None if model.price is None else model.price.as_dict(),
        "context_window": model.context_window,
        "max_output": model.max_output,
        "region": model.region,
        "retires": model.retires,
    }
    made = {key: value for key, value in values.items() if value not in (None, {}, [])}
    if model.capabilities is not None:
        made["capabilities"] = sorted(model.capabilities)
    return made


def _guard_dict(guard: Guard) -> dict[str, Any]:
    sets = {"only": guard.only, "never": guard.never, "at_least": guard.at_least}
    said = {key: list(value) if isinstance(value, tuple) else value for key, value in sets.items() if value is not None}
    return {"name": guard.name, "when": _plain(guard.when), **said}


def _default_dict(default: Default) -> dict[str, Any]:
    if default.mix is not None:
        return {"mix": [{"share": share, "route": list(chain)} for share, chain in default.mix]}
    return {"route": list(default.route or ())}


def _golden_dict(golden: Golden) -> dict[str, Any]:
    request = golden.request
    alone = len(request.messages) == 1 and set(request.messages[0]) == {"role", "content"}
    rest = {
        "tools": _plain(request.tools),
        "response_format": _plain(request.response_format),
        "params": _plain(request.params),
        "metadata": _plain(request.metadata),
        "tags": list(request.tags),
    }
    said = {key: value for key, value in rest.items() if value}
    if alone and not said and request.messages[0]["role"] == "user" and isinstance(request.messages[0]["content"], str):
        asked: dict[str, Any] = {"prompt": request.messages[0]["content"]}
    else:
        asked = {"request": {"messages": [_plain(message) for message in request.messages], **said}}
    return {**asked, "decision": list(golden.decision), "rule": golden.rule}


def _plain(value: Any) -> Any:
    """Mappings and tuples as the dicts and lists that YAML has."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


_ONE_LINE = 110


class _Readable(yaml.SafeDumper):
    """Writes what fits on a line on one line, so that a rule is a line; repeats values instead of pointing at them."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the dumper's own interface
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:  # noqa: FBT001
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = node.flow_style or _fits(node)
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:  # noqa: FBT001
        node = super().represent_sequence(tag, sequence, flow_style)
        scalars = all(isinstance(child, yaml.ScalarNode) for child in node.value)
        node.flow_style = node.flow_style or (scalars and _fits(node)) or not node.value
        return node


def _fits(node: yaml.Node) -> bool:
    return _width(node) <= _ONE_LINE


def _width(node: yaml.Node) -> int:
    if isinstance(node, yaml.MappingNode):
        return sum(_width(key) + _width(value) + 4 for key, value in node.value)
    if isinstance(node, yaml.SequenceNode):
        return sum(_width(child) + 2 for child in node.value) + 2
    return _ONE_LINE + 1 if "\n" in node.value else len(node.value) + 2
