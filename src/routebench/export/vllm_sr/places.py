"""Places: what vLLM Semantic Router calls the deployments of a model, which are models of their own there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from routebench.rules import Deployment, RuleSet


@dataclass(frozen=True, slots=True)
class Place:
    """One deployment of a model, under the name that decisions call it by.

    Attributes:
        alias: the model's own name for the heaviest of its places, else with a number.
    """

    alias: str
    model: str
    deployment: Deployment


def places_of(ruleset: RuleSet) -> Mapping[str, tuple[Place, ...]]:
    """Returns the places of every model, the heaviest first; those of one cluster must share address and key there."""
    found: dict[str, tuple[Place, ...]] = {}
    for name in ruleset.order:
        by_weight = sorted(ruleset.deployments_of(name), key=lambda one: -one.weight)
        aliases = [name, *(f"{name}-{number}" for number in range(2, len(by_weight) + 1))]
        found[name] = tuple(Place(alias, name, one) for alias, one in zip(aliases, by_weight, strict=True))
    return found
