"""When health saw an incident, when it let go of it, and where it saw one that was none."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from routebench.rules.health.health import State
from routebench.simulation.scenario import Incident

_AFTERMATH_S = 10.0
"""Calls that are sent during an incident end after it, and may still tell of it."""

Changes = Sequence[tuple[float, Mapping[str, State]]]


@dataclass(frozen=True, slots=True)
class Found:
    """What health made of one incident.

    Attributes:
        incident: the incident.
        detected_after_s: seconds from its beginning until requests no longer went to the model; None where it was never
            passed over for it.
        recovered_after_s: seconds from its end until requests went to the model as before; None where it was not passed
            over, or still was at the end.
    """

    incident: Incident
    detected_after_s: float | None
    recovered_after_s: float | None

    def as_dict(self) -> dict[str, Any]:
        """The form in which `simulate --json` prints it; an end that never comes is null."""
        told = {key: value for key, value in asdict(self.incident).items() if value != math.inf}
        return {
            "to_s": None,
            **told,
            "detected_after_s": self.detected_after_s,
            "recovered_after_s": self.recovered_after_s,
        }


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch of time in which a model was not well in the eyes of health; `to_s` infinity where it did not end."""

    from_s: float
    to_s: float


def episodes(changes: Changes, places: Mapping[str, Sequence[str]]) -> dict[str, list[Episode]]:
    """Returns by model when none of its places was taken to be well.

    Args:
        changes: when health came to see something otherwise, and who is not well from then on.
        places: model or deployment -> the names of the deployments that it is.
    """
    found: dict[str, list[Episode]] = defaultdict(list)
    began: dict[str, float] = {}
    for at_s, ill in changes:
        for name, own in places.items():
            is_ill = all(place in ill for place in own)
            if is_ill and name not in began:
                began[name] = at_s
            elif not is_ill and name in began:
                found[name].append(Episode(began.pop(name), at_s))
    for name, from_s in began.items():
        found[name].append(Episode(from_s, math.inf))
    return dict(found)


def find(incidents: Iterable[Incident], seen: Mapping[str, Sequence[Episode]]) -> tuple[Found, ...]:
    """Returns what health made of every incident."""
    return tuple(_found(incident, seen.get(incident.model, ())) for incident in incidents)


def false_shifts(
    incidents: Iterable[Incident], seen: Mapping[str, Sequence[Episode]], models: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Returns how often each model was passed over though no incident was there.

    Args:
        incidents: that there were.
        seen: the episodes of each model.
        models: model -> its deployments; trouble of one of them may be why the model is passed over.
    """
    by_place: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents:
        if incident.is_trouble:
            by_place[incident.model].append(incident)
    return {
        name: sum(
            not any(_belongs(episode, incident) for owner in (name, *own) for incident in by_place.get(owner, ()))
            for episode in seen.get(name, ())
        )
        for name, own in models.items()
    }


def _found(incident: Incident, seen: Sequence[Episode]) -> Found:
    own = [one for one in seen if _belongs(one, incident)] if incident.is_trouble else []
    if not own:
        return Found(incident, None, None)
    # Where one still is passed over for an earlier incident, no request goes to it: it is found before it begins.
    detected_s = max(own[0].from_s - incident.from_s, 0.0)
    last_s = own[-1].to_s
    recovered_s = None if math.isinf(last_s) or math.isinf(incident.to_s) else max(last_s - incident.to_s, 0.0)
    return Found(incident, detected_s, recovered_s)


def _belongs(episode: Episode, incident: Incident) -> bool:
    return episode.from_s < incident.to_s + _AFTERMATH_S and episode.to_s > incident.from_s
