from __future__ import annotations

import numpy as np
import pytest

from routebench.evaluate import Choices
from routebench.evaluate.sweep import Joined, LambdaSweep, curve_missing, curve_points, curve_take
from tests.evaluate.matrices import matrix

RATES = np.array([0.0, 0.37, 1.13, 2.29, 5.41])


def test_costs_of_every_request_decide_as_a_loop_over_the_rates_would() -> None:
    rng = np.random.default_rng(4)
    for _ in range(30):
        predicted, costs = rng.random((40, 4)).round(1), rng.random((40, 4)).round(1)
        data = matrix(rng.random((40, 4)), rng.random((40, 4)))
        sweep = LambdaSweep(data.models, predicted, costs, RATES)
        points = curve_points(data, sweep)
        slow = curve_points(data, list(sweep))
        np.testing.assert_allclose(points.quality, slow.quality)
        np.testing.assert_allclose(points.cost_usd, slow.cost_usd)
        np.testing.assert_allclose(points.first, slow.first, atol=1e-12)


def test_joined_curves_are_their_points_one_after_the_other() -> None:
    rng = np.random.default_rng(5)
    data = matrix(rng.random((20, 3)), rng.random((20, 3)))
    sweep = LambdaSweep(data.models, rng.random((20, 3)), rng.random((20, 3)), RATES)
    constant = [Choices.same(data.models, (name,), 20, label=name) for name in data.models]
    both = Joined((sweep, constant))
    assert len(both) == len(list(both)) == 8
    assert [one.label for one in both] == [both[place].label for place in range(8)]
    assert both[7].label == "m2"
    with pytest.raises(IndexError):
        both[8]
    points = curve_points(data, both)
    np.testing.assert_allclose(points.quality[5:], data.expected_scores().mean(axis=0))
    some = np.array([3, 5, 7])
    taken = curve_points(data.take(some), curve_take(both, some))
    np.testing.assert_allclose(taken.quality[5:], data.expected_scores()[some].mean(axis=0))
    data.score[4, 2] = np.nan
    assert np.flatnonzero(curve_missing(data, Joined((constant, constant)))).tolist() == [4]
