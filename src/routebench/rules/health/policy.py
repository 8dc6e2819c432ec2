"""When a model is passed over, and when it is tried again: the numbers that a rule set may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from routebench.errors import InputError


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """When a model is passed over because it fails or slows down, and when it is tried again.

    Attributes:
        window_s: seconds that are looked back on.
        min_requests: where the window holds fewer, it is stretched to the last so many; where these are not to be had,
            the missing ones are taken to be good.
        max_error_rate: share of failures that is too much.
        min_errors: failures that there must be at least.
        slow_factor: a call is slow that takes so many times the 90th percentile of its kind.
        cooldown_s: seconds without requests before it is probed.
        probe_per_s: probes in a second.
        max_window_s: seconds that the window is stretched to at most.
        reopen_bad: it is healthy again when at most so many of the last `reopen_of` were bad.
        reopen_of: requests that this looks back on.
        p90_s: known 90th percentiles of latency in seconds, by model. That of one kind of request is learned, and then
            counts for that kind; requests without a kind are held to this one.
    """

    window_s: float = 10.0
    min_requests: int = 20
    max_error_rate: float = 0.2
    min_errors: int = 5
    slow_factor: float = 1.5
    cooldown_s: float = 10.0
    probe_per_s: float = 2.0
    max_window_s: float = 60.0
    reopen_bad: int = 3
    reopen_of: int = 30
    p90_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.window_s > self.max_window_s:
            raise InputError(
                f"window_s is {self.window_s:g} and max_window_s {self.max_window_s:g}: the window is stretched to "
                "that, so it must be the longer one"
            )
        if self.reopen_bad >= self.reopen_of:
            raise InputError(
                f"reopen_bad is {self.reopen_bad} of the last reopen_of {self.reopen_of}: a model that fails every "
                "probe would count as healthy; let fewer of them be bad"
            )
