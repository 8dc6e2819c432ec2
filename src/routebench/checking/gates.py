"""Gates as values: what was asked of a rule set, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routebench.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that a rule set must keep.

    Attributes:
        name: what the JSON and the test report call it.
        ok: whether it is kept; None where that could not be looked at, which fails nothing.
        reading: what was found, as a sentence.
    """

    name: str
    ok: bool | None
    reading: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `check --json` prints."""
        return {"name": self.name, "ok": self.ok, "reading": self.reading}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds that a rule set must keep on the test half; None asks nothing.

    Attributes:
        min_quality: lowest mean score.
        max_cost_usd_per_1k: highest mean cost of 1,000 requests, in US dollars.
        max_latency_p95_s: highest 95th percentile of the time to an answer, in seconds.
    """

    min_quality: float | None = None
    max_cost_usd_per_1k: float | None = None
    max_latency_p95_s: float | None = None

    @property
    def asks_something(self) -> bool:
        """Whether there is any bound."""
        return any(one is not None for one in (self.min_quality, self.max_cost_usd_per_1k, self.max_latency_p95_s))

    def keeps_cost(self, cost_usd_per_1k: float | None) -> bool:
        """Whether a cost is within its bound; without a bound any is."""
        return self.max_cost_usd_per_1k is None or _within(cost_usd_per_1k, self.max_cost_usd_per_1k)


def bound_gates(own: Evaluation, bounds: Bounds) -> list[Gate]:
    """Holds what a rule set was measured at against the bounds that were asked for."""
    found: list[Gate] = []
    if bounds.min_quality is not None:
        reading = f"quality {own.quality:.1%}, at least {bounds.min_quality:.1%} wanted"
        found.append(Gate("min_quality", own.quality >= bounds.min_quality, reading))
    if bounds.max_cost_usd_per_1k is not None:
        cost = own.cost_usd_per_1k
        reading = f"cost {usd(cost)} per 1,000 requests, at most {usd(bounds.max_cost_usd_per_1k)} wanted"
        found.append(Gate("max_cost_usd_per_1k", bounds.keeps_cost(cost), reading))
    if bounds.max_latency_p95_s is not None:
        slow = own.latency_s(0.95)
        shown = "unknown" if slow is None else f"{slow:.3g} s"
        reading = f"p95 latency {shown}, at most {bounds.max_latency_p95_s:g} s wanted"
        found.append(Gate("max_latency_p95_s", _within(slow, bounds.max_latency_p95_s), reading))
    return found


def usd(value: float | None) -> str:
    """A cost as people read it."""
    return "unknown" if value is None else f"${value:.3g}"


def _within(value: float | None, bound: float) -> bool:
    """What is unknown does not keep a bound."""
    return value is not None and value <= bound
