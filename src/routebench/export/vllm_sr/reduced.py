"""The policy as far as vLLM Semantic Router can hold it, as a rule set of ours that can be replayed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from routebench.export.loss import Lost
from routebench.export.tiers import consulted, narrowed, safest
from routebench.export.unchecked import Opening, without_answers
from routebench.export.vllm_sr.nearest import of_guard, of_rule
from routebench.rules import Default, Guard, Rule, RuleSet
from routebench.rules.contents import COMPLEXITY, LEARNED, SIMILARITY
from routebench.types import Request

MOST_GUARDS = 4
"""Every set of guards that may hold together needs its decisions: two to the power of their number."""
ANY_GUARD = "any-guard"
_SERVE = "serve it with `routebench serve`"


def reduced(
    ruleset: RuleSet, requests: Sequence[Request] = (), openings: Sequence[Opening] = ()
) -> tuple[RuleSet, tuple[Lost, ...]]:
    """Returns the rule set that is written, and what was lost.

    Guards that cannot be held are among the lost as `refused`, and not in the rule set.

    Args:
        ruleset: the policy.
        requests: prompts that rules are learned on where the policy has a learned phase.
        openings: which model is asked first of cascades that were replayed without their checks.
    """
    plain, lost = without_answers(ruleset, openings)
    guards, of_guards = _guards(plain)
    rules, of_rules = _rules(plain)
    learned, default, of_default = _default(plain, requests)
    others = list(_others(ruleset))
    return (
        replace(
            plain,
            guards=guards,
            rules=(*rules, *learned),
            default=default,
            similarity=None,
            learned=None,
            complexity=None,
            sticky="none",
        ),
        (*lost, *of_guards, *of_rules, *of_default, *others),
    )


def _guards(ruleset: RuleSet) -> tuple[tuple[Guard, ...], list[Lost]]:
    kept: list[Guard] = []
    lost: list[Lost] = []
    for guard in ruleset.guards:
        part = f"guard {guard.name}"
        nearest = of_guard(guard.when)
        if nearest.always and nearest.notes:
            lost.append(
                Lost(part, "refused", f"{'; '.join(nearest.notes)}, and it would hold for every request", _SERVE)
            )
            continue
        if nearest.when is None:
            # It holds for no request at all.
            continue
        if nearest.notes:
            lost.append(Lost(part, "approximated", "; ".join(nearest.notes), f"write it so, or {_SERVE}"))
        kept.append(replace(guard, when=nearest.when))
    if len(kept) > MOST_GUARDS:
        return _together(ruleset, kept, lost)
    return tuple(kept), lost


def _together(ruleset: RuleSet, kept: Sequence[Guard], lost: list[Lost]) -> tuple[tuple[Guard, ...], list[Lost]]:
    """One guard for many: where one of them holds, all of them do."""
    left, regions = frozenset(ruleset.models), None
    for guard in kept:
        left, regions = narrowed(ruleset, left, regions, guard)
    names = ", ".join(guard.name for guard in kept)
    why = f"more than {MOST_GUARDS} guards need too many decisions"
    if not left or regions is not None:
        refused = [
            Lost(f"guard {guard.name}", "refused", f"{why}, and {names} cannot stand together", _SERVE)
            for guard in kept
        ]
        return (), [*lost, *refused]
    only = tuple(name for name in ruleset.order if name in left)
    together = f"{why}: where one of {names} holds, all do, which leaves {', '.join(only)}"
    lost = [*lost, Lost("guards", "approximated", together, f"write fewer guards, or {_SERVE}")]
    return (Guard(ANY_GUARD, {"any": [guard.when for guard in kept]}, only=only),), lost


def _rules(ruleset: RuleSet) -> tuple[tuple[Rule, ...], list[Lost]]:
    kept: list[Rule] = []
    lost: list[Lost] = []
    for rule in ruleset.rules:
        nearest = of_rule(rule.when)
        why = "; ".join(nearest.notes)
        if nearest.when is None:
            lost.append(
                Lost(f"rule {rule.name}", "dropped", why or "it matches nothing", f"write it without that, or {_SERVE}")
            )
            continue
        if nearest.notes:
            lost.append(Lost(f"rule {rule.name}", "approximated", why, f"write it without that, or {_SERVE}"))
        kept.append(replace(rule, when=nearest.when))
    return tuple(kept), lost


def _default(ruleset: RuleSet, requests: Sequence[Request]) -> tuple[tuple[Rule, ...], Default, list[Lost]]:
    """What takes all requests that no rule of the file takes, on the safe side where more than a rule chose it."""
    present = [name for name in (SIMILARITY, LEARNED, COMPLEXITY) if getattr(ruleset, name) is not None]
    if present:
        return _instead(ruleset, " and ".join(present), requests)
    chain = safest(ruleset)
    if ruleset.default.mix is None:
        return (), Default(chain), []
    why = f"its draws are not ours, so that all of it goes to {' > '.join(chain)}, the strongest part"
    return (), Default(chain), [Lost("mix", "approximated", why, _SERVE)]


def _instead(ruleset: RuleSet, part: str, requests: Sequence[Request]) -> tuple[tuple[Rule, ...], Default, list[Lost]]:
    from routebench.export.stand_ins import stand_ins, strongest

    # What a model would say of the prompts is not known here.
    found = None if consulted(ruleset) is not None else stand_ins(ruleset, requests, _is_askable)
    if found is not None:
        rules = [
            Rule(f"learned-{number}", nearest.when, chain)
            for number, (when, chain) in enumerate(found.rules, start=1)
            if (nearest := of_rule(when)).when is not None
        ]
        said = "1 rule stands" if len(rules) == 1 else f"{len(rules)} rules stand"
        why = f"it has no form there: {said} for it, learned from its decisions on {found.n:,} prompts"
        return tuple(rules), Default(found.default), [Lost(part, "approximated", why, _SERVE)]
    chain = strongest(ruleset)
    why = f"it has no form there, and all that no rule takes goes to {' > '.join(chain)}"
    mend = f"name a store with prompts to learn rules from (--store, --suite), or {_SERVE}"
    return (), Default(chain), [Lost(part, "approximated", why, mend)]


def _is_askable(when: Mapping[str, Any]) -> bool:
    return not of_rule(when).notes


def _others(ruleset: RuleSet) -> Iterator[Lost]:
    if ruleset.sticky == "conversation":
        yield Lost(
            "sticky",
            "dropped",
            "every turn is decided anew there",
            f"write `sticky: none` if that is meant, or {_SERVE}",
        )


def of_models(ruleset: RuleSet, names: Sequence[str]) -> Iterator[Lost]:
    """Yields what is lost of models.

    Args:
        ruleset: the policy.
        names: of those that are exported.
    """
    for name in names:
        model = ruleset.models[name]
        if model.params:
            yield Lost(
                f"model {name}",
                "dropped",
                f"its parameters {', '.join(model.params)} are not sent there",
                "let the caller send them",
            )
        if len(ruleset.deployments_of(name)) > 1:
            yield Lost(
                f"deployments of {name}",
                "approximated",
                "places with other addresses or keys are models of their own there: the heaviest is asked first, and "
                "the others where it fails",
                f"put a load balancer before them, or {_SERVE}",
            )
