"""Where models are asked: which of their deployments, and in which order by health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from routebench.rules.deployments import Deployment, by_weight, rotated
from routebench.rules.health.health import Health
from routebench.types import Decision

_RANKS = {"closed": 0, "half_open": 1, "open": 2}

Regions = frozenset[str] | None
"""Where a request may be processed; None where no guard says."""


class Places:
    """The deployments of every model.

    Args:
        deployments: by the model's name; one each at least.
        health: how they are doing; None where nobody watches.

    Attributes:
        health: as above.
    """

    def __init__(self, deployments: Mapping[str, tuple[Deployment, ...]], health: Health | None) -> None:
        self._places = dict(deployments)
        self._single = all(len(places) == 1 for places in self._places.values())
        self.health = health

    def first(self, model: str) -> Deployment:
        """Returns the place that a model is asked at where nothing else is said."""
        return self._places[model][0]

    def are_several(self, model: str) -> bool:
        """Whether a model is served in more than one place."""
        return len(self._places[model]) > 1

    def left(self, decision: Decision, regions: Regions) -> tuple[Deployment, ...]:
        """Returns the places where a decision's model may be asked and has not failed yet."""
        assert decision.model is not None
        failed = {one.deployment for one in decision.tried if one.model == decision.model}
        return tuple(one for one in self._inside(decision.model, regions) if one.name not in failed)

    def choose(self, decision: Decision, regions: Regions, drawn: float) -> Deployment:
        """Returns where to ask a decision's model.

        Args:
            decision: that has a model to ask.
            regions: where the request may be processed.
            drawn: a number in [0, 1), the same for a whole conversation.
        """
        assert decision.model is not None
        places = self.left(decision, regions) or self._inside(decision.model, regions)
        if self.health is not None:
            health = self.health
            places = tuple(one for one in places if health.state(one.name) == "closed") or places
        return places[0] if len(places) == 1 else by_weight(places, rotated(drawn, decision.model))

    def order(self, chain: tuple[str, ...], regions: Regions, *, probe: bool = True) -> tuple[str, ...]:
        """Returns a chain with the models that are doing badly behind the others; a model does as its best place does.

        Args:
            chain: of models that have a place inside the regions.
            regions: where the request may be processed.
            probe: whether the request may be one that looks whether a model is well again.
        """
        if self.health is None or len(chain) < 2:
            return chain
        if self._single:
            return self.health.order(chain, probe=probe)
        names = {self._best(self._inside(name, regions)): name for name in chain}
        return tuple(names[place] for place in self.health.order(tuple(names), probe=probe))

    def _inside(self, model: str, regions: Regions) -> tuple[Deployment, ...]:
        places = self._places[model]
        return places if regions is None else tuple(one for one in places if one.region in regions)

    def _best(self, places: Iterable[Deployment]) -> str:
        health = self.health
        assert health is not None
        return min((one.name for one in places), key=lambda name: _RANKS[health.state(name)])
