"""A rule set as LiteLLM's config.yaml: one tuned complexity auto-router over the models and their chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from routebench.errors import RulesError
from routebench.export.litellm.capabilities import CAPABILITIES
from routebench.export.litellm.document import (
    CLASSIFIER,
    MAIN,
    SERVE,
    TITLE,
    around,
    around_lost,
    needs_of,
    plain_of,
)
from routebench.export.litellm.guarding import Guarded, guarded
from routebench.export.litellm.ladder import Chain, Ladder, Level, Step, ladder_of
from routebench.export.litellm.matchers import InexpressibleError, clause_of, when_of
from routebench.export.litellm.names import unknown_names
from routebench.export.litellm.phases import substitute
from routebench.export.litellm.plugin import export_asking
from routebench.export.litellm.scoring import TIERS, CrowdedError, Scored, scored
from routebench.export.litellm.service import Groups, model_list
from routebench.export.loss import Lost, refuse_lost_guards
from routebench.export.target import Exported, Target
from routebench.export.tiers import safest
from routebench.export.unchecked import Opening
from routebench.export.verify.litellm import verify_litellm
from routebench.rules import Default, Rule, RuleSet
from routebench.rules.file.writing import yaml_text
from routebench.types import Request


def export_litellm(
    ruleset: RuleSet,
    *,
    requests: Sequence[Request] = (),
    openings: Sequence[Opening] = (),
    names: Mapping[str, str] | None = None,
    allow_lost_guards: bool = False,
) -> Exported:
    """Writes a rule set as a config.yaml; see `Exporting`.

    Raises:
        RulesError: a guard would be lost.
    """
    plain, lost = plain_of(ruleset, openings)
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
    groups = Groups([level.chain for level in ladder.levels], ruleset.order)
    listed, unnamed = model_list(ruleset, groups, names or {})
    lost += unnamed
    # What would move requests by their size or images moves them past guards too.
    moves = not guards.steps
    lost += around_lost(ruleset, moves=moves)
    document = _document(ruleset, ladder, found, groups, listed, moves=moves)
    return Exported(
        "litellm",
        {MAIN: yaml_text(document)},
        tuple(lost),
        _reduced(plain, ladder, guards),
        tuple(needs_of(ruleset)),
    )


def _steps(ruleset: RuleSet, lost: list[Lost]) -> tuple[list[Step], Chain]:
    """The rules that LiteLLM can ask, and the default chain."""
    steps: list[Step] = []
    for rule in ruleset.rules:
        try:
            steps.append(Step(rule.name, clause_of(rule.when), rule.route))
        except InexpressibleError as error:
            lost.append(Lost(f"rule {rule.name}", "dropped", str(error), CLASSIFIER))
    chain = safest(ruleset)
    if ruleset.default.mix is not None:
        why = f"it draws no chain, so that all of the default goes to {chain[0]}"
        lost.append(Lost("default mix", "approximated", why, SERVE))
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
                raise RulesError(f"LiteLLM cannot hold this rule set: {error}; {SERVE}") from None
            some.remove(last)
            if not last.is_learned:
                lost.append(Lost(f"rule {last.name}", "dropped", str(error), CLASSIFIER))


def _is_plain(step: Step) -> bool:
    return len(step.clause) == 1 and step.clause[0].is_words_alone


def _inexact(ladder: Ladder) -> Iterator[Lost]:
    for step in ladder.steps:
        differs = dict.fromkeys(text for matcher in step.clause for text in matcher.inexact)
        if differs and not step.is_learned and not step.is_guard:
            mend = "--verify counts it, the replay only in part"
            yield Lost(f"rule {step.name}", "approximated", "; ".join(differs), mend)


def _document(
    ruleset: RuleSet, ladder: Ladder, found: Scored, groups: Groups, listed: list[dict[str, Any]], *, moves: bool
) -> dict[str, Any]:
    tiers = {name: groups.name(level.chain) for name, level in zip(TIERS, _filled(ladder), strict=True)}
    config = {"classifier_type": "heuristic", "tiers": tiers, **found.as_config()}
    models = ruleset.models.values()
    config |= {
        "escalation_keywords": [],
        "session_affinity": ruleset.sticky == "conversation" and not ruleset.guards,
        "enable_context_window_escalation": moves and any(model.context_window is not None for model in models),
        "modality_routing": moves and any(model.capabilities is not None for model in models),
    }
    return around(ruleset, config, tiers["SIMPLE"], groups, listed)


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
    )


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
