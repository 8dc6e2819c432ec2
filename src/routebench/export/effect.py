"""What the loss on the way to a target does, by replay: the share of prompts that go elsewhere, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from routebench.errors import NoEligibleModelError, OutcomesError
from routebench.evaluate import Choices, Outcomes
from routebench.evaluate.choices import NOBODY, FloatArray
from routebench.evaluate.moving import Moved, move
from routebench.export.target import Exported
from routebench.rules import Reading, Router, RuleSet
from routebench.strategies import decided_cases
from routebench.strategies.prompts import readings
from routebench.strategies.times import at_time, times_of
from routebench.types import Request

Chain = tuple[str, ...]
_NOTHING_USD = 1e-12


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two rule sets decide alike.

    Attributes:
        rule: the rule of the first that decided; `all` for every prompt.
        n: prompts.
        first: share of them whose first model is the same.
        chain: share whose whole chain is, with the check of its answers.
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


def agreement(
    original: RuleSet, reduced: RuleSet, requests: Sequence[Request], holds: Callable[[Chain], Chain] | None = None
) -> tuple[Agreement, ...]:
    """Returns how far two rule sets decide alike: over all requests, then by the rule of the first.

    Where conditions ask for the time, at every time of the week by its share.

    Args:
        original: as it was measured.
        reduced: what a target does.
        requests: to decide.
        holds: what the target has of a chain; all of it when left out.

    Raises:
        OutcomesError: there are no requests.
        NobodyAsksError: a model has a say in the decisions.
    """
    if not requests:
        raise OutcomesError("there are no prompts to decide; name a store and a suite that keep their texts")
    read = readings(requests)
    rules: list[str] = []
    rows: list[tuple[float, bool, bool]] = []
    for share, at in times_of(original) or ((1.0, None),):
        for before, after in zip(_decisions(original, read, at), _decisions(reduced, read, at), strict=True):
            there = holds(after.chain) if holds is not None and after.chain else after.chain
            rules.append(before.rule)
            # A chain whose answers are checked is another one without the check.
            alike = before.chain == there and before.cascade == after.cascade
            rows.append((share, before.chain[:1] == there[:1], alike))
    decided, told = np.array(rules), np.array(rows)
    by_rule = [_agreement(str(rule), told[decided == rule]) for rule in dict.fromkeys(rules)]
    return (_agreement("all", told), *sorted(by_rule, key=lambda row: -row.n))


class _Decided(NamedTuple):
    rule: str
    chain: Chain
    cascade: str | None


def _decisions(ruleset: RuleSet, read: Iterable[Reading], at: datetime | None) -> Iterator[_Decided]:
    """What becomes of each request at a time; no chain where no model may take it."""
    router = Router(ruleset)
    for reading in read:
        try:
            decision = router.decide(reading if at is None else at_time(reading, at))
        except NoEligibleModelError:
            yield _Decided("guards, which leave no model", (), None)
        else:
            yield _Decided(decision.rule, decision.chain, decision.cascade)


def _agreement(rule: str, rows: FloatArray) -> Agreement:
    weight = rows[:, 0]
    first, chain = (float(np.average(rows[:, column], weights=weight)) for column in (1, 2))
    return Agreement(rule, round(float(weight.sum())), first, chain)


def effect_of(ruleset: RuleSet, exported: Exported, outcomes: Outcomes) -> Effect:
    """Replays a rule set and what a target makes of it on recorded outcomes.

    Nothing is tuned here but which model of a cascade is asked first, so every case of the suite whose text is kept
    counts. Where rules ask for the time no case moves for sure, and what that does stays unknown.

    Args:
        ruleset: as it was measured.
        exported: as it was written.
        outcomes: of all models of the rule set.

    Raises:
        OutcomesError: a chosen model has no outcomes, or no text is kept.
        NobodyAsksError: a model has a say in the decisions.
    """
    told = outcomes.cases.has_text
    if not told.all():
        outcomes = outcomes.take(told)
    shares = agreement(ruleset, exported.ruleset, outcomes.requests, exported.holds)
    before = decided_cases(ruleset, outcomes)
    after = _held(decided_cases(exported.ruleset, outcomes), exported.holds)
    if max(len(before.parts), len(after.parts)) > 1:
        unknown = "What it does to quality and cost is n/a: the rules ask for the time."
        return Effect(outcomes.suite, shares[0], shares[1:], None, (*_agreed(shares), unknown))
    moved = move(outcomes, before, after)
    said = (*_agreed(shares), *_moved(moved, is_same=shares[0].chain == 1))
    return Effect(outcomes.suite, shares[0], shares[1:], moved, said)


def effect_on(ruleset: RuleSet, exported: Exported, requests: Sequence[Request]) -> Effect:
    """As `effect_of`, for prompts of which no outcomes are known.

    Raises:
        OutcomesError: there are no prompts.
        NobodyAsksError: a model has a say in the decisions.
    """
    shares = agreement(ruleset, exported.ruleset, requests, exported.holds)
    return Effect("", shares[0], shares[1:], None, tuple(_agreed(shares)))


def _held(choices: Choices, holds: Callable[[Chain], Chain] | None) -> Choices:
    """Choices with of every chain what the target has of it."""
    if holds is None:
        return choices
    parts = []
    for share, chains in choices.parts:
        different, which = np.unique(chains, axis=0, return_inverse=True)
        named = [tuple(choices.models[at] for at in row if at >= 0) for row in different]
        held = [holds(names) if names else () for names in named]
        cut = np.full((len(held), max(1, *map(len, held))), -1, dtype=np.intp)
        for row, names in zip(cut, held, strict=True):
            row[: max(1, len(names))] = [choices.models.index(name) for name in names] or [NOBODY]
        parts.append((share, cut[which.reshape(-1)]))
    return replace(choices, parts=tuple(parts))


def _agreed(shares: Sequence[Agreement]) -> Iterator[str]:
    every, *rules = shares
    yield f"{every.first:.1%} of {every.n:,} prompts go to the same model, {every.chain:.1%} along the same chain."
    worst = [one for one in sorted(rules, key=lambda one: one.n * (one.first - 1)) if one.first < 1]
    if worst:
        told = ", ".join(f"{one.rule} ({(1 - one.first) * one.n:.0f} of {one.n})" for one in worst[:4])
        yield f"Those that go elsewhere were decided by {told}."


def _moved(moved: Moved, *, is_same: bool) -> Iterator[str]:
    if is_same:
        yield "Nothing moves, so quality and cost are what was measured."
        return
    scores, added = moved.scores, moved.added_usd
    if scores.n and not scores.n_discordant and added is not None and abs(added.mean) < _NOTHING_USD:
        yield "No recorded outcome changes, so quality and cost are what was measured."
        return
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
