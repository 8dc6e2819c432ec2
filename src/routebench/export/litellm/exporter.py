"""A rule set as LiteLLM's config.yaml: one tuned complexity auto-router over the models and their chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from routebench.errors import RulesError
from routebench.export.litellm.asking import FILE, REFUSED, fallback, source, tiers_for
from routebench.export.litellm.asking import MOST_TIERS as MOST_DEFINED
from routebench.export.litellm.capabilities import CAPABILITIES
from routebench.export.litellm.guarding import Guarded, guarded
from routebench.export.litellm.ladder import MOST_TRIED, Chain, Ladder, Level, Step, ladder_of
from routebench.export.litellm.matchers import InexpressibleError, clause_of, when_of
from routebench.export.litellm.names import TRIED, unknown_names
from routebench.export.litellm.phases import substitute
from routebench.export.litellm.scoring import TIERS, CrowdedError, Scored, scored
from routebench.export.litellm.service import ROUTER, Groups, model_list
from routebench.export.loss import How, Lost, refuse_lost_guards
from routebench.export.target import Exported, Target
from routebench.export.tiers import safest, without_answers
from routebench.export.verify.litellm import verify_litellm
from routebench.rules import Default, Rule, RuleSet
from routebench.rules.conditions.parts import mentions
from routebench.types import Request

MAIN = "config.yaml"
TITLE = f"LiteLLM proxy (tried with {TRIED})"
REFUSED_GROUP = "routebench-refused"
_CLASSIFIER = "let LiteLLM ask routebench (--classifier)"
_SERVE = "serve the rule set itself: routebench serve"


class Plain(yaml.SafeDumper):
    """Writes everything out: nobody edits a file of anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - of the base class
        """Says that nothing is written by a name."""
        return True


def export_litellm(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Writes a rule set as a config.yaml; see `Exporting`.

    Raises:
        RulesError: a guard would be lost.
    """
    plain, turned = without_answers(ruleset)
    lost = [one for one in turned if one.part != "health"]
    steps, default = _steps(plain, lost)
    stands = substitute(plain, default, requests)
    lost += stands.lost
    rules = (*steps, *stands.steps)
    chains = list(dict.fromkeys((*(step.chain for step in rules), stands.default)))
    guards = guarded(plain, chains, allow=allow_lost_guards)
    lost += guards.lost
    refuse_lost_guards(lost, TITLE, allow=allow_lost_guards)
    ladder, found, dropped = _fit((*guards.steps, *rules), stands.default, requests)
    lost += dropped
    lost += _inexact(ladder)
    groups = Groups([level.chain for level in ladder.levels])
    listed, unnamed = model_list(ruleset, groups, names or {})
    lost += unnamed
    lost += _around(ruleset)
    document = _document(ruleset, ladder, found, groups, listed)
    return Exported(
        "litellm",
        {MAIN: yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)},
        tuple(lost),
        _reduced(plain, ladder, guards),
        tuple(_needs(ruleset)),
    )


def _steps(ruleset: RuleSet, lost: list[Lost]) -> tuple[list[Step], Chain]:
    """The rules that LiteLLM can ask, and the default chain."""
    steps: list[Step] = []
    for rule in ruleset.rules:
        try:
            steps.append(Step(rule.name, clause_of(rule.when), rule.route))
        except InexpressibleError as error:
            lost.append(Lost(f"rule {rule.name}", "dropped", str(error), _CLASSIFIER))
    chain = safest(ruleset)
    if ruleset.default.mix is not None:
        why = f"it draws no chain, so that all of the default goes to {chain[0]}"
        lost.append(Lost("default mix", "approximated", why, _SERVE))
    return steps, chain


def _fit(steps: Sequence[Step], default: Chain, requests: Sequence[Request]) -> tuple[Ladder, Scored, list[Lost]]:
    """Tiers and their scores; rules are left out from the last on until there is room."""
    lost: list[Lost] = []
    some = list(steps)
    while True:
        ladder, dropped = ladder_of(some, default, requests)
        try:
            return ladder, scored(ladder), [*lost, *dropped]
        except CrowdedError as error:
            last = next((step for step in reversed(some) if not step.is_guard and not _is_plain(step)), None)
            if last is None:
                raise RulesError(f"LiteLLM cannot hold this rule set: {error}; {_SERVE}") from None
            some.remove(last)
            if not last.is_learned:
                lost.append(Lost(f"rule {last.name}", "dropped", str(error), _CLASSIFIER))


def _is_plain(step: Step) -> bool:
    return len(step.clause) == 1 and step.clause[0].is_words_alone


def _inexact(ladder: Ladder) -> Iterator[Lost]:
    for step in ladder.steps:
        differs = dict.fromkeys(text for matcher in step.clause for text in matcher.inexact)
        if differs and not step.is_learned:
            part = f"{'guard' if step.is_guard else 'rule'} {step.name}"
            yield Lost(part, "approximated", "; ".join(differs), "the replay counts it")


def _around(ruleset: RuleSet) -> Iterator[Lost]:
    if ruleset.health is not None:
        why = "it counts failures in a minute and cools down; latency and probes are not looked at"
        yield Lost("health", "approximated", why, _SERVE)
    if ruleset.sticky == "conversation":
        if ruleset.guards:
            why = "a session that is pinned would pass a guard, so every turn is decided anew"
            yield Lost("sticky", "dropped", why, _SERVE)
        else:
            yield Lost(
                "sticky", "approximated", "only callers that send a session id are pinned", "send `litellm_session_id`"
            )
    limited = [name for name, model in ruleset.models.items() if model.capabilities is not None]
    if limited:
        why = f"of what {', '.join(limited)} cannot do, only images are looked at"
        yield Lost("limits", "approximated", why, _SERVE)


def _document(
    ruleset: RuleSet, ladder: Ladder, found: Scored, groups: Groups, listed: list[dict[str, Any]]
) -> dict[str, Any]:
    tiers = {name: groups.name(level.chain) for name, level in zip(TIERS, _filled(ladder), strict=True)}
    config = {"classifier_type": "heuristic", "tiers": tiers, **found.as_config()}
    return around(ruleset, config, tiers["SIMPLE"], groups, listed)


def around(
    ruleset: RuleSet, config: Mapping[str, Any], default: str, groups: Groups, listed: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns the whole document around what makes the tiers.

    Args:
        ruleset: the policy.
        config: the part of `complexity_router_config` that makes the tiers.
        default: the group for requests without a user message.
        groups: of the chains.
        listed: the models.
    """
    sized = any(model.context_window is not None for model in ruleset.models.values())
    seeing = any(model.capabilities is not None for model in ruleset.models.values())
    # What LiteLLM does by itself beside the tiers, and nobody measured.
    still: dict[str, Any] = {
        "route_housekeeping_to_cheapest_tier": False,
        "max_tokens_from_tier_model": False,
        "context_compaction": False,
    }
    if "tier_definitions" not in config:
        still |= {
            "escalation_keywords": [],
            "session_affinity": ruleset.sticky == "conversation" and not ruleset.guards,
            "enable_context_window_escalation": sized,
            "modality_routing": seeing,
        }
    router = {
        "model_name": ROUTER,
        "litellm_params": {
            "model": "auto_router/complexity_router",
            "complexity_router_default_model": default,
            "complexity_router_config": {**config, **still},
        },
    }
    several = max(len(ruleset.deployments_of(name)) for name in ruleset.order)
    settings: dict[str, Any] = {"routing_strategy": "simple-shuffle", "num_retries": several - 1}
    if groups.fallbacks:
        settings["fallbacks"] = groups.fallbacks
    if ruleset.health is not None:
        settings["allowed_fails"] = ruleset.health.min_errors
        settings["cooldown_time"] = ruleset.health.cooldown_s
    return {
        "model_list": [*listed, router],
        "router_settings": settings,
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


def _filled(ladder: Ladder) -> list[Level]:
    """Four tiers: those that nothing reaches lead where the one below leads."""
    levels = list(ladder.levels)
    return levels + [levels[-1]] * (len(TIERS) - len(levels))


def _reduced(ruleset: RuleSet, ladder: Ladder, guards: Guarded) -> RuleSet:
    """What LiteLLM does, as a rule set: the guards are rules before the others."""
    return replace(
        ruleset,
        name=f"{ruleset.name} in LiteLLM",
        guards=guards.kept,
        rules=tuple(Rule(step.name, when_of(step.clause), step.chain) for step in ladder.steps),
        default=Default(route=ladder.levels[0].chain),
        similarity=None,
        learned=None,
        complexity=None,
        checks={},
        heads={},
        health=None,
        budget=None,
        explore=0.0,
        evidence={},
        golden=(),
        source=None,
    )


def export_asking(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Writes a config.yaml whose router asks the rule set itself, and the classifier beside it; see `Exporting`.

    Raises:
        RulesError: a guard would be lost.
    """
    plain, turned = without_answers(ruleset)
    lost = [one for one in turned if one.part != "health"]
    tiers, whole = tiers_for(plain, requests[:: max(1, len(requests) // MOST_TRIED)])
    lost += _asking_lost(plain, whole=whole)
    lost += _around(ruleset)
    refuse_lost_guards(lost, TITLE, allow=allow_lost_guards)
    chains = {f"rb{number}": chain for number, chain in enumerate(tiers, start=1)}
    groups = Groups(list(chains.values()))
    listed, unnamed = model_list(ruleset, groups, names or {})
    lost += unnamed
    safe = fallback(plain)
    led = {name: groups.name(chain) for name, chain in chains.items()}
    back = next((name for name, chain in chains.items() if safe is not None and chain == safe[: len(chain)]), REFUSED)
    refusing = {
        "model_name": REFUSED_GROUP,
        "litellm_params": {"model": "openai/none", "api_key": "none", "api_base": "http://127.0.0.1:9/v1"},
    }
    config = {
        "classifier_type": "custom",
        "classifier_plugin": f"{FILE.removesuffix('.py')}.classifier",
        "tier_definitions": [
            *({"name": name, "description": " > ".join(chain)[:500]} for name, chain in chains.items()),
            {"name": REFUSED, "description": "no model may take it"},
        ],
        "tiers": {**led, REFUSED: REFUSED_GROUP},
        "fallback_tier": back,
    }
    document = around(ruleset, config, led.get(back, REFUSED_GROUP), groups, [*listed, refusing])
    return Exported(
        "litellm",
        {
            MAIN: yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120),
            FILE: source(ruleset, chains),
        },
        tuple(lost),
        replace(plain, name=f"{ruleset.name} in LiteLLM", evidence={}, golden=(), source=None),
        (
            f"put rules.yaml with its artifacts beside {MAIN} and {FILE}",
            "install routebench, without extras, in LiteLLM's environment",
            *_needs(ruleset),
        ),
    )


def _asking_lost(ruleset: RuleSet, *, whole: bool) -> Iterator[Lost]:
    if not whole:
        why = f"it has {MOST_DEFINED} tiers, one a model: what is tried after it is not always the same"
        yield Lost("chain", "approximated", why, _SERVE)
    for kind, name, when in (
        *(("guard", one.name, one.when) for one in ruleset.guards),
        *(("rule", one.name, one.when) for one in ruleset.rules),
    ):
        if mentions(when, ("has_tools", "json_schema", "max_tokens")):
            how: How = "refused" if kind == "guard" else "dropped"
            yield Lost(f"{kind} {name}", how, "it shows a classifier neither tools nor the form of the answer", _SERVE)
    for guard in ruleset.guards:
        if guard.regions is not None:
            why = "it cannot keep a request from the other places of a model"
            yield Lost(f"guard {guard.name}", "refused", why, _SERVE)


def _needs(ruleset: RuleSet) -> Iterator[str]:
    yield "set LITELLM_MASTER_KEY and the variables that `os.environ/...` names"
    if ruleset.guards:
        yield f"give callers keys for {ROUTER} alone: one that may name a model itself passes the guards"
    yield f"callers ask for the model {ROUTER}"


LITELLM = Target(
    name="litellm",
    title=TITLE,
    capabilities=CAPABILITIES,
    export=export_litellm,
    check=unknown_names,
    verify=verify_litellm,
    main=MAIN,
    asking=export_asking,
)
