"""One figure of production beside that of the evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from routebench.evaluate.estimates import ALPHA, Estimate
from routebench.evaluate.intervals import Interval
from routebench.evaluate.paired import MIN_CASES

Topic = Literal["mix", "rules", "cost", "tokens", "latency", "failures", "cascade", "gateway", "inputs"]
Unit = Literal["share", "usd", "s", "number", "distance"]
Change = Literal["points", "ratio", "distance"]
Verdict = Literal["moved", "within", "cannot_tell", "too_few"]
"""`moved`: surely another one, and by more than the bound. `within`: the whole interval is within the bound.
`cannot_tell`: neither. `too_few`: fewer than 30 requests or cases, or too few conversations for an interval."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of production beside that of the evidence.

    Attributes:
        topic: what it is about.
        name: such as `small` of the mix, or `cost of 1,000 requests`.
        unit: of the figures.
        n: requests, or calls, that it is about.
        production: None where nothing is known, or the row is about a whole distribution.
        n_evidence: cases that the evidence is about; None where there is none to compare with.
        evidence: likewise.
        change: production against evidence: a difference of shares, a ratio less one, or a distance from 0 to 1; None
            while unknown.
        change_kind: which of them.
        change_ci95: None where there are too few, and of distances.
        by_chance: of a distance, what one in twenty pairs of samples of the same are apart.
        times: of a number, how many times the evidence's median it is.
        times_ci95: likewise.
        p_value: of no change.
        p_adjusted: after Holm over the rows of its family.
        bound: changes up to it do not matter; None where none was set.
        decides: whether the row is one of those that say whether there is drift; the others show where it is.
        only_up: whether only an increase is a harm.
        method: of interval and test.
    """

    topic: Topic
    name: str
    unit: Unit
    n: int
    production: Interval | None = None
    n_evidence: int | None = None
    evidence: Interval | None = None
    change: float | None = None
    change_kind: Change = "points"
    change_ci95: tuple[float, float] | None = None
    by_chance: float | None = None
    times: float | None = None
    times_ci95: tuple[float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    bound: float | None = None
    decides: bool = True
    only_up: bool = False
    method: str | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The word for the change; None where there is nothing to compare with."""
        if self.n_evidence is None or self.bound is None:
            return None
        if min(self.n, self.n_evidence) < MIN_CASES or self.change is None or self.p_value is None:
            return "too_few"
        p_value = self.p_value if self.p_adjusted is None else self.p_adjusted
        if p_value < ALPHA and abs(self.change) > self.bound:
            return "moved"
        if self.change_ci95 is not None:
            reach = max(map(abs, self.change_ci95))
        else:
            # No further apart than what is seen and what chance adds.
            reach = abs(self.change) + (self.by_chance or 0.0)
        return "within" if reach <= self.bound else "cannot_tell"

    @property
    def harmful(self) -> bool:
        """Whether it is drift: it moved, and in a direction that matters."""
        return self.decides and self.verdict == "moved" and not (self.only_up and (self.change or 0.0) < 0)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; what is unknown is null."""
        return {
            "topic": self.topic,
            "name": self.name,
            "unit": self.unit,
            "production": _figure(self.production, self.n),
            "evidence": None if self.n_evidence is None else _figure(self.evidence, self.n_evidence),
            "change": self.change,
            "change_kind": self.change_kind,
            "change_ci95": _pair(self.change_ci95),
            "by_chance": self.by_chance,
            "times": self.times,
            "times_ci95": _pair(self.times_ci95),
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
            "bound": self.bound,
            "decides": self.decides,
            "verdict": self.verdict,
            "harmful": self.harmful,
            "method": self.method,
        }


def told(gap: Estimate | None) -> dict[str, Any]:
    """Returns an estimated change as fields of a row."""
    if gap is None:
        return {}
    return {"change": gap.value, "change_ci95": gap.interval(), "p_value": gap.p_value(), "method": gap.method}


def _figure(one: Interval | None, n: int) -> dict[str, Any]:
    return {"value": None if one is None else one.mean, "ci95": None if one is None else _pair(one.ci95), "n": n}


def _pair(bounds: tuple[float, float] | None) -> list[float | None] | None:
    # An end that lies nowhere, as of a ratio to what may be 0, is unknown to JSON.
    return None if bounds is None else [bound if math.isfinite(bound) else None for bound in bounds]
