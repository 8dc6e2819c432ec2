"""A rule set as LiteLLM can hold it: at most four tiers, the strongest that matches wins.

LiteLLM knows no order of rules. A message that matches rules of several tiers goes to the most severe of these tiers.
So the rules of a list become tiers from the last to the first: the default is the least severe tier, and what comes
first in the file is the most severe. Rules beside each other that lead to the same models share a tier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from routebench.errors import RulesError
from routebench.evaluate.choices import BoolArray, IntArray
from routebench.export.litellm.matchers import Clause, when_of
from routebench.export.loss import Lost
from routebench.strategies.candidates import matching
from routebench.types import Request

MOST_TIERS = 4
MOST_TRIED = 2_000
Chain = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that LiteLLM can ask, and where it leads.

    Attributes:
        name: of the rule or guard.
        clause: when it holds.
        chain: the models.
        is_guard: guards are never dropped to save a tier.
        is_learned: it stands for something else, and nobody wrote it.
    """

    name: str
    clause: Clause
    chain: Chain
    is_guard: bool = False
    is_learned: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """One tier.

    Attributes:
        chain: the models, the first one first.
        steps: of which one holds; empty for the default.
    """

    chain: Chain
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Ladder:
    """Tiers from the least severe, which is the default, to the most severe."""

    levels: tuple[Level, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The rules in the order of a rules.yaml: the most severe first."""
        return tuple(step for level in reversed(self.levels) for step in level.steps)


def ladder_of(
    steps: Sequence[Step], default: Chain, requests: Sequence[Request] = ()
) -> tuple[Ladder, tuple[Lost, ...]]:
    """Puts rules on at most four tiers.

    Where there are too many, the change is made that moves the fewest prompts: a rule is taken to another one that
    leads to the same models, which changes only what wins, or is left out. Without prompts the last rules go.

    Args:
        steps: guards and rules, the first wins.
        default: where everything else goes.
        requests: prompts that a change is measured on.

    Raises:
        RulesError: the guards alone are more than it has room for.
    """
    kept = list(steps)
    lost: list[Lost] = []
    tried = _Tried(requests)
    before = tried.decided(kept, default)
    while True:
        levels = _levels(kept, default)
        if len(levels) <= MOST_TIERS and not _too_many_parts(levels):
            return Ladder(levels), tuple(lost)
        # A rule that is moved has to save a tier, or it would be moved for ever.
        fewer = [row for row in _fewer(kept) if _size(row[0], default) < _size(kept, default)]
        found = [
            (int((tried.decided(some, default) != before).sum()), place, some, one)
            for place, (some, one) in enumerate(fewer)
        ]
        if not found:
            raise RulesError(
                f"LiteLLM cannot hold this rule set: its guards need more than the {MOST_TIERS} tiers, or ask for "
                "several things at once; let LiteLLM ask routebench (--classifier)"
            )
        # Without prompts nothing is moved by anything: then the last possibility, which drops the last rule.
        least = min(moved for moved, *_ in found)
        _, _, kept, one = max((row for row in found if row[0] == least), key=lambda row: row[1])
        if one is not None:
            lost.append(one)


def _levels(steps: Sequence[Step], default: Chain) -> tuple[Level, ...]:
    levels = [Level(default)]
    for step in reversed(steps):
        if step.chain == levels[-1].chain and (levels[-1].steps or not step.is_guard):
            if levels[-1].steps:
                levels[-1] = replace(levels[-1], steps=(step, *levels[-1].steps))
            # What leads where the default leads needs nothing.
        else:
            levels.append(Level(step.chain, (step,)))
    return tuple(levels)


def _size(steps: Sequence[Step], default: Chain) -> int:
    """What every change makes smaller, so that there is an end to them."""
    return sum(len(step.clause) for step in steps) + len(_levels(steps, default))


def _too_many_parts(levels: Sequence[Level]) -> bool:
    """A part of a condition weighs half of its tier, which would reach every less severe one.

    So there is room for one condition of several parts, on the tier next to the default.
    """
    several = [place for place, level in enumerate(levels) for step in level.steps if len(step.clause) > 1]
    return len(several) > 1 or any(place > 1 for place in several)


def _fewer(steps: Sequence[Step]) -> Iterator[tuple[list[Step], Lost | None]]:
    """Lists with one rule less, or with one beside another that leads to the same models."""
    for at, step in enumerate(steps):
        for other, beside in enumerate(steps):
            between = steps[min(at, other) + 1 : max(at, other)]
            if at != other and step.chain == beside.chain and any(one.chain != step.chain for one in between):
                moved = [one for one in steps if one is not step]
                moved.insert(moved.index(beside) + (other < at), step)
                if step.is_guard or any(one.is_guard for one in between):
                    continue
                why = f"it has {MOST_TIERS} tiers, and the most severe that matches wins"
                text = f"{why}: it counts as if it stood beside {beside.name}"
                mend = "fewer changes of model from rule to rule need fewer tiers"
                yield moved, None if step.is_learned else Lost(f"rule {step.name}", "approximated", text, mend)
    for step in steps:
        if not step.is_guard:
            why = f"it has {MOST_TIERS} tiers"
            if len(step.clause) > 1:
                why = "parts of a condition add up, and only the tier after the default has room for them"
            mend = "tune fewer rules (--max-rules), or let LiteLLM ask routebench (--classifier)"
            lost = None if step.is_learned else Lost(f"rule {step.name}", "dropped", why, mend)
            yield [one for one in steps if one is not step], lost
        for part in step.clause if step.is_learned and len(step.clause) > 1 else ():
            yield [replace(one, clause=(part,)) if one is step else one for one in steps], None


class _Tried:
    """Prompts on which changes are measured; which of them meet a condition is worked out once.

    Args:
        requests: at most MOST_TRIED of them are looked at, spread over all.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = list(requests[:: max(1, len(requests) // MOST_TRIED)])
        self._met: dict[Clause, BoolArray] = {}
        self._places: dict[Chain, int] = {}

    def decided(self, steps: Sequence[Step], default: Chain) -> IntArray:
        """Returns which chain takes each prompt, as numbers of chains, shape (n,)."""
        found: IntArray = np.full(len(self._requests), self._place(default), dtype=np.intp)
        for step in reversed(steps):
            found[self._meets(step.clause)] = self._place(step.chain)
        return found

    def _place(self, chain: Chain) -> int:
        return self._places.setdefault(chain, len(self._places))

    def _meets(self, clause: Clause) -> BoolArray:
        if clause not in self._met:
            self._met[clause] = matching(self._requests, when_of(clause))
        return self._met[clause]
