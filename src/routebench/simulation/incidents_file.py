"""A file of incidents as its author writes it, checked key by key."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from routebench.config import Settings, describe
from routebench.errors import InputError, nearest
from routebench.simulation.scenario import MONDAY_NOON, Burst, Incident, IncidentKind, Scenario
from routebench.yaml_source import Path as Place
from routebench.yaml_source import parse_yaml

_FromS = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_NEEDS: dict[IncidentKind, dict[str, str]] = {
    "slow_down": {"factor": "factor: 5"},
    "errors": {"share": "share: 0.3"},
    "outage": {},
    "rate_limit": {"requests_per_s": "requests_per_s: 5"},
    "hang": {},
    "price_change": {"factor": "factor: 2"},
}
"""What each kind must say, with an example."""
_MAY: dict[IncidentKind, frozenset[str]] = {
    "slow_down": frozenset(),
    "errors": frozenset({"after_s"}),
    "outage": frozenset({"after_s"}),
    "rate_limit": frozenset({"after_s"}),
    "hang": frozenset({"timeout_s"}),
    "price_change": frozenset(),
}
_OF_KINDS = ("factor", "share", "requests_per_s", "after_s", "timeout_s")
_EXAMPLE = "incidents: [{model: small, kind: outage, from_s: 120, to_s: 300}]"


class IncidentSettings(Settings):
    """One model in trouble for a while."""

    model: str
    """The model, or one of its deployments, such as `large#2`."""
    kind: IncidentKind
    """What happens to its calls."""
    from_s: _FromS = 0.0
    """When it begins, in seconds from the start."""
    to_s: _Positive | None = None
    """When it ends; it lasts to the end when left out."""
    factor: _Positive | None = None
    """How many times as long calls take (`slow_down`), or as much they cost (`price_change`)."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Of the calls that fail (`errors`)."""
    requests_per_s: _Positive | None = None
    """That are let through; the others are refused (`rate_limit`)."""
    after_s: _FromS | None = None
    """Seconds until a call that fails does so; a tenth when left out."""
    timeout_s: _Positive | None = None
    """Seconds after which a hanging call is given up; 60 when left out."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        needs = _NEEDS[self.kind]
        for key, example in needs.items():
            if getattr(self, key) is None:
                raise ValueError(f"an incident of kind {self.kind} needs `{key}`, such as `{example}`")
        for key in _OF_KINDS:
            if getattr(self, key) is not None and key not in needs and key not in _MAY[self.kind]:
                raise ValueError(f"`{key}` says nothing of an incident of kind {self.kind}; take it out")
        _check_span(self.from_s, self.to_s)
        return self


class BurstSettings(Settings):
    """For a while one category comes more often."""

    category: str
    """The category; all others come as before."""
    from_s: _FromS = 0.0
    """When it begins, in seconds from the start."""
    to_s: _Positive
    """When it ends."""
    factor: Annotated[float, Field(gt=1, allow_inf_nan=False)]
    """How many times as often."""

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        _check_span(self.from_s, self.to_s)
        return self


class ArrivalSettings(Settings):
    """How requests come in."""

    requests_per_s: _Positive | None = None
    """Their mean rate outside bursts; `--requests-per-s` wins over it."""
    starts_at: datetime | None = None
    """The date and time of second 0, for rules that ask for the time; a Monday at noon, UTC, when left out."""
    bursts: list[BurstSettings] = []
    """Categories that come more often for a while."""


class IncidentsSettings(Settings):
    """A file of incidents."""

    schema_: Annotated[Literal["routebench/incidents/v1"], Field(alias="schema")] = "routebench/incidents/v1"
    """The version of this format."""
    incidents: list[IncidentSettings]
    """What happens to models; an empty list is a quiet time."""
    arrivals: ArrivalSettings = ArrivalSettings()
    """How requests come in."""


def load_scenario(path: str | Path, *, models: Collection[str], categories: Collection[str]) -> Scenario:
    """Reads a file of incidents.

    Args:
        path: of the YAML file.
        models: that an incident may happen to, deployments among them.
        categories: that may come in a burst.

    Raises:
        InputError: it cannot be used; every problem is named with its line and the mend.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    return parse_scenario(text, str(path), models=models, categories=categories)


def parse_scenario(text: str, name: str, *, models: Collection[str], categories: Collection[str]) -> Scenario:
    """As `load_scenario`, of a text; `name` is what errors call it.

    Raises:
        InputError: it cannot be used; every problem is named with its line and the mend.
    """
    source = parse_yaml(text, name)
    if not isinstance(source.data, dict):
        found = "the file is empty" if source.data is None else "the file is not a mapping of keys"
        raise InputError(f"{source.where(())}: {found}; write it as in `{_EXAMPLE}`")
    try:
        settings = IncidentsSettings.model_validate(source.data)
    except ValidationError as error:
        raise InputError("\n".join(describe(error, source, IncidentsSettings))) from None
    problems = [f"{source.where(place)}: {sentence}" for place, sentence in _unknown(settings, models, categories)]
    if problems:
        raise InputError("\n".join(problems))
    return _scenario(settings)


def _scenario(settings: IncidentsSettings) -> Scenario:
    arrivals = settings.arrivals
    starts_at = arrivals.starts_at or MONDAY_NOON
    return Scenario(
        tuple(Incident(**one.model_dump(exclude_none=True)) for one in settings.incidents),
        tuple(Burst(**one.model_dump()) for one in arrivals.bursts),
        arrivals.requests_per_s,
        starts_at if starts_at.tzinfo is not None else starts_at.replace(tzinfo=UTC),
    )


def _unknown(
    settings: IncidentsSettings, models: Collection[str], categories: Collection[str]
) -> Iterator[tuple[Place, str]]:
    for index, one in enumerate(settings.incidents):
        if one.model not in models:
            known = f"models here: {', '.join(models)}"
            yield ("incidents", index, "model"), f"no model {one.model!r}{nearest(one.model, models)}; {known}"
    for index, burst in enumerate(settings.arrivals.bursts):
        if burst.category not in categories:
            known = f"categories here: {', '.join(categories) or 'none'}"
            near = nearest(burst.category, categories)
            yield ("arrivals", "bursts", index, "category"), f"no category {burst.category!r}{near}; {known}"


def _check_span(from_s: float, to_s: float | None) -> None:
    if not from_s < (math.inf if to_s is None else to_s):
        raise ValueError(f"it ends at {to_s:g} s, and begins at {from_s:g} s: `to_s` must be after `from_s`")
