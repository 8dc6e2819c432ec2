"""What another policy would have been worth, from what exploration tried in production.

Logs of a policy that always decides alike say nothing of what it never did. Where a share of requests was sent by a
known chance to another model, those tell: the doubly robust estimate (Dudik, Langford and Li, ICML 2011) takes a model
of the scores and mends it by what was tried, weighed back by the chance of trying it. The model alone would be a guess:
it is fitted out of fold, and never shown without the mending.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from routebench.drifting.side import Side
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.evaluate.estimates import Studentised, mean_estimate

MIN_MATCHES = 30
"""Of fewer conversations in which exploration tried what the other policy wants, no interval keeps its level."""
_FOLDS = 5
_SHRINK = 10.0
"""A kind's mean score counts as so many scores of the model's mean."""


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """The difference of two policies in mean score, over the requests that were scored.

    Attributes:
        target: the policy that did not decide.
        n: requests that were scored or failed, and whose chance to be explored is known.
        n_moved: those for which the two want another model first.
        n_matches: those of them on which exploration tried what the target wants.
        difference: target less the policy at work, doubly robust; None where there are too few matches.
        snips: the same by self-normalised weights alone (Swaminathan and Joachims, NeurIPS 2015), as a cross-check.
        why_not: why there is no difference; None where there is one.
    """

    target: str
    n: int
    n_moved: int
    n_matches: int
    difference: Studentised | None = None
    snips: float | None = None
    why_not: str | None = None

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `cannot_tell`, or `too_few`."""
        if self.difference is None:
            return "too_few"
        low, high = self.difference.interval()
        return "better" if low > 0 else "worse" if high < 0 else "cannot_tell"

    @property
    def agrees(self) -> bool | None:
        """Whether the cross-check lies within the interval; None where one of them is not there."""
        if self.difference is None or self.snips is None:
            return None
        low, high = self.difference.interval()
        return low <= self.snips <= high

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        one = self.difference
        return {
            "target": self.target,
            "n": self.n,
            "n_moved": self.n_moved,
            "n_matches": self.n_matches,
            "delta": None if one is None else one.value,
            "ci95": None if one is None else list(one.interval()),
            "p_value": None if one is None else one.p_value(),
            "method": None if one is None else f"doubly robust, {one.method}",
            "snips": self.snips,
            "agrees": self.agrees,
            "verdict": self.verdict,
            "why_not": self.why_not,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """n scored requests; models and kinds are numbers from 0 on.

    Attributes:
        tried: the model that was asked first, shape (n,).
        wanted: the one that the policy at work wants, shape (n,).
        target: the one that the other policy wants, shape (n,).
        propensity: the chance with which `tried` was chosen, above 0; shape (n,).
        score: in [0, 1], failures 0; shape (n,).
        kind: what the model of the scores may tell apart, such as the deciding rule; shape (n,).
        groups: number of the conversation, shape (n,).
        weight: one over the chance with which the request was drawn to be scored, shape (n,).
    """

    tried: IntArray
    wanted: IntArray
    target: IntArray
    propensity: FloatArray
    score: FloatArray
    kind: IntArray
    groups: IntArray
    weight: FloatArray

    @property
    def moved(self) -> BoolArray:
        """Where the two policies want another model, shape (n,)."""
        moved: BoolArray = self.target != self.wanted
        return moved

    @property
    def matches(self) -> BoolArray:
        """Where they do, and what the other policy wants was tried; shape (n,)."""
        matches: BoolArray = self.moved & (self.tried == self.target)
        return matches

    @property
    def n_matched(self) -> int:
        """Conversations with a match."""
        return Side.of(np.where(self.matches, 1.0, np.nan), self.groups).n_groups


def doubly_robust(logged: Logged, *, seed: int = 0) -> Studentised | None:
    """Returns the difference of mean scores, target less the policy at work; None for fewer than 30 matches.

    Matches of one conversation are one.

    Args:
        logged: what was tried, wanted and scored.
        seed: of the folds.
    """
    matched = logged.n_matched
    if matched < MIN_MATCHES:
        return None
    expected = _expected(logged, seed)
    rows = np.arange(len(logged.score))
    gain = expected[rows, logged.target] - expected[rows, logged.wanted]
    mended = (logged.score - expected[rows, logged.tried]) / logged.propensity
    gain = (
        gain
        + np.where(logged.tried == logged.target, mended, 0.0)
        - np.where(logged.tried == logged.wanted, mended, 0.0)
    )
    gain = np.where(logged.moved, gain, 0.0)
    estimate = mean_estimate(gain, logged.groups, logged.weight)
    if estimate is None:
        return None
    # What never moves tells nothing of how much differences spread, nor does what was not tried: as many degrees of
    # freedom as conversations with a match, less one; and no correction for a skewness that the few large weights would
    # make up.
    return Studentised(estimate.value, estimate.error, min(estimate.freedom, matched - 1.0), 0.0, estimate.clustered)


def self_normalised(logged: Logged) -> float | None:
    """Returns the same difference by weights alone; None where either model was tried on no moved request."""
    moved = logged.moved
    weight = np.where(moved, logged.weight / logged.propensity, 0.0)
    theirs, ours = weight * (logged.tried == logged.target), weight * (logged.tried == logged.wanted)
    if not theirs.sum() or not ours.sum():
        return None
    gap = (theirs @ logged.score) / theirs.sum() - (ours @ logged.score) / ours.sum()
    return float(gap * (logged.weight @ moved) / logged.weight.sum())


def _expected(logged: Logged, seed: int) -> FloatArray:
    """What each model is expected to score on each request, from other conversations alone; shape (n, m).

    The mean of the model on the request's kind, drawn towards the model's mean over all kinds, and that towards the
    mean of all.
    """
    n_models = int(max(logged.tried.max(), logged.target.max(), logged.wanted.max())) + 1
    n_kinds = int(logged.kind.max()) + 1
    fold = np.random.default_rng(seed).permutation(int(logged.groups.max()) + 1)[logged.groups] % _FOLDS
    expected = np.empty((len(logged.score), n_models))
    for number in range(_FOLDS):
        inside = fold != number
        cell = logged.kind[inside] * n_models + logged.tried[inside]
        size = (n_kinds, n_models)
        counts = np.bincount(cell, minlength=n_kinds * n_models).reshape(size)
        sums = np.bincount(cell, weights=logged.score[inside], minlength=n_kinds * n_models).reshape(size)
        whole = sums.sum() / max(1, counts.sum())
        by_model = (sums.sum(axis=0) + _SHRINK * whole) / (counts.sum(axis=0) + _SHRINK)
        by_kind = (sums + _SHRINK * by_model) / (counts + _SHRINK)
        expected[~inside] = by_kind[logged.kind[~inside]]
    return expected
