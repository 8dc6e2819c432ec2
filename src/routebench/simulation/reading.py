"""What a simulation shows, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from routebench.simulation.findings import Found

if TYPE_CHECKING:
    from routebench.simulation.simulation import Simulation


def read(simulation: Simulation) -> str:
    """Returns what became of the requests with and without health, and when each incident was seen."""
    return " ".join(_sentences(simulation))


def title(found: Found) -> str:
    """What to call an incident."""
    incident = found.incident
    word = {
        "slow_down": f"slow-down by {incident.factor:g}",
        "errors": f"trouble with {incident.share:.0%} errors",
        "rate_limit": f"rate limit of {incident.requests_per_s:g}/s",
        "price_change": f"price change by {incident.factor:g}",
    }.get(incident.kind, incident.kind)
    return f"{word} of {incident.model}"


def _sentences(simulation: Simulation) -> Iterator[str]:
    ran, bare = simulation.with_health.whole, simulation.without_health.whole
    yield f"{ran.failed:,} of {ran.n:,} requests failed with health, {bare.failed:,} without."
    if ran.latency_p95_s is not None and bare.latency_p95_s is not None:
        yield f"95 % were answered within {ran.latency_p95_s:.3g} s with it and {bare.latency_p95_s:.3g} s without."
    if ran.quality is not None and bare.quality is not None:
        yield f"The mean score was {ran.quality:.3f} with it and {bare.quality:.3f} without."
    yield from (_of_incident(found) for found in simulation.incidents if found.incident.is_trouble)
    false = {name: count for name, count in simulation.false_shifts.items() if count}
    if false:
        told = ", ".join(f"{name} {count} time{'s' if count > 1 else ''}" for name, count in false.items())
        yield f"Passed over with no incident there: {told}."
    if ran.avoidable:
        yield (
            f"{ran.avoidable:,} requests failed although a model that the guards allow was in no trouble: their chains "
            "are too short; name a fallback in their `route`."
        )
    if not simulation.own_health:
        yield "The rule set has no `health`: this is what `health: {}` would do."
    if simulation.n_left_out:
        yield f"{simulation.n_left_out:,} cases are left out: a call or its latency is not on record."


def _of_incident(found: Found) -> str:
    name = title(found)
    if found.detected_after_s is None:
        return f"The {name} was not seen."
    seen = f"The {name} was seen after {found.detected_after_s:.1f} s"
    if found.recovered_after_s is None:
        return f"{seen}."
    return f"{seen}, and requests were back {found.recovered_after_s:.1f} s after its end."
