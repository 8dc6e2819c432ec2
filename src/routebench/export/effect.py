"""What the loss on the way to a target does, by replay: the share of prompts that go elsewhere, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from routebench.errors import OutcomesError
from routebench.evaluate import Choices, Outcomes
from routebench.evaluate.choices import IntArray
from routebench.evaluate.moving import Moved, move
from routebench.export.target import Exported
from routebench.rules import Router, RuleSet
from routebench.strategies import RulesFile, decide_all
from routebench.strategies.prompts import readings
from routebench.types import Request


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two rule sets decide alike.

    Attributes:
        rule: the rule of the first that decided; `all` for every prompt.
        n: prompts.
        first: share of them whose first model is the same.
        chain: share whose whole chain is.
    """

    rule: str
    n: int
    first: float
    chain: float


@dataclass(frozen=True)
class Effect:
    """What a target does otherwise on prompts.

    Attributes:
        suite: the name of the suite; empty where only prompts are known.
        agreement: over all prompts.
        by_rule: for every rule that decided one, the largest first.
        moved: quality, cost and times of both on recorded outcomes; None where there are none.
        sentences: the same in words.
    """

    suite: str
    agreement: Agreement
    by_rule: tuple[Agreement, ...]
    moved: Moved | None
    sentences: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; what is unknown is null."""
        moved = self.moved
        return {
            "suite": self.suite or None,
            "n": self.agreement.n,
            "agreement": self.agreement.first,
            "agreement_chain": self.agreement.chain,
            "by_rule": [{"rule": one.rule, "n": one.n, "agreement": one.first} for one in self.by_rule],
            "quality": None if moved is None or not moved.scores.n else _told(moved.scores.delta, moved.scores.ci95),
            "cost_usd_per_1k": None
            if moved is None or moved.added_usd is None
            else _told(moved.added_usd.mean, moved.added_usd.ci95, 1000),
            "sentences": list(self.sentences),
        }


def agreement(original: RuleSet, reduced: RuleSet, requests: Sequence[Request]) -> tuple[Agreement, ...]:
    """Returns how far two rule sets decide alike: over all requests, then by the rule of the first.

    Raises:
        OutcomesError: there are no requests.
    """
    if not requests:
        raise OutcomesError("there are no prompts to decide; name a store and a suite that keep their texts")
    models = tuple(dict.fromkeys((*original.order, *reduced.order)))
    read = readings(requests)
    before = decide_all(Router(original), models, read, original.name)
    after = decide_all(Router(reduced), models, read, reduced.name)
    deciders = before.deciders[0]
    rules = np.array([(deciders and deciders.name(row)) or "none" for row in range(len(requests))])
    (_, first), (_, second) = before.parts[0], after.parts[0]
    one, other = _same_width(first, second)
    alike, whole = one[:, 0] == other[:, 0], (one == other).all(axis=1)
    found = [Agreement("all", len(rules), float(alike.mean()), float(whole.mean()))]
    for name in dict.fromkeys(rules.tolist()):
        at = rules == name
        found.append(Agreement(str(name), int(at.sum()), float(alike[at].mean()), float(whole[at].mean())))
    return (found[0], *sorted(found[1:], key=lambda row: -row.n))


def effect_of(ruleset: RuleSet, exported: Exported, outcomes: Outcomes) -> Effect:
    """Replays a rule set and what a target makes of it on recorded outcomes.

    Nothing is tuned here, so every case of the suite whose text is kept counts.

    Args:
        ruleset: as it was measured.
        exported: as it was written.
        outcomes: of all models of the rule set.

    Raises:
        OutcomesError: a chosen model has no outcomes, or no text is kept.
    """
    told = outcomes.cases.has_text
    if not told.all():
        outcomes = outcomes.take(told)
    shares = agreement(ruleset, exported.ruleset, outcomes.requests)
    moved = move(outcomes, _decided(ruleset, outcomes), _decided(exported.ruleset, outcomes))
    return Effect(outcomes.suite, shares[0], shares[1:], moved, (*_agreed(shares), *_moved(moved)))


def effect_on(ruleset: RuleSet, exported: Exported, requests: Sequence[Request]) -> Effect:
    """As `effect_of`, for prompts of which no outcomes are known.

    Raises:
        OutcomesError: there are no prompts.
    """
    shares = agreement(ruleset, exported.ruleset, requests)
    return Effect("", shares[0], shares[1:], None, tuple(_agreed(shares)))


def _decided(ruleset: RuleSet, outcomes: Outcomes) -> Choices:
    models = (*outcomes.models, *(name for name in ruleset.order if name not in outcomes.models))
    choices = decide_all(Router(ruleset), models, readings(outcomes.requests), ruleset.name)
    asked = np.unique(np.concatenate([chains.ravel() for _, chains in choices.parts]))
    unknown = [models[at] for at in asked if at >= len(outcomes.models)]
    if unknown:
        raise OutcomesError(
            f"{ruleset.source or ruleset.name}: suite {outcomes.suite!r} has no outcomes of {', '.join(unknown)}; run "
            "these models on the suite first"
        )
    return RulesFile(ruleset).check(replace(choices, models=outcomes.models), outcomes)


def _same_width(one: IntArray, other: IntArray) -> tuple[IntArray, IntArray]:
    width = max(one.shape[1], other.shape[1])
    padded = [np.full((len(array), width), -1, dtype=np.intp) for array in (one, other)]
    for wide, array in zip(padded, (one, other), strict=True):
        wide[:, : array.shape[1]] = array
    return padded[0], padded[1]


def _agreed(shares: Sequence[Agreement]) -> Iterator[str]:
    every, *rules = shares
    yield f"{every.first:.1%} of {every.n:,} prompts go to the same model, {every.chain:.1%} along the same chain."
    worst = [one for one in sorted(rules, key=lambda one: one.n * (one.first - 1)) if one.first < 1]
    if worst:
        told = ", ".join(f"{one.rule} ({(1 - one.first) * one.n:.0f} of {one.n})" for one in worst[:4])
        yield f"Those that go elsewhere were decided by {told}."


def _moved(moved: Moved) -> Iterator[str]:
    if not moved.n_chain:
        yield "Nothing moves, so quality and cost are what was measured."
        return
    scores = moved.scores
    if scores.ci95 is None:
        yield f"Quality: too few to decide, {scores.n_discordant} of {scores.n} cases differ in score."
    else:
        low, high = (100 * bound for bound in scores.ci95)
        points = round(100 * scores.delta, 1)
        if points:
            bounds = (-high, -low) if points < 0 else (low, high)
            what = "costs" if points < 0 else "gains"
            yield f"The loss {what} {abs(points):.1f} points [{bounds[0]:.1f}, {bounds[1]:.1f}] of quality."
        else:
            yield f"Quality stays what it is: {points + 0.0:+.1f} points [{low:.1f}, {high:.1f}]."
    added = moved.added_usd
    if added is None:
        yield "What it does to cost is unknown."
        return
    what = "saves" if added.mean < 0 else "adds"
    text = f"It {what} ${abs(1000 * added.mean):.3f} for 1,000 requests"
    if added.ci95 is not None:
        low, high = (1000 * bound for bound in added.ci95)
        low, high = (-high, -low) if added.mean < 0 else (low, high)
        text += f" [{low:.3f}, {high:.3f}]"
    if moved.cost_change is not None:
        text += f", {100 * moved.cost_change.mean:+.1f} %"
    yield f"{text}."


def _told(mean: float, bounds: tuple[float, float] | None, scale: float = 1) -> dict[str, Any]:
    return {"delta": scale * mean, "ci95": None if bounds is None else [scale * bound for bound in bounds]}
