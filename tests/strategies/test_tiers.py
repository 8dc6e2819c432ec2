from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.errors import OutcomesError
from routebench.evaluate import Cases, Outcomes
from routebench.evaluate.outcomes import ERROR, MISSING, OK
from routebench.strategies.ridge import fit_ridge
from routebench.strategies.tiers import Ladder, Tiering, chain_choices, sweep_tiers
from tests.conftest import make_case


def test_a_score_below_a_threshold_stays_below_it() -> None:
    tiers = Tiering((0, 2, 1), (0.25, 0.5))
    assert tiers.of(np.array([0.0, 0.2499, 0.25, 0.4, 0.5, 1.0, np.inf])).tolist() == [0, 0, 2, 2, 1, 1, 1]
    assert Tiering((1,)).of(np.array([0.0, 1.0])).tolist() == [1, 1]


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.floats(0, 3))
def test_no_setting_is_better_than_the_one_found(seed: int, n: int, t: int, max_tiers: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    # Few different scores, so that some stand together, and one of which nothing could be said.
    signal = np.append(np.round(rng.random(n), 1), np.inf)
    scores, costs = rng.random((n + 1, t)), np.sort(rng.random((n + 1, t)), axis=1)
    weight = rng.integers(1, 4, n + 1).astype(float)
    (found,) = sweep_tiers(signal, scores, costs, weight, np.array([rate]), max_tiers=max_tiers)
    assert list(found.places) == sorted(set(found.places))
    assert list(found.below) == sorted(set(found.below))
    assert len(found.places) == len(found.below) + 1 <= max_tiers

    def worth(tiers: Tiering) -> float:
        utility = (scores - rate * costs)[np.arange(n + 1), tiers.of(signal)]
        return float(weight @ utility / weight.sum())

    thresholds = np.unique(signal)[:-1]
    every = [
        Tiering(places, below)
        for size in range(1, max_tiers + 1)
        for places in combinations(range(t), size)
        for below in combinations(thresholds.tolist(), size - 1)
    ]
    assert worth(found) == pytest.approx(max(map(worth, every)))


def test_thresholds_are_short_and_mean_the_same_as_written() -> None:
    rng = np.random.default_rng(0)
    signal = rng.random(500)
    scores = np.column_stack([1 - signal, signal])
    (found,) = sweep_tiers(signal, scores, np.zeros((500, 2)), np.ones(500), np.zeros(1))
    (below,) = found.below
    assert below == round(below, 4)
    assert below == pytest.approx(0.5, abs=0.02)


def outcomes(failing: float = 0.0) -> Outcomes:
    n, rng = 40, np.random.default_rng(0)
    cases = Cases.of([make_case(f"c{number}", f"prompt {number}") for number in range(n)])
    status = np.full((n, 4, 1), OK, dtype=np.int8)
    status[rng.random(n) < failing, 0, 0] = ERROR
    score = np.broadcast_to(np.array([0.4, 0.3, 0.7, 0.8])[None, :, None], (n, 4, 1)).copy()
    score[status == ERROR] = np.nan
    cost = np.broadcast_to(np.array([0.001, 0.002, 0.003, 0.01])[None, :, None], (n, 4, 1)).copy()
    return Outcomes("s", cases, ("a", "b", "c", "d"), status, score, cost, np.ones((n, 4, 1)))


def test_a_ladder_holds_the_hull_and_what_to_fall_back_to() -> None:
    ladder = Ladder.of(outcomes(failing=0.25))
    assert ladder.chains == (("a", "d"), ("c", "d"), ("d", "c"))
    # Where `a` fails its fallback answers, and both are paid for.
    failed = outcomes(failing=0.25).status[:, 0, 0] == ERROR
    assert 0 < failed.sum() < 40
    assert ladder.scores[:, 0].tolist() == np.where(failed, 0.8, 0.4).tolist()
    assert ladder.costs_usd[:, 0] == pytest.approx(np.where(failed, 0.011, 0.001))
    assert Ladder.of(outcomes(), ("a", "b")).chains == (("a", "d"), ("b", "d"))


def test_cases_without_all_cells_are_left_out_and_none_left_is_an_error() -> None:
    data = outcomes()
    data.status[0, 2] = MISSING
    assert Ladder.of(data).known.tolist() == list(range(1, 40))
    data.score[:, 3] = np.nan
    data.score[0, 3] = 0.9
    with pytest.raises(OutcomesError, match="no training case has a graded outcome of"):
        Ladder.of(data)


def test_nothing_known_of_a_request_is_no_decision() -> None:
    choices = chain_choices(("a", "b", "c"), (("a", "c"), ("c",)), np.array([0, 1, -1]), "x")
    assert choices.parts[0][1].tolist() == [[0, 2], [2, -1], [-1, -1]]


def test_a_ridge_is_the_one_of_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    columns, weight = rng.normal(size=(60, 5)), rng.integers(1, 5, 60).astype(float)
    target = columns @ np.arange(5.0) + 3 + rng.normal(size=60)
    at = np.arange(60)
    parts = [(at[at % 3 != fold], at[at % 3 == fold]) for fold in range(3)]
    found = fit_ridge(columns, target, weight, parts, np.array([2.0]))

    def solved(rows: np.ndarray) -> tuple[np.ndarray, float]:
        share = weight[rows] / weight.mean()
        x, y = columns[rows], target[rows]
        means, mean = share @ x / share.sum(), share @ y / share.sum()
        weights = np.linalg.solve(
            (x - means).T @ ((x - means) * share[:, None]) + 2 * np.eye(5), (x - means).T @ ((y - mean) * share)
        )
        return weights, float(mean - means @ weights)

    weights, bias = solved(at)
    assert found.weights == pytest.approx(weights)
    assert found.bias == pytest.approx(bias)
    for inside, outside in parts:
        weights, bias = solved(inside)
        assert found.out_of_fold[outside] == pytest.approx(columns[outside] @ weights + bias)


def test_noise_is_shrunk_most() -> None:
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(200, 20))
    at = np.arange(200)
    parts = [(at[at % 5 != fold], at[at % 5 == fold]) for fold in range(5)]
    noise = fit_ridge(columns, rng.normal(size=200), np.ones(200), parts)
    signal = fit_ridge(columns, columns[:, 0], np.ones(200), parts)
    assert noise.penalty > 100 * signal.penalty
