"""Mean scores of a run that may still go on: hidden while they are of too few answers, and never compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from routebench.store import Store, read_matrix

SCORED_FROM = 30
"""Graded answers of a model from which its mean score is shown: fewer would be read as if they said something."""


@dataclass(frozen=True, slots=True)
class Score:
    """The mean score of a model's graded answers so far, with its 95 % interval; None below `SCORED_FROM` of them.

    Attributes:
        of_few: the mean of fewer than that, for when no more will come.
    """

    n: int
    mean: float | None = None
    ci95: tuple[float, float] | None = None
    of_few: float | None = None


def mean_scores(store: Store, suite: str, models: Sequence[str]) -> dict[str, Score]:
    """Returns the mean score of every model's graded answers; models with none are left out.

    Raises:
        StoreError: the store cannot be read, or holds no such suite.
    """
    from routebench.evaluate.intervals import mean_interval

    found = read_matrix(store, suite, models)
    score, model, case = (np.ma.filled(found.cells[name], np.nan) for name in ("score", "model", "case"))
    ids = np.asarray(found.cases["case_id"]).astype(str)
    keys = np.ma.filled(found.cases["group_key"].astype(object), "").astype(str)
    groups = np.where(keys == "", ids, keys)
    weights = np.ma.filled(found.cases["weight"], np.nan).astype(float)
    told: dict[str, Score] = {}
    for place, name in enumerate(models):
        mine = (model == place) & ~np.isnan(score)
        n = int(mine.sum())
        at = case[mine].astype(int)
        interval = mean_interval(score[mine], groups[at], weights[at], share=True) if n >= SCORED_FROM else None
        if n:
            few = float(np.average(score[mine], weights=weights[at]))
            told[name] = Score(n, of_few=few) if interval is None else Score(n, interval.mean, interval.ci95)
    return told
