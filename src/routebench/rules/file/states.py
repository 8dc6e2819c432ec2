"""Checks, health and budget of a rules.yaml as their author writes them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from routebench.config import Settings
from routebench.rules.answers.judge import ANSWER, PROMPT
from routebench.rules.conditions.when import TimeZone, WhenSettings
from routebench.rules.learned.settings import ArtifactSettings

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Count = Annotated[int, Field(gt=0)]


class AgreeSettings(Settings):
    """Models of the chain that came to the same answer."""

    on: Literal["auto", "text", "number", "choice", "json", "tool_calls"] = "auto"
    """What of the answers is compared."""
    votes: Annotated[int, Field(ge=2)] = 2
    """Answers that come down to the same, this one among them."""


class JudgeSettings(Settings):
    """A model that is asked of the answer."""

    model: Annotated[str, Field(min_length=1)]
    """One of `models`; the application asks it."""
    accept_from: Annotated[float, Field(gt=0, le=1)]
    """The least of its scores, between 0 and 1, of an answer that passes."""
    prompt: str | None = None
    """What it is asked, with {prompt} and {answer} in it; the documented prompt when left out."""

    @field_validator("prompt")
    @classmethod
    def _has_its_places(cls, prompt: str | None) -> str | None:
        lacking = [place for place in (PROMPT, ANSWER) if prompt is not None and place not in prompt]
        if lacking:
            raise ValueError(f"the judge's prompt lacks {' and '.join(lacking)}: it must see both")
        return prompt


_Least = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


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
    agree: AgreeSettings | None = None
    """Answers of earlier models of the chain come down to the same; the first model's answer is always held back."""
    head: ArtifactSettings | None = None
    """Learned weights that say how good it is to keep the answer."""
    accept_from: _Least | Annotated[list[_Least], Field(min_length=1)] | None = None
    """With `head`: the least of its values of an answer that passes, or one for each place of the chain."""
    judge: JudgeSettings | None = None
    """Another model's opinion; asked last, of answers that meet everything else."""
    otherwise: Literal["accept", "fail"] = "accept"
    """When no model of the chain passes: accept the latest answer, or fail."""

    @model_validator(mode="after")
    def _has_what_its_head_needs(self) -> Self:
        if (self.head is None) != (self.accept_from is None):
            raise ValueError(
                "`head` needs `accept_from`, the least value of an answer that passes"
                if self.head is not None
                else "`accept_from` is for a `head`; name its artifact, or take `accept_from` out"
            )
        return self


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

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.window_s > self.max_window_s:
            if "max_window_s" in self.model_fields_set:
                raise ValueError(
                    f"`window_s` is {self.window_s:g} and `max_window_s` {self.max_window_s:g}: the window is "
                    "stretched to that, so it must be the longer one"
                )
            self.max_window_s = self.window_s
        if self.reopen_bad >= self.reopen_of:
            raise ValueError(
                f"`reopen_bad` is {self.reopen_bad} of the last `reopen_of` {self.reopen_of}: a model that fails every "
                "probe would count as healthy; let fewer of them be bad"
            )
        return self


class BudgetSettings(Settings):
    """What a day may cost."""

    usd_per_day: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """US dollars."""
    when_spent: Literal["cheapest", "refuse"] = "cheapest"
    """Then requests go to the cheapest model that may take them, or fail."""
    timezone: TimeZone = "UTC"
    """Whose midnight ends the day, such as Europe/Berlin."""
