"""A form at every operating point, as it did out of fold on the training half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np

from routebench.evaluate import Choices, Strategy
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.protocol import decided_out_of_fold
from routebench.rules import Guard, RuleSet
from routebench.tune.constraints import Point
from routebench.tune.ground import Ground


class Deployable(Strategy, Protocol):
    """A strategy that has a form in a rules.yaml at every operating point."""

    def to_ruleset(self, point: int) -> RuleSet:
        """Returns one operating point as a rule set."""
        ...


@runtime_checkable
class Guarded(Protocol):
    """A form that decides by guards itself, out of fold too: where one rule's models may not, its next rule decides."""

    def under(self, guards: Sequence[Guard]) -> Self:
        """Returns the same form under other guards; nothing is learned anew."""
        ...


@dataclass(frozen=True, eq=False)
class Curve:
    """One fitted form at p operating points, every prediction made out of fold.

    Attributes:
        form: fitted on the training half.
        choices: what it decides, before guards and small slices have their say.
        points: what each operating point reaches.
        score: of every point on every case, shape (p, n); NaN where it is unknown.
        cost_usd: likewise.
    """

    form: Deployable
    choices: Sequence[Choices]
    points: tuple[Point, ...]
    score: FloatArray
    cost_usd: FloatArray

    @classmethod
    def of(cls, form: Deployable, ground: Ground, choices: Sequence[Choices] | None = None) -> Self:
        """Replays a fitted form at every operating point.

        Args:
            form: fitted on the training half of the ground.
            ground: what it is replayed on.
            choices: what it decides out of fold, where that is known already.
        """
        made = [*(decided_out_of_fold(form, ground.train) if choices is None else choices)]
        points: list[Point] = []
        scores, costs = np.empty((len(made), ground.train.n)), np.empty((len(made), ground.train.n))
        for place, one in enumerate(made):
            replayed = ground.replay(one)
            scores[place], costs[place] = replayed.score, replayed.cost_usd
            points.append(ground.point(place, replayed, _rules(form, place, ground)))
        return cls(form, made, tuple(points), scores, costs)

    def on(self, ground: Ground) -> Curve:
        """Returns the curve where only the stakes of cases are others."""
        damages = _damages(self.score, ground.train.cases.stakes_usd, ground.train.weight)
        points = tuple(
            replace(point, damage_usd_per_1k=damage) for point, damage in zip(self.points, damages, strict=True)
        )
        return replace(self, points=points)

    @property
    def name(self) -> str:
        """Of the form."""
        return self.form.name

    @property
    def order(self) -> list[int]:
        """The points by rising cost, those of an unknown one last."""
        return sorted(range(len(self.points)), key=lambda place: (self._cost(place), self.points[place].quality))

    @property
    def efficient(self) -> list[int]:
        """The points by rising cost that score higher than any that costs no more; none of an unknown cost."""
        found: list[int] = []
        for place in sorted(self.order, key=lambda place: (self._cost(place), -self.points[place].quality)):
            best = self.points[found[-1]].quality if found else float("-inf")
            if self._cost(place) < float("inf") and self.points[place].quality > best:
                found.append(place)
        return found

    def _cost(self, place: int) -> float:
        cost = self.points[place].cost_usd_per_1k
        return float("inf") if cost is None else cost

    def gain(self, ground: Ground) -> float:
        """Returns what all its points together gain over mixes of two models, in AIQ."""
        costs = [np.nan if one.cost_usd_per_1k is None else one.cost_usd_per_1k / 1000 for one in self.points]
        return ground.gain.of_curve(np.array(costs), np.array([one.quality for one in self.points]))

    def guarded(self, guards: Sequence[Guard], ground: Ground) -> tuple[Deployable, Ground, Sequence[Choices]]:
        """Returns the form under other guards, and what it then decides out of fold: what `of` makes a curve of.

        Args:
            guards: that are in force.
            ground: with what they allow.
        """
        if not isinstance(self.form, Guarded):
            return self.form, ground, self.choices
        form = self.form.under(guards)
        return form, ground, form.train_curve()


def _damages(score: FloatArray, stakes_usd: FloatArray, weight: FloatArray) -> list[float | None]:
    """What `damage_of` says of every point, at once: scores of shape (p, n)."""
    known = ~np.isnan(stakes_usd)
    score, weight, stakes = score[:, known], weight[known], stakes_usd[known]
    there = ~np.isnan(score)
    lost, held = np.where(there, 1 - score, 0) @ (stakes * weight), there @ weight
    return [1000 * float(one) / float(of) if of else None for one, of in zip(lost, held, strict=True)]


def _rules(form: Deployable, place: int, ground: Ground) -> int:
    """How many rules a point has, with the one for small slices, which never takes the room of the only one."""
    own = len(form.to_ruleset(place).rules)
    return own + 1 if own > 1 and ground.slices.stays is not None else own
