"""Where a model is served: one place by default, several with weights where a team says so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from routebench.types import Model


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place that serves a model.

    Attributes:
        name: what health and traces call it: the model's name, with `#1`, `#2`, ... where it has several.
        key_env: the environment variable with the key for this place.
        weight: its share among the model's deployments, relative to theirs.
        region: where it runs, None while unknown.
    """

    name: str
    model: str
    base_url: str | None = None
    key_env: str | None = None
    weight: float = 1.0
    region: str | None = None


def only_place(model: Model) -> tuple[Deployment, ...]:
    """Returns the one deployment that a model's own settings describe."""
    return (Deployment(model.name, model.name, model.base_url, model.key_env, 1.0, model.region),)


def by_weight(deployments: Sequence[Deployment], drawn: float) -> Deployment:
    """Returns the deployment that a number in [0, 1) falls to; theirs is a share of it by weight."""
    reached, total = 0.0, sum(one.weight for one in deployments)
    for one in deployments:
        reached += one.weight / total
        if drawn < reached:
            return one
    return deployments[-1]


def rotated(drawn: float, model: str) -> float:
    """Returns another number in [0, 1) for every model, from one that was drawn for the conversation."""
    digest = hashlib.sha256(f"{drawn!r} {model}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
