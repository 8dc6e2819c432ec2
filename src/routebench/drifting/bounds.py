"""How far production may be from the evidence before it counts as drift."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Changes up to these do not matter, however sure they are.

    Attributes:
        mix_shift: share of requests that are sent to another model first, or decided by another rule.
        cost_rise: of the mean cost of a request, as a share of that of the evidence.
        latency_rise: of the 95th percentile, likewise.
        failed_rise: of the share of failed requests, and of escalated ones, as a difference of shares.
        input_shift: distance of a feature's distribution from that of the suite's cases, from 0 to 1.
    """

    mix_shift: float = 0.05
    cost_rise: float = 0.10
    latency_rise: float = 0.25
    failed_rise: float = 0.01
    input_shift: float = 0.10

    def as_dict(self) -> dict[str, float]:
        """The JSON form."""
        return asdict(self)
