"""Checks, health and budget of a rules.yaml as their author writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from routebench.config import Settings
from routebench.rules.conditions.when import TimeZone, WhenSettings

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Count = Annotated[int, Field(gt=0)]


class CheckSettings(Settings):
    """What an answer must be like to be accepted; all of its keys must hold, and an empty answer never passes."""

    finish: Annotated[list[Literal["stop", "length", "tool_calls", "other"]], Field(min_length=1)] | None = None
    """How it may have finished."""
    json_: Annotated[bool, Field(alias="json")] = False
    """It is JSON, perhaps in one fenced block."""
    json_schema: bool = False
    """It follows the JSON schema that the request asks for, where it asks for one."""
    tool_calls: bool = False
    """The tools that it calls are offered, and the arguments fit their schemas."""
    answer: WhenSettings | None = None
    """A condition on its text, in the form of a rule's `when`."""
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """The application gives its confidence, and that is at least this."""
    otherwise: Literal["accept", "fail"] = "accept"
    """When no model of the chain passes: accept the latest answer, or fail."""


class HealthSettings(Settings):
    """When a model is passed over because it fails or slows down, and when it is tried again."""

    window_s: _Seconds = 10.0
    """Seconds that are looked back on."""
    max_window_s: _Seconds = 60.0
    """Seconds that are looked back on where requests are few."""
    min_requests: _Count = 20
    """Requests that are looked back on at least; missing ones count as good."""
    max_error_rate: _Share = 0.2
    """Share of failures that is too much."""
    min_errors: _Count = 5
    """Failures that there must be at least."""
    slow_factor: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.5
    """A call is slow that takes so many times the 90th percentile of its kind."""
    cooldown_s: _Seconds = 10.0
    """Seconds without requests before it is probed."""
    probe_per_s: _Seconds = 2.0
    """Probes in a second."""
    reopen_bad: Annotated[int, Field(ge=0)] = 3
    """It is healthy again when at most so many of the last `reopen_of` were bad."""
    reopen_of: _Count = 30
    """Requests that this looks back on."""
    p90_s: dict[str, _Seconds] = {}
    """Known 90th percentiles of latency, by model; learned where left out."""


class BudgetSettings(Settings):
    """What a day may cost."""

    usd_per_day: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """US dollars."""
    when_spent: Literal["cheapest", "refuse"] = "cheapest"
    """Then requests go to the cheapest model that may take them, or fail."""
    timezone: TimeZone = "UTC"
    """Whose midnight ends the day, such as Europe/Berlin."""
