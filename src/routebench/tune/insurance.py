"""What insurance costs: a rule set replayed with its guards and without them, on the same held-out cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from routebench.evaluate import Outcomes, Replayed, Strategy, decided, replay
from routebench.evaluate.choices import BoolArray
from routebench.evaluate.frontier import weighted_mean
from routebench.evaluate.paired import Difference, paired
from routebench.evaluate.sentence import signed_points
from routebench.evaluate.stakes import Damage, damage_of
from routebench.rules import RuleSet
from routebench.strategies import RulesFile
from routebench.tune.held_out import HeldOut, hold_out
from routebench.tune.protection import Protected, members
from routebench.tune.recognition import matching

_DIGITS = 6
ALL = "all guards"


@dataclass(frozen=True, slots=True)
class Effect:
    """What guards change on some cases, weighted by the requests that these stand for.

    Attributes:
        n: cases, those without a known score left out.
        quality: mean score with the guards and without; None where no case is known.
        cost_usd_per_1k: mean cost of 1,000 requests with and without, over the cases where both are known.
        quality_gain: score with less score without, paired; None where no case is known.
        cost_gain_usd_per_1k: cost of 1,000 requests likewise: what the insurance costs.
        n_cost_unknown: cases of which one of the costs is not known.
    """

    n: int
    quality: tuple[float, float] | None
    cost_usd_per_1k: tuple[float, float] | None
    quality_gain: Difference | None
    cost_gain_usd_per_1k: Difference | None
    n_cost_unknown: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "n": self.n,
            "quality": _with_and_without(self.quality, self.quality_gain),
            "cost_usd_per_1k": _with_and_without(self.cost_usd_per_1k, self.cost_gain_usd_per_1k),
            "n_cost_unknown": self.n_cost_unknown,
        }


@dataclass(frozen=True, slots=True)
class Cover:
    """One guard, or all of them.

    Attributes:
        name: of the guard.
        label: the protected class that it is for, such as `category=legal`; None where none was told.
        share: of the held-out requests that it holds for, weighted.
        overall: on all held-out cases.
        inside: on the cases of its class, else on those that it holds for.
        damage: expected by wrong answers, with the guard and without.
    """

    name: str
    label: str | None
    share: float
    overall: Effect
    inside: Effect
    damage: tuple[Damage, Damage]

    @property
    def reading(self) -> str:
        """What the guard costs and brings."""
        whole, part = self.overall, self.inside
        who = "All guards together hold" if self.name == ALL else f"Guard {self.name} holds"
        said = [f"{who} for {self.share:.1%} of the held-out requests.", _price(whole)]
        if part.quality is not None and part.quality_gain is not None:
            where = "on the cases where it holds" if self.label is None else f"on {self.label}"
            said.append(
                f"It brings {_points(part.quality_gain)} {where} ({part.quality[0]:.1%} instead of "
                f"{part.quality[1]:.1%}, {part.n:,} cases)."
            )
        damage, without = (one.usd_per_1k for one in self.damage)
        if damage is not None and without is not None and damage != without:
            said.append(
                f"It {'saves' if without > damage else 'adds'} ${abs(without - damage):,.3g} of expected damage per "
                "1,000 requests with known stakes."
            )
        return " ".join(said)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "class": self.label,
            "share": self.share,
            "overall": self.overall.as_dict(),
            "inside": self.inside.as_dict(),
            "damage_usd_per_1k": {
                "with": self.damage[0].usd_per_1k,
                "without": self.damage[1].usd_per_1k,
                "n_unknown": self.damage[0].n_unknown,
            },
            "reading": self.reading,
        }

    def evidence(self) -> dict[str, Any]:
        """What is written under `evidence` in a rules.yaml."""
        cost, gain = self.overall.cost_gain_usd_per_1k, self.inside.quality_gain
        return {
            "guard": self.name,
            "cost_usd_per_1k": None if cost is None else round(cost.delta, _DIGITS),
            "delta_quality": None if gain is None else round(gain.delta, _DIGITS),
        }


@dataclass(frozen=True, slots=True)
class Insurance:
    """What the guards of a rule set cost and bring on held-out cases.

    Attributes:
        together: all guards against none.
        guards: each guard against all the others.
        classes: the protected ones: what their guards recognise, and who answers them best.
    """

    together: Cover
    guards: tuple[Cover, ...]
    classes: tuple[HeldOut, ...] = ()

    @property
    def reading(self) -> str:
        """What the insurance costs, and what must not be missed of it."""
        whole = self.together if len(self.guards) > 1 else self.guards[0]
        return " ".join([whole.reading, *self.warnings])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the protected classes, as sentences."""
        return tuple(warning for one in self.classes for warning in one.warnings)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "together": self.together.as_dict(),
            "guards": [one.as_dict() for one in self.guards],
            "classes": [one.as_dict() for one in self.classes],
            "reading": self.reading,
        }

    def evidence(self) -> list[dict[str, Any]]:
        """What is written under `evidence` in a rules.yaml: a few numbers a guard."""
        recalls = {one.protected.guard.name: one.evidence() for one in self.classes}
        return [{**one.evidence(), **recalls.get(one.name, {})} for one in self.guards]


def insure(
    ruleset: RuleSet,
    train: Outcomes,
    test: Outcomes,
    protected: Sequence[Protected] = (),
    *,
    strategy: Callable[[RuleSet], Strategy] = RulesFile,
) -> Insurance | None:
    """Measures what the guards of a rule set cost; None where it has none.

    Args:
        ruleset: as it would run.
        train: the training half.
        test: the held-out half.
        protected: protected classes among the guards, so that what happens on the whole class is told.
        strategy: makes what replays a rule set.

    Raises:
        OutcomesError: the rule set names a model that was not run, or the prompts are not here.
    """
    if not ruleset.guards:
        return None
    classes = {one.guard.name: one.protection for one in protected}
    held = {guard.name: matching(test.requests, guard.when) for guard in ruleset.guards}

    def replayed(guards: Sequence[str]) -> Replayed:
        kept = tuple(one for one in ruleset.guards if one.name in guards)
        chosen = strategy(replace(ruleset, guards=kept)).fit(train)
        return replay(test, decided(chosen, test)[0])

    whole = replayed(list(held))

    def cover(name: str, mask: BoolArray, without: Replayed) -> Cover:
        protection = classes.get(name)
        inside = mask if protection is None else members(test, protection)
        return Cover(
            name,
            None if protection is None else protection.label,
            float(np.average(mask, weights=test.weight)),
            _effect(whole, without, test, np.ones(test.n, dtype=bool)),
            _effect(whole, without, test, inside),
            (_damage(whole, test), _damage(without, test)),
        )

    bare = replayed(())
    one_left_out = {name: [other for other in held if other != name] for name in held}
    return Insurance(
        together=cover(ALL, np.any(list(held.values()), axis=0), bare),
        guards=tuple(
            cover(name, mask, replayed(one_left_out[name]) if len(held) > 1 else bare) for name, mask in held.items()
        ),
        classes=tuple(hold_out(one, ruleset, train, test) for one in protected),
    )


def _effect(one: Replayed, other: Replayed, test: Outcomes, inside: BoolArray) -> Effect:
    known = inside & ~(one.missing | other.missing)
    priced = known & ~(np.isnan(one.cost_usd) | np.isnan(other.cost_usd))
    quality = cost = gain = price = None
    if known.any():
        quality = _means(one.score, other.score, test.weight, known)
        gain = paired(one.score[known], other.score[known], test.keys[known], test.weight[known])
    if priced.any():
        cost = _means(1000 * one.cost_usd, 1000 * other.cost_usd, test.weight, priced)
        price = paired(
            1000 * one.cost_usd[priced], 1000 * other.cost_usd[priced], test.keys[priced], test.weight[priced]
        )
    return Effect(int(known.sum()), quality, cost, gain, price, int(known.sum() - priced.sum()))


def _means(one: Any, other: Any, weight: Any, at: BoolArray) -> tuple[float, float]:
    first, second = (weighted_mean(values[at], weight[at]) for values in (one, other))
    assert first is not None
    assert second is not None
    return first, second


def _damage(one: Replayed, test: Outcomes) -> Damage:
    return damage_of(one.score, test.cases.stakes_usd, test.weight)


def _with_and_without(values: tuple[float, float] | None, gain: Difference | None) -> Mapping[str, Any] | None:
    if values is None or gain is None:
        return None
    return {
        "with": values[0],
        "without": values[1],
        "delta": gain.delta,
        "ci95": None if gain.ci95 is None else list(gain.ci95),
    }


def _price(whole: Effect) -> str:
    costs, gain = whole.cost_usd_per_1k, whole.cost_gain_usd_per_1k
    if costs is None or gain is None:
        return "What that costs is unknown: no case has a cost both with it and without."
    if f"{costs[0]:.3g}" == f"{costs[1]:.3g}":
        return f"That costs nothing (${costs[0]:.3g} per 1,000 requests either way)."
    does = "costs" if gain.delta > 0 else "saves"
    bounds = ""
    if gain.ci95 is not None:
        low, high = gain.ci95 if gain.delta > 0 else (-gain.ci95[1], -gain.ci95[0])
        bounds = f" [{low:.3g}, {high:.3g}]"
    return (
        f"That {does} ${abs(gain.delta):.3g}{bounds} per 1,000 requests (${costs[0]:.3g} instead of ${costs[1]:.3g})."
    )


def _points(gain: Difference) -> str:
    if gain.ci95 is None:
        return f"{signed_points(gain.delta)} pt (too few cases differ for an interval)"
    low, high = gain.ci95
    return f"{signed_points(gain.delta)} pt [{signed_points(low)}, {signed_points(high)}]"
