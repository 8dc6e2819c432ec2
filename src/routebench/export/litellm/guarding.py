"""Guards as LiteLLM's most severe tiers, where it can hold them at all.

A guard here holds for a conversation, for every model of a chain and for models that a caller names. LiteLLM reads the
last message of the user: a word in an earlier turn does not count there, and neither does one in letters that only look
like it, or one behind the beginning that patterns read. So a guard is held in full only where it says `in: user` and
asks for a length; for all others there is no export without the caller's word for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from routebench.export.litellm.ladder import Chain, Step
from routebench.export.litellm.matchers import Clause, InexpressibleError, clause_of
from routebench.export.loss import How, Lost
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
    for guard in ruleset.guards:
        allowed = admitted(guard, ruleset)
        leads_out = any(not allowed.issuperset(chain) for chain in chains)
        if not leads_out and not any(_elsewhere(ruleset, guard, chain) for chain in chains):
            # Whatever it holds for stays within it, so there is nothing to hold.
            kept.append(guard)
            continue
        chain, safe = _chain(ruleset, chains, allowed)
        try:
            clause = _clause(guard, chain)
        except InexpressibleError as error:
            lost.append(Lost(f"guard {guard.name}", "dropped" if allow else "refused", str(error), _MEND))
            continue
        lacks = list(_lacks(ruleset, guard, clause, chain))
        if any(not allowed.issuperset(other.chain) for other in steps):
            # Of two that hold the earlier one is the more severe tier.
            lacks.append("a request that an earlier guard holds for too goes where this one forbids")
        if lacks:
            how: How = "approximated" if allow else "refused"
            lost.append(Lost(f"guard {guard.name}", how, "; ".join(lacks), _MEND))
        if safe:
            text = f"what it holds for goes to {chain[0]}, whatever rule it meets besides"
            lost.append(Lost(f"guard {guard.name}", "approximated", text, "none is needed: it errs on the safe side"))
        steps.append(Step(guard.name, clause, chain, is_guard=True))
    for guard in kept:
        allowed = admitted(guard, ruleset)
        past = [one for one in steps if not allowed.issuperset(one.chain) or _elsewhere(ruleset, guard, one.chain)]
        if past:
            why = f"a request that guard {past[0].name} holds for too goes where this one forbids"
            lost.append(Lost(f"guard {guard.name}", "approximated" if allow else "refused", why, _MEND))
    return Guarded(tuple(steps), tuple(kept), tuple(lost))


def _clause(guard: Guard, chain: Chain) -> Clause:
    if not chain:
        raise InexpressibleError("it leaves no model, and LiteLLM cannot refuse what it routes")
    return clause_of({"in": "user", **guard.when})


def _lacks(ruleset: RuleSet, guard: Guard, clause: Clause, chain: Chain) -> Iterator[str]:
    """Why a guard holds for less there than here; nothing where it does not."""
    if "in" not in guard.when:
        yield "it reads the last user message alone, and the guard the whole conversation"
    if any(matcher.keywords for matcher in clause):
        yield "it does not see words in unusual forms of letters, such as full-width ones"
    yield from dict.fromkeys(text for matcher in clause for text in matcher.inexact)
    if any(matcher.below is not None for matcher in clause):
        yield "a request without a user message goes to the default"
    if _elsewhere(ruleset, guard, chain):
        yield "it cannot keep a request from the other places of a model"


def _chain(ruleset: RuleSet, chains: Sequence[Chain], allowed: frozenset[str]) -> tuple[Chain, bool]:
    """Where requests go for which the guard holds, and whether that is the strongest for want of one answer."""
    found = dict.fromkeys(tuple(name for name in chain if name in allowed) for chain in chains)
    found = dict.fromkeys(chain or tuple(name for name in ruleset.order if name in allowed) for chain in found)
    if len(found) == 1:
        return next(iter(found)), False
    return tuple(name for name in reversed(ruleset.order) if name in allowed), True


def _elsewhere(ruleset: RuleSet, guard: Guard, chain: Chain) -> bool:
    """Whether a model of a chain has places that a guard on regions forbids."""
    if guard.regions is None:
        return False
    regions = set(guard.regions)
    return any(place.region not in regions for name in chain for place in ruleset.deployments_of(name))
