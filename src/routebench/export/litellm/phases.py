"""What stands for the phases that LiteLLM does not have: rules learned from where they send prompts.

Similarity, learned utilities and scores of complexity read much more of a prompt than keywords and lengths. With
prompts at hand, rules that LiteLLM can ask are learned from the decisions: what sends a prompt where the rule set sends
it is worth one, what sends it to a weaker model costs a part of that, so that doubt goes to the stronger one. Without
prompts everything that these phases decide goes to the strongest model that they may choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.errors import NoEligibleModelError
from routebench.export.litellm.ladder import MOST_TIERS, MOST_TRIED, Chain, Step
from routebench.export.litellm.matchers import InexpressibleError, clause_of
from routebench.export.loss import Lost
from routebench.rules import Router, RuleSet
from routebench.rules.contents import COMPLEXITY, LEARNED, SIMILARITY
from routebench.strategies.candidates import Candidates, candidates
from routebench.strategies.induce import induce
from routebench.strategies.prompts import readings
from routebench.types import Request

_WEAKER = 0.25
_MOST_RULES = 12
_PHASES = (SIMILARITY, LEARNED, COMPLEXITY)
_MEND = "let LiteLLM ask routebench (--classifier), or serve the rule set itself"


@dataclass(frozen=True, slots=True)
class Substitute:
    """What stands for the phases after the rules.

    Attributes:
        steps: learned rules, after those of the file.
        default: where everything else goes.
        lost: what was lost, empty where the rule set has no such phase.
    """

    steps: tuple[Step, ...]
    default: Chain
    lost: tuple[Lost, ...] = ()


def substitute(ruleset: RuleSet, default: Chain, requests: Sequence[Request], tiers: int = MOST_TIERS) -> Substitute:
    """Returns what stands for similarity, learned utilities and complexity.

    Args:
        ruleset: the policy.
        default: its default chain.
        requests: prompts, none where none are known.
        tiers: so many different chains at most.
    """
    present = [name for name in _PHASES if getattr(ruleset, name) is not None]
    if not present:
        return Substitute((), default)
    part = " and ".join(f"phase {name}" for name in present)
    if not requests:
        strongest = _strongest(ruleset)
        why = "it reads keywords, patterns and lengths alone, and there were no prompts to learn such rules from"
        return Substitute(
            (),
            strongest,
            (Lost(part, "approximated", f"{why}: all goes to {strongest[0]}", f"name a store (--store), or {_MEND}"),),
        )
    requests = requests[:: max(1, len(requests) // MOST_TRIED)]
    steps, rest = _learned(ruleset, default, requests, tiers)
    why = (
        f"it reads keywords, patterns and lengths alone: rules of these stand for it, learned from its decisions on "
        f"{len(requests):,} prompts"
    )
    return Substitute(steps, rest, (Lost(part, "approximated", why, _MEND),))


def _strongest(ruleset: RuleSet) -> Chain:
    if ruleset.complexity is not None and ruleset.learned is None and ruleset.similarity is None:
        chains = [tier.route for tier in ruleset.complexity.tiers]
        return max(chains, key=lambda chain: ruleset.order.index(chain[0]))
    return (ruleset.order[-1],)


def _learned(
    ruleset: RuleSet, default: Chain, requests: Sequence[Request], tiers: int
) -> tuple[tuple[Step, ...], Chain]:
    router = Router(ruleset)
    chains: list[Chain] = []
    kept: list[int] = []
    for place, reading in enumerate(readings(requests)):
        try:
            decision = router.decide(reading)
        except NoEligibleModelError:
            continue
        if decision.rule in (*_PHASES, "default"):
            chains.append(decision.chain)
            kept.append(place)
    if not kept:
        return (), default
    firsts = [name for name, _ in Counter(chain[0] for chain in chains).most_common(tiers)]
    routes = [Counter(chain for chain in chains if chain[0] == name).most_common(1)[0][0] for name in firsts]
    strength = np.array([ruleset.order.index(name) for name in firsts])
    decided = np.array([ruleset.order.index(chain[0]) for chain in chains])
    utility = np.where(
        decided[None, :] == strength[:, None], 1.0, np.where(strength[:, None] < decided[None, :], -_WEAKER, 0.0)
    )
    some = [requests[place] for place in kept]
    rules = induce(_askable(some), utility, np.ones(len(some)), max_rules=_MOST_RULES)
    steps = []
    for number, rule in enumerate(rules.rules, start=1):
        try:
            clause = clause_of(rule.when)
        except InexpressibleError:
            # Two conditions that LiteLLM can ask, and not at once.
            continue
        steps.append(Step(f"learned-{number}", clause, routes[rule.action], is_learned=True))
    return tuple(steps), routes[rules.default]


def _askable(requests: Sequence[Request]) -> Candidates:
    """The conditions on these prompts that LiteLLM can ask."""
    import scipy.sparse

    found = candidates(requests)
    words: list[int] = []
    rest: list[int] = []
    for place in range(len(found)):
        when = found[place].when
        try:
            clause_of(when)
        except InexpressibleError:
            continue
        (words if place < found.n_keywords else rest).append(place)
    masks = found.masks
    return Candidates(
        [found[place].when for place in (*words, *rest)],
        scipy.sparse.csr_array(masks[words].astype(float).reshape(len(words), len(requests))),
        scipy.sparse.csr_array(masks[rest].astype(float).reshape(len(rest), len(requests))),
        np.eye(len(rest)),
    )
