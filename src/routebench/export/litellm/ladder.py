"""A rule set as LiteLLM can hold it: at most four tiers, the strongest that matches wins.

LiteLLM knows no order of rules. A message that matches rules of several tiers goes to the most severe of these tiers.
So the rules of a list become tiers from the last to the first: the default is the least severe tier, and what comes
first in the file is the most severe. Rules beside each other that lead to the same models share a tier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from routebench.evaluate.choices import BoolArray
from routebench.export.litellm.matchers import Clause, when_of
from routebench.export.loss import Lost
from routebench.strategies.candidates import matching
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


def ladder_of(steps: Sequence[Step], default: Chain, met: Mapping[str, BoolArray]) -> tuple[Ladder, tuple[Lost, ...]]:
    """Puts rules on at most four tiers.

    Where there are too many, the change is made that moves the fewest prompts: a rule is taken to another one that
    leads to the same models, which changes only what wins, or is left out. Without prompts the last rules go.

    Args:
        steps: guards and rules, the first wins.
        default: where everything else goes.
        met: which prompts meet each rule, by its name; of no prompts where none are known.
    """
    kept = list(steps)
    lost: list[Lost] = []
    before = _decided(kept, default, met)
    while True:
        levels = _levels(kept, default)
        if len(levels) <= MOST_TIERS and not _too_many_parts(levels):
            return Ladder(levels), tuple(lost)
        # A rule that is moved has to save a tier, or it would be moved for ever.
        fewer = [row for row in _fewer(kept) if len(row[0]) < len(kept) or len(_levels(row[0], default)) < len(levels)]
        found = [(_moved(some, default, met, before), place, some, one) for place, (some, one) in enumerate(fewer)]
        if not found:
            return Ladder(levels), tuple(lost)
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


def _too_many_parts(levels: Sequence[Level]) -> bool:
    """Parts of two clauses on one tier would add up as if they were parts of one."""
    return any(sum(len(step.clause) > 1 for step in level.steps) > 1 for level in levels)


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
            parts = len(step.clause) > 1
            why = (
                "parts of one condition are weights that add up, and a tier has room for one such condition"
                if parts
                else f"it has {MOST_TIERS} tiers"
            )
            mend = "tune fewer rules (--max-rules), or let LiteLLM ask routebench (--classifier)"
            lost = None if step.is_learned else Lost(f"rule {step.name}", "dropped", why, mend)
            yield [one for one in steps if one is not step], lost


def met_by(steps: Sequence[Step], requests: Sequence[Request]) -> Mapping[str, BoolArray]:
    """Returns which prompts meet each rule, as LiteLLM asks it, by its name; shape (n,) each."""
    return {step.name: matching(requests, when_of(step.clause)) for step in steps}


def _decided(steps: Sequence[Step], default: Chain, met: Mapping[str, BoolArray]) -> list[Chain]:
    decided: list[Chain] = [default] * max(map(len, met.values()), default=0)
    for step in reversed(steps):
        for row in np.flatnonzero(met[step.name]):
            decided[row] = step.chain
    return decided


def _moved(steps: Sequence[Step], default: Chain, met: Mapping[str, BoolArray], before: Sequence[Chain]) -> int:
    after = _decided(steps, default, met)
    return sum(one != other for one, other in zip(before, after, strict=True))
