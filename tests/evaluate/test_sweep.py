"""Every setting at once is every setting by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.evaluate import Choices, Outcomes, replay
from routebench.evaluate.sweep import (
    LambdaSweep,
    curve_missing,
    curve_points,
    curve_take,
    sweep_pairs,
    sweep_thresholds,
)
from tests.evaluate.matrices import matrix, random_matrix

STEADY = settings(derandomize=True, database=None, deadline=None, max_examples=80)
RATES = np.array([0, 0.125, 0.25, 0.5, 1, 2, 16])


def sweep_of(seed: int, *, gaps: bool) -> tuple[LambdaSweep, Outcomes]:
    outcomes = random_matrix(seed, gaps=gaps)
    rng = np.random.default_rng(seed)
    # Few values: predictions and costs tie often.
    predicted = rng.integers(0, 5, size=(outcomes.n, len(outcomes.models))) / 4
    costs = rng.integers(0, 4, size=len(outcomes.models)) / 4
    order = rng.permutation(len(outcomes.models))
    return LambdaSweep(tuple(outcomes.models[at] for at in order), predicted, costs, RATES), outcomes


@STEADY
@given(st.integers(0, 10_000), st.booleans())
def test_all_lambdas_together_are_the_replay_of_each(seed: int, gaps: bool) -> None:
    sweep, outcomes = sweep_of(seed, gaps=gaps)
    each = list(sweep)
    missing = curve_missing(outcomes, sweep)
    np.testing.assert_array_equal(missing, curve_missing(outcomes, each))
    kept = np.flatnonzero(~missing)
    if not len(kept):
        return
    known = outcomes.take(kept)
    ours, theirs = curve_points(known, curve_take(sweep, kept)), curve_points(known, curve_take(each, kept))
    np.testing.assert_allclose(ours.quality, theirs.quality, atol=1e-12)
    np.testing.assert_allclose(ours.cost_usd, theirs.cost_usd, atol=1e-12)
    np.testing.assert_allclose(ours.first, theirs.first, atol=1e-12)


def test_of_equals_the_cheaper_is_picked_at_any_weight() -> None:
    sweep = LambdaSweep(("dear", "cheap"), np.full((1, 2), 0.5), np.array([2.0, 1.0]), RATES)
    points = sweep.points(matrix([[1, 0]], [[2, 1]], models=["dear", "cheap"]))
    np.testing.assert_array_equal(points.first, np.tile([0, 1], (len(RATES), 1)))


@STEADY
@given(st.integers(0, 10_000), st.booleans())
def test_all_thresholds_together_are_the_replay_of_each(seed: int, pays_both: bool) -> None:
    outcomes = random_matrix(seed, gaps=False)
    rng = np.random.default_rng(seed)
    low, high = rng.integers(0, len(outcomes.models), size=2)
    signal = rng.integers(0, 4, size=outcomes.n) / 2
    columns = [low, high]
    scores, costs = outcomes.expected_scores()[:, columns], outcomes.expected_costs()[:, columns]
    thresholds, cost, quality = sweep_thresholds(signal, scores, costs, outcomes.weight, pays_both=pays_both)
    assert len(thresholds) == len(np.unique(signal)) + 1
    assert list(thresholds) == sorted(thresholds)
    for place, threshold in enumerate(thresholds):
        found = replay(outcomes, Choices.single(outcomes.models, np.where(signal < threshold, low, high)))
        both = np.where(signal < threshold, 0, costs[:, 0]) if pays_both else 0.0
        assert quality[place] == found.score.mean()
        assert cost[place] == (found.cost_usd + both).mean()


@STEADY
@given(st.integers(0, 10_000))
def test_the_front_of_all_pairs_is_that_of_a_search_through_all(seed: int) -> None:
    outcomes = random_matrix(seed, gaps=False)
    m = len(outcomes.models)
    signal = np.random.default_rng(seed).integers(0, 4, size=outcomes.n) / 2
    scores, costs = outcomes.expected_scores(), outcomes.expected_costs()

    def reached(low: int, high: int, threshold: float) -> tuple[float, float]:
        chosen = np.where(signal < threshold, low, high)
        rows = np.arange(outcomes.n)
        return float(costs[rows, chosen].mean()), float(scores[rows, chosen].mean())

    every = {
        reached(low, high, threshold)
        for low in range(m)
        for high in range(m)
        if low != high or m == 1
        for threshold in (*np.unique(signal), np.inf)
    }
    front, best = [], -1.0
    for cost, quality in sorted(every, key=lambda point: (point[0], -point[1])):
        if quality > best:
            front.append((cost, quality))
            best = quality
    found = sweep_pairs(signal, scores, costs, outcomes.weight)
    assert [(one.cost_usd, one.quality) for one in found] == front
    # What a point says of itself is how it is reached.
    assert [reached(one.low, one.high, one.threshold) for one in found] == front
