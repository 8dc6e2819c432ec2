"""A rule set as the text of a rules.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from routebench.rules.contents import Complexity, Contents, Default, Golden, Guard, Learned, Rule, Similarity
    from routebench.rules.deployments import Deployment

SCHEMA = "routebench/rules/v1"


def to_yaml(ruleset: Contents) -> str:
    """Returns the text of a rules.yaml that reads back as this rule set."""
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "name": ruleset.name,
        "models": {name: _model_dict(name, ruleset) for name in ruleset.models},
        "order": list(ruleset.order),
        "guards": [_guard_dict(guard) for guard in ruleset.guards],
        "cascade": {name: plain(check) for name, check in ruleset.checks.items()},
        "rules": [_rule_dict(rule) for rule in ruleset.rules],
        "similarity": _phase_dict(ruleset.similarity),
        "learned": _phase_dict(ruleset.learned),
        "complexity": _complexity_dict(ruleset.complexity),
        "default": _default_dict(ruleset.default),
        "sticky": ruleset.sticky,
        "health": None if ruleset.health is None else _said(asdict(ruleset.health)),
        "budget": None if ruleset.budget is None else asdict(ruleset.budget),
        "explore": ruleset.explore or None,
        "evidence": plain(ruleset.evidence),
        "golden": [_golden_dict(one) for one in ruleset.golden],
    }
    return yaml_text(_said(body))


def yaml_text(document: Mapping[str, Any]) -> str:
    """Returns the text of a YAML file as people read it: what fits on a line stands on one, and nothing is an alias."""
    text: str = yaml.dump(document, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120)
    return text


def plain(value: Any) -> Any:
    """Mappings and tuples as the dicts and lists that YAML has."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return value


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, {}, [])}


def _rule_dict(rule: Rule) -> dict[str, Any]:
    return {"name": rule.name, "when": plain(rule.when), **_route_dict(rule.route, rule.cascade)}


def _route_dict(route: tuple[str, ...], cascade: str | None) -> dict[str, Any]:
    return {"route": list(route)} | ({} if cascade is None else {"cascade": cascade})


def _complexity_dict(complexity: Complexity | None) -> dict[str, Any] | None:
    if complexity is None:
        return None
    tiers = [
        {**({} if one.below is None else {"below": one.below}), **_route_dict(one.route, one.cascade)}
        for one in complexity.tiers
    ]
    return {"classifier": plain(complexity.settings), "tiers": tiers}


def _phase_dict(phase: Similarity | Learned | None) -> dict[str, Any] | None:
    if phase is None:
        return None
    return {**plain(phase.settings), **({} if phase.cascade is None else {"cascade": phase.cascade})}


def _model_dict(name: str, ruleset: Contents) -> dict[str, Any]:
    model = ruleset.models[name]
    values: dict[str, Any] = {
        "provider": model.provider,
        "model": model.model,
        "base_url": model.base_url,
        "key_env": model.key_env,
        "params": plain(model.params),
        "system": model.system,
        "few_shot": [plain(message) for message in model.few_shot],
        "price": None if model.price is None else model.price.as_dict(),
        "context_window": model.context_window,
        "max_output": model.max_output,
        "region": model.region,
        "retires": model.retires,
    }
    made = {key: value for key, value in values.items() if value not in (None, {}, [])}
    if model.capabilities is not None:
        made["capabilities"] = sorted(model.capabilities)
    if name in ruleset.deployments:
        made["deployments"] = [_deployment_dict(one) for one in ruleset.deployments[name]]
    return made


def _deployment_dict(one: Deployment) -> dict[str, Any]:
    return _said({"base_url": one.base_url, "key_env": one.key_env, "weight": one.weight, "region": one.region})


def _guard_dict(guard: Guard) -> dict[str, Any]:
    sets = {"only": guard.only, "never": guard.never, "at_least": guard.at_least, "regions": guard.regions}
    said = {key: list(value) if isinstance(value, tuple) else value for key, value in sets.items() if value is not None}
    return {"name": guard.name, "when": plain(guard.when), **said}


def _default_dict(default: Default) -> dict[str, Any]:
    if default.mix is None:
        return _route_dict(default.route or (), default.cascade)
    mix = [{"share": share, "route": list(chain)} for share, chain in default.mix]
    return {"mix": mix} | ({} if default.cascade is None else {"cascade": default.cascade})


def _golden_dict(golden: Golden) -> dict[str, Any]:
    request = golden.request
    decided = {"decision": list(golden.decision), "rule": golden.rule}
    if request is None:
        return _said({"digest": golden.digest, "features": plain(golden.features)}) | decided
    alone = len(request.messages) == 1 and set(request.messages[0]) == {"role", "content"}
    rest = {
        "tools": plain(request.tools),
        "response_format": plain(request.response_format),
        "params": plain(request.params),
        "metadata": plain(request.metadata),
        "tags": list(request.tags),
    }
    said = {key: value for key, value in rest.items() if value}
    if alone and not said and request.messages[0]["role"] == "user" and isinstance(request.messages[0]["content"], str):
        asked: dict[str, Any] = {"prompt": request.messages[0]["content"]}
    else:
        asked = {"request": {"messages": [plain(message) for message in request.messages], **said}}
    return asked | decided


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
