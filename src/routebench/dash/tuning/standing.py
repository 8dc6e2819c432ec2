"""One policy on the training half, out of fold, with its intervals, and against another one case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from routebench.evaluate import Choices, Damage, Replayed, damage_of, replay
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.intervals import Interval, mean_interval
from routebench.evaluate.paired import Difference
from routebench.tune.ground import Ground

NO_ANSWER = "no answer"
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Standing:
    """What one policy reaches on the training half, no case decided by what was learned of it.

    Attributes:
        name: what it is called: a form with its point, or the fixed mix.
        form: its form.
        place: its operating point; None for the fixed mix.
        label: what the point says of itself, such as `lambda=0.3`.
        choices: what is decided, under guards and with small slices where they stay.
        replayed: case by case.
        quality: mean score; None where no case is known.
        cost_usd_per_1k: mean cost; None where none is known.
        over_mix: score above the mix of two models at its own cost.
        over_best: score above the best single model.
        damage: that wrong answers are expected to do.
        latency_p95_s: None where no time is known.
        worst: the slice that loses most against the best single model, and how much; None without one to judge.
        shares: model -> share of the requests that it answers, and NO_ANSWER.
    """

    name: str
    form: str
    place: int | None
    label: str
    choices: Choices
    replayed: Replayed
    quality: Interval | None
    cost_usd_per_1k: Interval | None
    over_mix: Difference
    over_best: Difference
    damage: Damage
    latency_p95_s: float | None
    worst: tuple[str, float] | None
    shares: Mapping[str, float]

    @classmethod
    def of(cls, ground: Ground, choices: Choices, *, form: str, place: int | None, label: str) -> Standing:
        """Replays decisions on the training half.

        Args:
            ground: what they are replayed on.
            choices: before guards and small slices have their say.
            form: that decides.
            place: its operating point.
            label: of it.
        """
        train, held = ground.train, ground.held(choices)
        replayed = replay(train, held)
        groups, weight = train.cases.cluster, train.weight
        return cls(
            form if place is None else f"{form} {place}",
            form,
            place,
            label,
            held,
            replayed,
            mean_interval(replayed.score, groups, weight, share=True),
            mean_interval(1000 * replayed.cost_usd, groups, weight),
            ground.over_mix(replayed.score, replayed.cost_usd),
            ground.compared(replayed.score, ground.bar),
            damage_of(replayed.score, train.cases.stakes_usd, weight),
            replayed.latency_quantile(0.95),
            ground.slices.worst(replayed.score - ground.bar),
            _shares(replayed, train.models, weight),
        )


def _shares(replayed: Replayed, models: Sequence[str], weight: FloatArray) -> dict[str, float]:
    """Which share of the requests goes where; of those of which that is known, and empty where it is of none."""
    known = ~np.isnan(replayed.failed)
    if not weight[known].sum() > 0:
        return {}
    parts = np.column_stack([replayed.answered_by, replayed.failed])[known]
    shares = np.average(parts, axis=0, weights=weight[known])
    return {name: float(part) for name, part in zip((*models, NO_ANSWER), shares, strict=True) if part > _SAME}


@dataclass(frozen=True, eq=False)
class Flips:
    """The cases that score otherwise under one policy than under another.

    Attributes:
        better: how many score higher.
        worse: how many score lower.
        change: of the score of every case, NaN where one of both is unknown, shape (n,).
    """

    better: int
    worse: int
    change: FloatArray

    @classmethod
    def between(cls, before: Replayed, now: Replayed) -> Flips:
        """Compares two replays of the same cases."""
        change = now.score - before.score
        return cls(int((change > _SAME).sum()), int((change < -_SAME).sum()), change)

    @property
    def told(self) -> str:
        """The counts, `+14 better / -9 worse`."""
        return f"+{self.better:,} better / -{self.worse:,} worse"

    def frame(self, ground: Ground, before: Replayed, now: Replayed) -> pd.DataFrame:
        """Returns the cases, those that lose most first: columns case, category, change, before, now, cost.

        Args:
            ground: whose training half they are of.
            before: the policy of before.
            now: the other one.
        """
        cases = ground.train.cases
        at = np.flatnonzero(np.abs(np.nan_to_num(self.change)) > _SAME)
        at = at[np.lexsort((cases.ids[at], self.change[at]))]
        models = np.array([*ground.train.models, NO_ANSWER])
        rows: dict[str, Any] = {
            "case": cases.ids[at],
            "category": cases.category[at],
            "change": self.change[at],
            "before": models[_first(before.answered_by[at])],
            "now": models[_first(now.answered_by[at])],
            "cost": 1000 * (now.cost_usd[at] - before.cost_usd[at]),
        }
        return pd.DataFrame(rows, index=pd.Index(cases.ids[at], name="key"))


def _first(answered_by: FloatArray) -> Any:
    """The likeliest model of each case, the last place where none answers."""
    n_models = answered_by.shape[1]
    return np.where(answered_by.max(axis=1, initial=0.0) > 0, answered_by.argmax(axis=1), n_models)
