"""Guards as LiteLLM's most severe tiers, where it can hold them at all.

A guard here holds for a conversation, for every model of a chain and for models that a caller names. LiteLLM reads the
last message of the user: a word in an earlier turn does not count there. So a guard is held in full only where it says
`in: user`; where guards read the conversation there is no export without the caller's word for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from routebench.export.litellm.ladder import Chain, Step
from routebench.export.litellm.matchers import Clause, InexpressibleError, clause_of
from routebench.export.loss import Lost
from routebench.rules import Guard, RuleSet
from routebench.rules.guards import admitted

_MEND = "let LiteLLM ask routebench, which holds it (--classifier)"


@dataclass(frozen=True, slots=True)
class Guarded:
    """Guards that LiteLLM holds, and those that it does not.

    Attributes:
        steps: the most severe tiers.
        kept: the guards as they hold there.
        lost: what does not.
    """

    steps: tuple[Step, ...]
    kept: tuple[Guard, ...]
    lost: tuple[Lost, ...]


def guarded(ruleset: RuleSet, chains: Sequence[Chain], *, allow: bool) -> Guarded:
    """Returns the guards as tiers.

    Args:
        ruleset: the policy.
        chains: where rules and the default lead.
        allow: guards that cannot be held in full are held as far as they can be.
    """
    steps: list[Step] = []
    kept: list[Guard] = []
    lost: list[Lost] = []
    held: list[frozenset[str]] = []
    for guard in ruleset.guards:
        allowed = admitted(guard, ruleset)
        if all(allowed.issuperset(chain) for chain in chains):
            # No chain leads out of it, so there is nothing to hold.
            kept.append(guard)
            continue
        try:
            clause, why = _clause(guard)
        except InexpressibleError as error:
            lost.append(Lost(f"guard {guard.name}", "dropped" if allow else "refused", str(error), _MEND))
            continue
        chain, safe = _chain(ruleset, chains, allowed)
        if any(not other.issuperset(chain) for other in held):
            why = "a request that an earlier guard holds for too could go where that guard forbids"
        if guard.regions is not None and _elsewhere(ruleset, guard, chain):
            why = "it cannot keep a request from the other places of a model"
        if why:
            lost.append(Lost(f"guard {guard.name}", "approximated" if allow else "refused", why, _MEND))
        if safe:
            text = f"what it holds for goes to {chain[0]}, whatever rule it meets besides"
            lost.append(Lost(f"guard {guard.name}", "approximated", text, "none is needed: it errs on the safe side"))
        held.append(allowed)
        steps.append(Step(guard.name, clause, chain, is_guard=True))
    return Guarded(tuple(steps), tuple(kept), tuple(lost))


def _clause(guard: Guard) -> tuple[Clause, str]:
    """The condition, and why it is less than the guard asks for; nothing where it is not."""
    if "in" in guard.when:
        return clause_of(guard.when), ""
    clause = clause_of({**guard.when, "in": "user"})
    return clause, "it reads the last user message alone, and the guard the whole conversation"


def _chain(ruleset: RuleSet, chains: Sequence[Chain], allowed: frozenset[str]) -> tuple[Chain, bool]:
    """Where requests go for which the guard holds, and whether that is the strongest for want of one answer."""
    found = dict.fromkeys(tuple(name for name in chain if name in allowed) for chain in chains)
    found = dict.fromkeys(chain or tuple(name for name in ruleset.order if name in allowed) for chain in found)
    if len(found) == 1:
        return next(iter(found)), False
    return tuple(name for name in reversed(ruleset.order) if name in allowed), True


def _elsewhere(ruleset: RuleSet, guard: Guard, chain: Chain) -> bool:
    regions = set(guard.regions or ())
    return any(place.region not in regions for name in chain for place in ruleset.deployments_of(name))
