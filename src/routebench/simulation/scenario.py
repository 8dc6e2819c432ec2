"""What happens while requests come in: incidents of models, and bursts of traffic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

IncidentKind = Literal["slow_down", "errors", "outage", "rate_limit", "hang", "price_change"]

MONDAY_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""When a simulation begins that does not say so: rules that ask for the time need one."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One model, or one of its deployments, in trouble for a while. What counts is when a call is sent.

    Attributes:
        model: the name of a model, or of a deployment such as `large#2`.
        kind: `slow_down` (calls take `factor` times as long), `errors` (`share` of the calls fail), `outage` (all
            fail), `rate_limit` (calls beyond `requests_per_s` are refused), `hang` (no call ends before `timeout_s`),
            `price_change` (calls cost `factor` times as much).
        from_s: when it begins, in seconds from the start.
        to_s: when it ends; infinity for never.
        factor: of latency, or of price.
        share: of the calls that fail.
        requests_per_s: that a rate limit lets through.
        after_s: seconds until a call that fails does so; not of a hang.
        timeout_s: seconds after which the client gives a hanging call up.
    """

    model: str
    kind: IncidentKind
    from_s: float = 0.0
    to_s: float = math.inf
    factor: float = 1.0
    share: float = 1.0
    requests_per_s: float = math.inf
    after_s: float = 0.1
    timeout_s: float = 60.0

    def covers(self, at_s: float) -> bool:
        """Whether a call that is sent at a time meets it."""
        return self.from_s <= at_s < self.to_s

    @property
    def is_trouble(self) -> bool:
        """Whether health ought to see it; a price is no matter of health."""
        return self.kind != "price_change"


@dataclass(frozen=True, slots=True)
class Burst:
    """For a while, requests of one category come `factor` times as often; all others come as before."""

    category: str
    from_s: float
    to_s: float
    factor: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that happens in a simulation.

    Attributes:
        requests_per_s: mean rate outside bursts, None where the scenario leaves it open.
        starts_at: the date and time of second 0, for rules and budgets that ask for it.
    """

    incidents: tuple[Incident, ...] = ()
    bursts: tuple[Burst, ...] = ()
    requests_per_s: float | None = None
    starts_at: datetime = MONDAY_NOON

    @property
    def ends_s(self) -> float:
        """When the last incident or burst ends, or begins where it does not end; 0 where there is none."""
        ends = [one.to_s if math.isfinite(one.to_s) else one.from_s for one in self.incidents]
        return max([*ends, *(one.to_s for one in self.bursts)], default=0.0)
