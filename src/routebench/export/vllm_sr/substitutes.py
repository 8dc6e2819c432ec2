"""Rules in place of what was learned: similarity, utilities and complexity have no form there.

With prompts at hand, rules that the router can ask are learned from where these phases send them: what sends a prompt
where they send it is worth one, what sends it to a weaker model costs a part of that, so that doubt goes to the
stronger one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from routebench.errors import NoEligibleModelError
from routebench.export.vllm_sr.nearest import of_rule
from routebench.rules import Router, Rule, RuleSet
from routebench.rules.contents import COMPLEXITY, DEFAULT, LEARNED, SIMILARITY
from routebench.strategies.candidates import Candidates, candidates
from routebench.strategies.induce import induce
from routebench.strategies.prompts import readings
from routebench.types import Request

_WEAKER = 0.25
_MOST_RULES = 12
_MOST_TRIED = 4_000
_FEWEST = 30
"""Of so few prompts no rule is learned."""

Chain = tuple[str, ...]


def substitutes(ruleset: RuleSet, requests: Sequence[Request]) -> tuple[tuple[Rule, ...], Chain, int] | None:
    """Returns rules, the default chain after them, and on how many prompts they were learned; None of too few.

    Args:
        ruleset: with a phase that was learned; its guards play no part.
        requests: prompts such as it will be asked.
    """
    router = Router(replace(ruleset, guards=()))
    chains: list[Chain] = []
    kept: list[Request] = []
    for reading in readings(requests[:: max(1, -(-len(requests) // _MOST_TRIED))]):
        try:
            decision = router.decide(reading)
        except NoEligibleModelError:
            continue
        if decision.rule in (SIMILARITY, LEARNED, COMPLEXITY, DEFAULT):
            chains.append(decision.chain)
            kept.append(reading.request)
    if len(kept) < _FEWEST:
        return None
    firsts = [name for name, _ in Counter(chain[0] for chain in chains).most_common()]
    routes = [Counter(chain for chain in chains if chain[0] == name).most_common(1)[0][0] for name in firsts]
    strength = np.array([ruleset.order.index(name) for name in firsts])[:, None]
    decided = np.array([ruleset.order.index(chain[0]) for chain in chains])[None, :]
    utility = np.where(decided == strength, 1.0, np.where(strength < decided, -_WEAKER, 0.0))
    found = induce(_askable(kept), utility, np.ones(len(kept)), max_rules=_MOST_RULES)
    rules = [
        Rule(f"learned-{number}", nearest.when, routes[rule.action])
        for number, rule in enumerate(found.rules, start=1)
        if (nearest := of_rule(rule.when)).when is not None
    ]
    return tuple(rules), routes[found.default], len(kept)


def _askable(requests: Sequence[Request]) -> Candidates:
    """The conditions on these prompts that the router asks as we do."""
    import scipy.sparse

    found = candidates(requests)
    places = [place for place in range(len(found)) if not of_rule(found[place].when).notes]
    words = [place for place in places if place < found.n_keywords]
    rest = places[len(words) :]
    masks = found.masks
    return Candidates(
        [found[place].when for place in places],
        scipy.sparse.csr_array(masks[words].astype(float).reshape(len(words), len(requests))),
        scipy.sparse.csr_array(masks[rest].astype(float).reshape(len(rest), len(requests))),
        np.eye(len(rest)),
    )
