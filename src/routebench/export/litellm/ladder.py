"""A rule set as LiteLLM can hold it: at most four tiers, the strongest that matches wins.

LiteLLM knows no order of rules. A message that matches rules of several tiers goes to the most severe of these tiers.
So the rules of a list become tiers from the last to the first: the default is the least severe tier, and what comes
first in the file is the most severe. Rules beside each other that lead to the same models share a tier.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from routebench.evaluate.choices import BoolArray
from routebench.export.litellm.matchers import Clause, when_of
from routebench.export.loss import Lost
from routebench.rules import Condition
from routebench.strategies.prompts import readings
from routebench.types import Request

MOST_TIERS = 4
Chain = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that LiteLLM can ask, and where it leads.

    Attributes:
        name: of the rule or guard.
        clause: when it holds.
        chain: the models.
        is_guard: guards are never dropped to save a tier.
    """

    name: str
    clause: Clause
    chain: Chain
    is_guard: bool = False


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


def ladder_of(steps: Sequence[Step], default: Chain, requests: Sequence[Request] = ()) -> tuple[Ladder, tuple[Lost, ...]]:
    """Puts rules on at most four tiers.

    Where there are too many, the change is made that moves the fewest prompts: a rule is taken to another one that
    leads to the same models, which changes only what wins, or is left out. Without prompts the last rules go.

    Args:
        steps: guards and rules, the first wins.
        default: where everything else goes.
        requests: prompts that a change is measured on.
    """
    # What leads where the default leads, and has no other rule after it, changes nothing.
    kept = list(steps)
    lost: list[Lost] = []
    met = {step.name: _met(step, requests) for step in steps}
    before = _decided(kept, default, met, len(requests))
    while True:
        levels = _levels(kept, default)
        if len(levels) <= MOST_TIERS and not _too_many_parts(levels):
            return Ladder(levels), tuple(lost)
        found = [(_moved(some, default, met, before), place, some, one) for place, (some, one) in enumerate(_fewer(kept))]
        if not found:
            return Ladder(levels), tuple(lost)
        # Without prompts nothing is moved by anything: then the last possibility, which drops the last rule.
        least = min(moved for moved, *_ in found)
        _, _, kept, one = max((row for row in found if row[0] == least), key=lambda row: row[1])
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


def _too_many_parts(levels: Sequence[Level]) -> bool:
    """Parts of two clauses on one tier would add up as if they were parts of one."""
    return any(sum(len(step.clause) > 1 for step in level.steps) > 1 for level in levels)


def _fewer(steps: Sequence[Step]) -> Iterator[tuple[list[Step], Lost]]:
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
                yield moved, Lost(
                    f"rule {step.name}",
                    "approximated",
                    f"{why}: it now counts as beside {beside.name}",
                    "fewer changes of model from rule to rule need fewer tiers",
                )
    for step in steps:
        if not step.is_guard:
            parts = len(step.clause) > 1
            why = (
                "parts of one condition are weights that add up, and a tier has room for one such condition"
                if parts
                else f"it has {MOST_TIERS} tiers"
            )
            yield [one for one in steps if one is not step], Lost(
                f"rule {step.name}", "dropped", why, "tune with --max-rules, or let LiteLLM ask routebench: --classifier"
            )


def _met(step: Step, requests: Sequence[Request]) -> BoolArray:
    condition = Condition.parse(when_of(step.clause))
    return np.array([condition.matches(one) for one in readings(requests)], dtype=bool)


def _decided(steps: Sequence[Step], default: Chain, met: dict[str, BoolArray], n: int) -> list[Chain]:
    decided: list[Chain] = [default] * n
    for step in reversed(steps):
        for row in np.flatnonzero(met[step.name]):
            decided[row] = step.chain
    return decided


def _moved(steps: Sequence[Step], default: Chain, met: dict[str, BoolArray], before: Sequence[Chain]) -> int:
    after = _decided(steps, default, met, len(before))
    return sum(one != other for one, other in zip(before, after, strict=True))


