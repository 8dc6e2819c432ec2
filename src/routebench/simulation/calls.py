"""What becomes of one call: what is on record, as incidents change it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from routebench.simulation.recorded import Call
from routebench.simulation.scenario import Incident
from routebench.types import Answer, ErrorKind

_FAILS_BY: dict[str, ErrorKind] = {
    "outage": "connection",
    "errors": "server",
    "rate_limit": "rate_limited",
    "hang": "timeout",
}


class Weather:
    """Changes calls as the incidents of a simulation do; of one run, for rate limits count its calls.

    Args:
        incidents: those of the scenario.
        places: model name -> the names of its deployments.
    """

    def __init__(self, incidents: Iterable[Incident], places: dict[str, tuple[str, ...]]) -> None:
        self._of: dict[str, list[tuple[Incident, Allowance | None]]] = defaultdict(list)
        for incident in incidents:
            # A limit on a model is one for all of its deployments.
            allowance = Allowance(incident.requests_per_s) if incident.kind == "rate_limit" else None
            for place in places.get(incident.model, (incident.model,)):
                self._of[place].append((incident, allowance))

    def change(self, call: Call, place: str, at_s: float, luck: float) -> Call:
        """Returns what becomes of a call that is sent to a place at a time.

        Args:
            call: that on record.
            place: the name of the deployment.
            at_s: when, in seconds from the start.
            luck: a number in [0, 1) that is this call's alone; it fails where that is below the share of errors.
        """
        found = self._of.get(place)
        if found is None:
            return call
        for incident, allowance in found:
            if not incident.covers(at_s):
                continue
            if incident.kind in ("slow_down", "price_change"):
                call = _scaled(call, incident)
            elif incident.kind == "hang":
                return _failed("timeout", incident.timeout_s)
            elif (incident.kind == "errors" and luck >= incident.share) or (allowance and allowance.lets_through(at_s)):
                continue
            else:
                return _failed(_FAILS_BY[incident.kind], incident.after_s)
        return call

    def is_fair(self, place: str, at_s: float) -> bool:
        """Whether a place is in no trouble at a time."""
        return not any(one.is_trouble and one.covers(at_s) for one, _ in self._of.get(place, ()))


@dataclass(slots=True)
class Allowance:
    """A bucket of tokens that fills at a rate and holds a second of it, or one: how providers limit requests.

    Attributes:
        rate: requests that it lets through in a second.
    """

    rate: float
    _left: float | None = None
    _at_s: float = 0.0

    def lets_through(self, at_s: float) -> bool:
        """Whether a request at a time is let through; it is counted where it is."""
        holds = max(1.0, self.rate)
        left = holds if self._left is None else min(holds, self._left + (at_s - self._at_s) * self.rate)
        self._at_s = at_s
        allowed = left >= 1.0
        self._left = left - allowed
        return allowed


def _scaled(call: Call, incident: Incident) -> Call:
    answer = call.answer
    if incident.kind == "price_change":
        cost = answer.cost_usd
        return replace(call, answer=replace(answer, cost_usd=None if cost is None else cost * incident.factor))
    latency_s = call.latency_s * incident.factor
    return replace(call, latency_s=latency_s, answer=replace(answer, latency_s=latency_s))


def _failed(kind: ErrorKind, after_s: float) -> Call:
    return Call(after_s, Answer(error_kind=kind, latency_s=after_s), None)
