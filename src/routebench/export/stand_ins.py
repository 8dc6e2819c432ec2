"""Rules that stand for what a target has no form for: similarity, learned utilities, scores of complexity.

With prompts at hand, rules that the target can ask are learned from where these phases send them: what sends a prompt
where they send it is worth one, what sends it to a weaker model costs a part of that, so that doubt goes to the
stronger one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from routebench.errors import NoEligibleModelError
from routebench.rules import Router, RuleSet
from routebench.rules.contents import COMPLEXITY, DEFAULT, LEARNED, SIMILARITY
from routebench.strategies.candidates import Candidates, candidates
from routebench.strategies.induce import induce
from routebench.strategies.prompts import readings
from routebench.types import Request

PHASES = (SIMILARITY, LEARNED, COMPLEXITY)
_WEAKER = 0.25
_MOST_RULES = 12
_MOST_TRIED = 4_000
_FEWEST = 30
"""Of so few prompts no rule is learned."""

Chain = tuple[str, ...]
Askable = Callable[[Mapping[str, Any]], bool]
"""Whether a target can ask a condition as it is."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """What stands for the phases after the rules.

    Attributes:
        rules: conditions and chains, the first match wins.
        default: where everything else goes.
        n: prompts that they were learned on.
    """

    rules: tuple[tuple[Mapping[str, Any], Chain], ...]
    default: Chain
    n: int


def strongest(ruleset: RuleSet) -> Chain:
    """Returns where all that these phases decide goes when nothing is known of prompts: the safe side.

    Where scores of complexity decide alone that is the tier whose first model is the strongest, otherwise all models.
    """
    if ruleset.complexity is not None and ruleset.learned is None and ruleset.similarity is None:
        chains = [tier.route for tier in ruleset.complexity.tiers]
        return max(chains, key=lambda chain: ruleset.order.index(chain[0]))
    return tuple(reversed(ruleset.order))


def stand_ins(
    ruleset: RuleSet, requests: Sequence[Request], askable: Askable, most_models: int | None = None
) -> StandIns | None:
    """Returns the rules that were learned; None where too few prompts come to these phases.

    Args:
        ruleset: with phases after its rules; its guards play no part.
        requests: prompts such as it will be asked.
        askable: what the target can ask.
        most_models: that rules may lead to first; any number when left out.
    """
    router = Router(replace(ruleset, guards=()))
    chains: list[Chain] = []
    kept: list[Request] = []
    for reading in readings(requests[:: max(1, -(-len(requests) // _MOST_TRIED))]):
        try:
            decision = router.decide(reading)
        except NoEligibleModelError:
            continue
        if decision.rule in (*PHASES, DEFAULT):
            chains.append(decision.chain)
            kept.append(reading.request)
    if len(kept) < _FEWEST:
        return None
    firsts = [name for name, _ in Counter(chain[0] for chain in chains).most_common(most_models)]
    routes = [Counter(chain for chain in chains if chain[0] == name).most_common(1)[0][0] for name in firsts]
    strength = np.array([ruleset.order.index(name) for name in firsts])[:, None]
    decided = np.array([ruleset.order.index(chain[0]) for chain in chains])[None, :]
    utility = np.where(decided == strength, 1.0, np.where(strength < decided, -_WEAKER, 0.0))
    found = induce(_asked(kept, askable), utility, np.ones(len(kept)), max_rules=_MOST_RULES)
    return StandIns(tuple((rule.when, routes[rule.action]) for rule in found.rules), routes[found.default], len(kept))


def _asked(requests: Sequence[Request], askable: Askable) -> Candidates:
    """The conditions on these prompts that a target can ask."""
    import scipy.sparse

    found = candidates(requests)
    places = [place for place in range(len(found)) if askable(found[place].when)]
    words = [place for place in places if place < found.n_keywords]
    rest = places[len(words) :]
    masks = found.masks
    return Candidates(
        [found[place].when for place in places],
        scipy.sparse.csr_array(masks[words].astype(float).reshape(len(words), len(requests))),
        scipy.sparse.csr_array(masks[rest].astype(float).reshape(len(rest), len(requests))),
        np.eye(len(rest)),
    )
