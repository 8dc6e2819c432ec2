from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate import Choices, Outcomes
from routebench.evaluate.choices import NOBODY
from routebench.evaluate.moving import MIN_TELLING, move, tail
from routebench.evaluate.outcomes import ERROR, MISSING, OK
from routebench.evaluate.paired import paired
from tests.evaluate.matrices import matrix

NAN = float("nan")


def chains(outcomes: Outcomes, *rows: tuple[int, ...]) -> Choices:
    width = max(len(row) for row in rows)
    return Choices.single(outcomes.models, np.array([[*row, *[-1] * (width - len(row))] for row in rows]))


def test_which_cases_move_and_how_many_requests_they_stand_for() -> None:
    outcomes = matrix([[1, 0], [1, 0], [0, 1], [1, 1]], [[4, 1]] * 4, weight=[1, 2, 3, 4])
    moved = move(outcomes, chains(outcomes, (0,), (0,), (1,), (0,)), chains(outcomes, (1,), (1, 0), (0,), (0, 1)))
    assert (moved.n_first, moved.n_chain, moved.requests, moved.requests_first) == (3, 4, 10, 6)
    flows = {(one.before, one.after): (one.n, one.requests) for one in moved.flows}
    assert flows == {("m0", "m1"): (2, 3), ("m1", "m0"): (1, 3)}
    assert moved.quality == pytest.approx((1.0, 0.4))
    assert moved.cost_usd == pytest.approx((3.1, 3.1))
    assert [one.case.id for one in moved.harmed] == ["c002", "c000", "c001"]


def test_harm_is_score_lost_and_then_cost() -> None:
    outcomes = matrix([[1, 0.5], [1, 0], [1, 1], [1, 1], [0, 1]], [[1, 2], [1, 2], [1, 9], [1, 3], [1, 99]])
    old, new = (Choices.same(outcomes.models, (name,), outcomes.n) for name in outcomes.models)
    moved = move(outcomes, old, new, n_harmed=4)
    assert [one.case.id for one in moved.harmed] == ["c001", "c000", "c002", "c003"]
    worst = moved.harmed[0]
    assert (worst.baseline_model, worst.baseline_score, worst.model, worst.score) == ("m0", 1.0, "m1", 0.0)


def test_differences_are_those_of_the_paired_comparison() -> None:
    rng = np.random.default_rng(1)
    n = 200
    score = (rng.random((n, 2)) < [0.8, 0.6]).astype(float)
    categories = ["law" if place % 2 else "code" for place in range(n)]
    outcomes = matrix(score, rng.random((n, 2)) + np.array([2, 1]), category=categories, tags=[["public"]] * n)
    old, new = (Choices.same(outcomes.models, (name,), n) for name in outcomes.models)
    moved = move(outcomes, old, new)
    assert moved.scores == paired(score[:, 1], score[:, 0], outcomes.keys, outcomes.weight)
    assert moved.scores.verdict == "worse"
    assert {one.name for one in moved.slices} == {"category=law", "category=code"}
    assert moved.added_usd is not None
    assert moved.cost_change is not None
    gaps = outcomes.cost_usd[:, 1, 0] - outcomes.cost_usd[:, 0, 0]
    assert moved.added_usd.mean == pytest.approx(gaps.mean())
    assert moved.cost_change.mean == pytest.approx(gaps.mean() / outcomes.cost_usd[:, 0, 0].mean())
    same = move(outcomes, old, old)
    assert (same.n_chain, same.flows, same.harmed, same.scores.delta) == (0, (), (), 0.0)
    assert same.scores.n_discordant == 0


def test_unknown_stays_unknown_and_refused_fails() -> None:
    outcomes = matrix(
        [[1, NAN], [1, 1], [1, 1]],
        [[1, NAN], [1, NAN], [1, 1]],
        status=[[[OK], [MISSING]], [[OK], [OK]], [[OK], [OK]]],
        latency_s=np.full((3, 2, 1), NAN),
    )
    moved = move(outcomes, chains(outcomes, (0,), (0,), (0,)), chains(outcomes, (1,), (1,), (NOBODY,)))
    assert (moved.n_left_out, moved.n_left_out_moved, moved.n_cost_unknown, moved.tail) == (1, 1, 1, None)
    assert moved.quality == pytest.approx((1.0, 0.5))
    assert moved.cost_usd == pytest.approx((1.0, 0.0))
    assert moved.refused == (0, 1)
    assert any(one.after is None for one in moved.flows)
    assert moved.harmed[0].model is None


def test_a_failure_falls_to_the_next_of_the_chain() -> None:
    outcomes = matrix([[NAN, 1], [NAN, 0]], [[1, 2], [1, 2]], status=[[[ERROR], [OK]]] * 2)
    moved = move(outcomes, chains(outcomes, (0,), (0,)), chains(outcomes, (0, 1), (0, 1)))
    assert (moved.n_first, moved.n_chain) == (0, 2)
    assert moved.quality == pytest.approx((0.0, 0.5))
    assert moved.cost_usd == pytest.approx((1.0, 3.0))


def test_a_lottery_is_no_fixed_policy() -> None:
    outcomes = matrix([[1, 0]], [[1, 1]])
    fixed = Choices.same(outcomes.models, ("m0",), 1)
    with pytest.raises(OutcomesError, match="draws lots"):
        move(outcomes, fixed, Choices.mix([0.5, 0.5], [fixed, Choices.same(outcomes.models, ("m1",), 1)]))


def times(seed: int, n: int, share: float) -> Any:
    rng = np.random.default_rng(seed)
    case = rng.normal(0, 0.4, n)
    slow = np.exp(0.5 + case + rng.normal(0, 0.5, n))
    fast = np.exp(-0.4 + case + rng.normal(0, 0.7, n))
    after = np.where(rng.random(n) < share, fast, slow)
    return slow[:, None, None], after[:, None, None]


def test_the_tail_needs_enough_times_that_differ_and_repeats() -> None:
    before, after = times(0, 400, 0.5)
    groups = np.array([str(place // 2) for place in range(400)])
    found = tail(before, after, groups, np.ones(400))
    assert found is not None
    assert found.difference.ci95 is not None
    assert found.before_s == np.sort(before.ravel())[379]
    assert found.difference.mean == pytest.approx(found.after_s - found.before_s)
    assert found.difference.ci95[0] < found.difference.mean < found.difference.ci95[1] < 0
    assert found == tail(before, after, groups, np.ones(400))
    few = before.copy()
    few[: MIN_TELLING - 1] = after[: MIN_TELLING - 1]
    little = tail(before, few, np.array([str(place) for place in range(400)]), np.ones(400))
    assert little is not None
    assert little.difference.ci95 is None
    before[0] = NAN
    assert (other := tail(before, after, groups, np.ones(400))) is not None
    assert other.n == 399


def test_the_interval_of_the_tail_covers() -> None:
    truth_before, truth_after = times(10**6, 10**6, 0.3)
    truth = np.quantile(truth_after, 0.95) - np.quantile(truth_before, 0.95)
    groups = np.array([str(place) for place in range(200)])
    hits = 0
    for seed in range(40):
        found = tail(*times(seed, 200, 0.3), groups, np.ones(200), seed=seed)
        assert found is not None
        assert found.difference.ci95 is not None
        hits += found.difference.ci95[0] <= truth <= found.difference.ci95[1]
    assert hits >= 35
