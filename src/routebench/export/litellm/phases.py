"""What stands for the phases that LiteLLM does not have: rules of what it reads, or the strongest model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routebench.export.litellm.ladder import MOST_TIERS, Chain, Step
from routebench.export.litellm.matchers import InexpressibleError, clause_of
from routebench.export.loss import Lost
from routebench.export.stand_ins import PHASES, stand_ins, strongest
from routebench.export.tiers import consulted
from routebench.rules import RuleSet
from routebench.types import Request

_READS = "it reads keywords, patterns and lengths alone"
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


def substitute(ruleset: RuleSet, default: Chain, requests: Sequence[Request]) -> Substitute:
    """Returns what stands for similarity, learned utilities and complexity.

    Args:
        ruleset: the policy.
        default: its default chain.
        requests: prompts, none where none are known.
    """
    present = [name for name in PHASES if getattr(ruleset, name) is not None]
    if not present:
        return Substitute((), default)
    part = " and ".join(f"phase {name}" for name in present)
    # What a model would say of the prompts is not known here.
    found = None if consulted(ruleset) is not None else stand_ins(ruleset, requests, _is_askable, MOST_TIERS)
    if found is None:
        chain = strongest(ruleset)
        why = f"{_READS}, and there were too few prompts to learn such rules from: all goes to {chain[0]}"
        return Substitute((), chain, (Lost(part, "approximated", why, f"name a store (--store), or {_MEND}"),))
    why = f"{_READS}: rules of these stand for it, learned from its decisions on {found.n:,} prompts"
    steps = tuple(
        Step(f"learned-{number}", clause_of(when), chain, is_learned=True)
        for number, (when, chain) in enumerate(found.rules, start=1)
        # Two conditions that LiteLLM can ask are not always one that it can.
        if _is_askable(when)
    )
    return Substitute(steps, found.default, (Lost(part, "approximated", why, _MEND),))


def _is_askable(when: Mapping[str, Any]) -> bool:
    try:
        clause_of(when)
    except InexpressibleError:
        return False
    return True
