"""What differs between the files of two rule sets, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from routebench.rules.conditions.condition import Condition
from routebench.rules.contents import Default, Guard, Rule
from routebench.rules.ruleset import RuleSet
from routebench.types import Model


def changes(old: RuleSet, new: RuleSet) -> tuple[str, ...]:
    """Returns a sentence for everything in `new` that decides otherwise than in `old`: rules first, models last."""
    return (
        *_named("rule", {one.name: one for one in old.rules}, {one.name: one for one in new.rules}),
        *_rule_order(old, new),
        *_default(old, new),
        *_named("guard", {one.name: one for one in old.guards}, {one.name: one for one in new.guards}),
        *_models(old, new),
        *_rest(old, new),
    )


def replaced(old: RuleSet, new: RuleSet) -> tuple[str, ...]:
    """Returns the names of models that guards of `new` speak of and that are another model than in `old`."""
    spoken = {
        name for guard in new.guards for name in (*(guard.only or ()), *(guard.never or ()), guard.at_least) if name
    }
    return tuple(
        name
        for name in new.order
        if name in spoken and name in old.models and _identity(old.models[name]) != _identity(new.models[name])
    )


def _identity(model: Model) -> tuple[str | None, ...]:
    return model.provider, model.model, model.base_url, model.region


def _named(kind: str, before: Mapping[str, Rule | Guard], after: Mapping[str, Rule | Guard]) -> Iterator[str]:
    for name, one in before.items():
        if name not in after:
            yield f"{kind} {name} removed: {_text(one)}"
        elif one != after[name]:
            yield f"{kind} {name} changed: {_text(one)} became {_text(after[name])}"
    for name, one in after.items():
        if name not in before:
            yield f"{kind} {name} added: {_text(one)}"


def _text(one: Rule | Guard) -> str:
    if isinstance(one, Rule):
        return f"{Condition.parse(one.when)} → {_chain(one.route, one.cascade)}"
    demand = f"at least {one.at_least}"
    if one.only is not None:
        demand = f"only {', '.join(one.only)}"
    elif one.never is not None:
        demand = f"never {', '.join(one.never)}"
    elif one.regions is not None:
        demand = f"only in {', '.join(one.regions)}"
    return f"{Condition.parse(one.when, scope='conversation')}: {demand}"


def _rule_order(old: RuleSet, new: RuleSet) -> Iterator[str]:
    before, after = ([one.name for one in ruleset.rules] for ruleset in (old, new))
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield f"rules are asked in another order: {', '.join(after)}"


def _default(old: RuleSet, new: RuleSet) -> Iterator[str]:
    if old.default != new.default:
        yield f"default changed: {_routed(old.default)} became {_routed(new.default)}"
    elif new.default.mix is not None and old.name != new.name:
        yield f"the name changed from {old.name} to {new.name}, so the default's mix is drawn anew"


def _routed(default: Default) -> str:
    if default.mix is None:
        return _chain(default.route or (), default.cascade)
    return " or ".join(f"{share:.0%} {' > '.join(chain)}" for share, chain in default.mix)


def _chain(route: Sequence[str], cascade: str | None) -> str:
    return " > ".join(route) + ("" if cascade is None else f" checked by {cascade}")


def _models(old: RuleSet, new: RuleSet) -> Iterator[str]:
    for name, one in old.models.items():
        if name not in new.models:
            yield f"model {name} removed"
        elif one != new.models[name]:
            yield f"model {name} changed: {', '.join(_fields(one, new.models[name]))}"
        if name in new.models and old.deployments.get(name) != new.deployments.get(name):
            before, after = (len(ruleset.deployments_of(name)) for ruleset in (old, new))
            yield f"model {name} is served elsewhere: {before} deployments became {after}"
    for name, one in new.models.items():
        if name not in old.models:
            yield f"model {name} added: {one.provider}/{one.model}"
    if [name for name in old.order if name in new.order] != [name for name in new.order if name in old.order]:
        yield f"order changed: {', '.join(old.order)} became {', '.join(new.order)}"


def _fields(before: Model, after: Model) -> Iterator[str]:
    for one in fields(Model):
        first, second = getattr(before, one.name), getattr(after, one.name)
        if first == second:
            continue
        # Prompts and demonstrations are long and may be private.
        long = one.name in ("few_shot", "system", "params", "price")
        yield one.name if long else f"{one.name} {first} became {second}"


def _rest(old: RuleSet, new: RuleSet) -> Iterator[str]:
    if old.sticky != new.sticky:
        yield f"sticky changed: {old.sticky} became {new.sticky}"
    if old.explore != new.explore:
        yield f"explore changed: {old.explore:g} became {new.explore:g}"
    for name in dict.fromkeys((*old.checks, *new.checks)):
        if old.checks.get(name) != new.checks.get(name):
            yield f"check {name} {_how(old.checks.get(name), new.checks.get(name))}"
    for name in ("similarity", "learned", "complexity", "health", "budget"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} {_how(before, after)}"


def _how(before: object, after: object) -> str:
    return "added" if before is None else "removed" if after is None else "changed"
