"""What a simulation shows, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from routebench.simulation.figures import Figures
from routebench.simulation.findings import Found


def read(
    ran: Figures,
    bare: Figures,
    incidents: Sequence[Found],
    false_shifts: Mapping[str, int],
    *,
    own_health: bool,
    n_left_out: int,
) -> str:
    """Returns what became of the requests, and when each incident was seen.

    Args:
        ran: of all requests, with health.
        bare: of all requests, without.
        incidents: what was found of each.
        false_shifts: how often each model was passed over with no incident there.
        own_health: whether the rule set has a `health`.
        n_left_out: cases without a call or its latency.
    """
    parts = (_of_requests(ran, bare), map(_of_incident, incidents), _of_false_shifts(false_shifts))
    said = [sentence for part in parts for sentence in part]
    if ran.avoidable:
        said.append(
            f"{ran.avoidable:,} requests failed although a model that the guards allow was in no trouble: their chains "
            "are too short; name a fallback in their `route`."
        )
    if not own_health:
        said.append("The rule set has no `health`: this is what `health: {}` would do.")
    if n_left_out:
        said.append(f"{n_left_out:,} cases are left out: a call or its latency is not on record.")
    return " ".join(said)


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


def _of_requests(ran: Figures, bare: Figures) -> Iterator[str]:
    yield f"{ran.failed:,} of {ran.n:,} requests failed with health, {bare.failed:,} without."
    if ran.latency_p95_s is not None and bare.latency_p95_s is not None:
        yield f"95 % were answered within {ran.latency_p95_s:.3g} s with it and {bare.latency_p95_s:.3g} s without."
    if ran.quality is not None and bare.quality is not None:
        yield f"The mean score was {ran.quality:.3f} with it and {bare.quality:.3f} without."


def _of_false_shifts(counts: Mapping[str, int]) -> Iterator[str]:
    told = ", ".join(f"{name} {count} time{'s' if count > 1 else ''}" for name, count in counts.items() if count)
    if told:
        yield f"Passed over with no incident there: {told}."


def _of_incident(found: Found) -> str:
    name = title(found)
    if found.detected_after_s is None:
        return f"The {name} was not seen."
    seen = f"The {name} was seen after {found.detected_after_s:.1f} s"
    if found.recovered_after_s is None:
        return f"{seen}."
    return f"{seen}, and requests were back {found.recovered_after_s:.1f} s after its end."
