"""Figures of the literature and our own, each worked out by hand in the comments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from routebench.evaluate import Choices, Comparison, Outcomes, compare
from routebench.evaluate.compare import operating_point
from routebench.evaluate.frontier import Hull, SingleModel, aiq, oracle_curve, upper_hull
from routebench.evaluate.metrics import arena_score, gap_recovered
from routebench.evaluate.noise import noise_share
from routebench.evaluate.power import false_winner_probability, minimum_detectable
from routebench.evaluate.replay import replay
from routebench.evaluate.slices import rank_slices
from routebench.evaluate.sweep import Points
from routebench.strategies import Always, BestSingle, Oracle
from routebench.strategies.base import Policy
from routebench.types import Request
from tests.evaluate.matrices import matrix

SINGLES = (
    SingleModel("cheap", 0.5, 1.0, usable=True),
    SingleModel("middle", 0.6, 2.0, usable=True),
    SingleModel("dear", 0.8, 3.0, usable=True),
)


class Given(Policy):
    """A policy whose decisions are written down, for the train half and for the test half alike."""

    name = "given"

    def __init__(self, *points: Sequence[int]) -> None:
        self.points = [np.array(point) for point in points]

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        """One point a list of model positions."""
        del requests
        return [Choices.single(self.models_, point, f"point {place}") for place, point in enumerate(self.points)]


def two_models() -> Outcomes:
    """Four cases in either half; cheap is right on the first two, dear on all but the second."""
    return matrix(
        [[1, 1], [1, 0], [0, 1], [0, 1]] * 2,
        [[1, 3]] * 8,
        models=["cheap", "dear"],
        split=["train"] * 4 + ["test"] * 4,
    )


def compared(*points: Sequence[int]) -> Comparison:
    return compare(two_models(), [Always("cheap"), Always("dear"), BestSingle(), Oracle(), Given(*points)], seeds=[42])


def test_the_area_under_a_curve_beside_that_of_the_single_models() -> None:
    # The hull of the single models is the line from (1, .5) to (3, .8); middle at (2, .6) lies below its .65.
    # Area over 1..3: mean height .65.
    assert Hull.of(SINGLES).names == ("cheap", "dear")
    assert aiq([1, 2, 3], [0.5, 0.6, 0.8], SINGLES) == pytest.approx(0.65)
    # One point (2, .72) with the cheapest model: (.5 + .72) / 2 = .61 over 1..2, flat .72 over 2..3; half of 1.33.
    assert aiq([2], [0.72], SINGLES) == pytest.approx(0.665)
    # A point left of the range takes part in the hull and is clipped to it. From (.5, .55) to (2, .72) the line is at
    # .55 + .17 / 3 when it enters at 1: the mean of that and .72 over 1..2, and .72 over 2..3.
    entering = 0.55 + 0.17 / 3
    assert aiq([0.5, 2], [0.55, 0.72], SINGLES) == pytest.approx(((entering + 0.72) / 2 + 0.72) / 2)
    # A point beyond the dearest model counts for its way through the range only: from (1, .5) to (5, .9), .7 at 3.
    assert aiq([5], [0.9], SINGLES) == pytest.approx(0.6)


def test_an_unknown_cost_gives_no_area_and_a_model_that_mostly_fails_is_no_end_of_the_range() -> None:
    assert aiq([2, np.nan], [0.7, 0.7], SINGLES) is None
    failing = SingleModel("failing", 0.2, 0.1, usable=False)
    # Range 1..3 still, although failing is the cheapest.
    assert Hull.of((*SINGLES, failing)).cost_range == (1.0, 3.0)
    assert aiq([2], [0.72], (*SINGLES, failing)) == pytest.approx(0.665)


def test_a_mix_on_the_hull_reaches_what_lies_between() -> None:
    hull = Hull.of(SINGLES)
    assert hull.mix_at(1.5) == {"cheap": pytest.approx(0.75), "dear": pytest.approx(0.25)}
    assert hull.value(1.5) == pytest.approx(0.575)
    assert hull.mix_at(99) == {"dear": 1.0}
    assert [list(corners) for corners in upper_hull([1, 1, 2, 3], [0.2, 0.5, 0.4, 0.5])] == [[1], [0.5]]


def test_deployed_gain_area_gap_match_cost_and_regret_of_one_small_router() -> None:
    # Points: all cheap (cost 1, quality .5); the third case to dear (1.5, .75); the last two to dear (2, 1).
    row = compared([0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1])["given"].first
    np.testing.assert_allclose(row.curve, ([1, 1.5, 2], [0.5, 0.75, 1.0]))
    # 101 budgets 1.00, 1.02, ..., 3.00 and the mix of cheap (1, .5) and dear (3, .75), .125 a dollar:
    #   1.00 .. 1.48, 25 budgets: all cheap, gain .5 - .5 = 0
    #   1.50 .. 1.98, 25 budgets: .75 less the mix at 1.5, .5625: .1875
    #   2.00 .. 3.00, 51 budgets: 1 less the mix at 2, .625: .375
    assert row.deployed_gain == pytest.approx((25 * 0.1875 + 51 * 0.375) / 101)
    # Area: 1..2 rises from .5 to 1, mean .75; 2..3 flat at 1.
    assert row.aiq == pytest.approx((0.75 + 1.0) / 2)
    # The gap of .25 is recovered to 0, 1, 2 at 0, 1/4, 1/2 of strong calls, and to 1 when all are strong:
    #   .125 + .375 + .75 = 1.25; half of it at 1/8, four fifths at 1/5.
    assert row.gap == (pytest.approx(1.25), pytest.approx(0.125), pytest.approx(0.2))
    # The cheapest point with dear's quality costs 1.5 of its 3; it is also the operating point.
    assert row.match_cost == pytest.approx(0.5)
    assert row.label == "point 1"
    assert row.cost_usd == pytest.approx(1.5)
    # By cheap or by dear every case is right.
    assert row.regret == pytest.approx(0.25)


def test_a_policy_that_only_mixes_gains_nothing_and_recovers_its_share_of_calls() -> None:
    class Mixing(Given):
        def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
            ends = [Choices.same(self.models_, (name,), len(requests)) for name in self.models_]
            return [Choices.mix([1 - share, share], ends) for share in np.linspace(0, 1, 11)]

    found = compare(two_models(), [Always("cheap"), BestSingle(), Mixing()], seeds=[42])["given"].first
    assert found.deployed_gain == pytest.approx(0, abs=1e-12)
    assert found.gap == (pytest.approx(0.5), pytest.approx(0.5), pytest.approx(0.8))
    assert found.aiq == pytest.approx(0.625)


def test_a_gap_between_models_as_routellm_measures_it() -> None:
    # Weak .6, strong .8. Half of the calls recover (.75 - .6) / .2 = 3/4 of the gap:
    #   area .5 * .375 + .5 * (.75 + 1) / 2 = .625; 50 % at 1/3 of calls; 80 % at .5 + .5 * (.05 / .25) = .6.
    assert gap_recovered([0.5], [0.75], 0.6, 0.8) == (
        pytest.approx(0.625),
        pytest.approx(1 / 3),
        pytest.approx(0.6),
    )
    assert gap_recovered([0.5], [0.75], 0.8, 0.8) is None


def test_the_arena_score_of_a_policy() -> None:
    # c = 1 dollar: C = log2(200) / (log2(200) - log2(.0044)) = 7.643856 / (7.643856 + 7.828281) = .494040.
    # A = .8: S = 1.1 * .8 * .494040 / (.1 * .8 + .494040) = .434755 / .574040 = .757360.
    assert arena_score(0.8, 1.0) == pytest.approx(0.757360, abs=5e-6)
    # The cheapest has C = 1: S = 1.1 * .8 / 1.08; the dearest C = 0 and S = 0.
    assert arena_score(0.8, 0.0044) == pytest.approx(0.88 / 1.08)
    assert arena_score(0.8, 200) == pytest.approx(0)
    assert arena_score(0.8, 0) is None


@pytest.mark.parametrize(("discordance", "points"), [(0.05, 2.8), (0.10, 4.0), (0.20, 5.6)])
def test_what_a_half_and_half_split_of_a_thousand_cases_can_see(discordance: float, points: float) -> None:
    assert 100 * minimum_detectable(500, discordance) == pytest.approx(points, abs=0.1)


def test_eight_comparisons_see_less_and_find_more_that_is_not_there() -> None:
    # (z at 1 - .05 / 16) + (z at .8) = 2.734 + .842, times sqrt(.1 / 500): 5.06 points; "5.0" in the table.
    assert 100 * minimum_detectable(500, 0.10, comparisons=8) == pytest.approx(5.0, abs=0.1)
    assert false_winner_probability(8) == pytest.approx(1 - 0.95**8)


def test_the_operating_point_is_the_cheapest_that_is_good_enough_and_else_the_best() -> None:
    points = Points(np.array([1.0, 2.0, np.nan, 3.0]), np.array([0.5, 0.8, 0.95, 0.9]), np.zeros((4, 1)))
    assert operating_point(points, 0.8) == 1
    assert operating_point(points, 0.85) == 3  # an unknown cost is the dearest
    assert operating_point(points, 0.92) == 2
    assert operating_point(points, 2.0) == 2


def test_the_oracle_takes_the_best_and_of_equals_the_cheapest_until_money_is_all() -> None:
    outcomes = two_models()
    points = [replay(outcomes, choices) for choices in oracle_curve(outcomes)]
    assert (points[0].score.mean(), points[0].cost_usd.mean()) == (1.0, 2.0)
    assert (points[-1].score.mean(), points[-1].cost_usd.mean()) == (0.5, 1.0)


@pytest.mark.parametrize(("to_dear", "constant"), [(5, False), (4, True), (0, True)])
def test_a_router_that_sends_more_than_95_in_100_to_one_model_is_flagged(to_dear: int, constant: bool) -> None:
    outcomes = matrix([[1, 0]] * 101, [[1, 2]] * 101, models=["cheap", "dear"], split=["train"] + ["test"] * 100)

    class Nearly(Given):
        def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
            return [Choices.single(self.models_, (np.arange(len(requests)) < to_dear).astype(int))]

    found = compare(outcomes, [BestSingle(), Nearly()], seeds=[42])
    assert found["given"].constant is constant


def test_the_worst_slice_has_an_interval_that_allows_for_having_looked_at_all() -> None:
    rng = np.random.default_rng(0)
    topic = np.repeat(["law", "code", "tiny"], [100, 100, 10])
    base = (rng.random(210) < 0.8).astype(float)
    score = np.where((topic == "law") & (rng.random(210) < 0.4), 0.0, base)
    groups, weight = np.arange(210).astype(str), np.ones(210)
    slices = {name: topic == name for name in ("law", "code", "tiny")}
    found, other = rank_slices(score, base, slices, groups, weight)
    (alone,) = rank_slices(score, base, {"law": slices["law"]}, groups, weight)
    assert found.delta < other.delta
    assert (found.name, found.n, found.n_slices, found.n_too_small) == ("law", 100, 2, 1)
    assert found.delta == pytest.approx((score - base)[:100].mean())
    assert found.ci95 is not None
    assert alone.ci95 is not None
    assert found.ci95[0] < alone.ci95[0] < alone.ci95[1] < found.ci95[1] < 0
    assert rank_slices(score, base, {"tiny": slices["tiny"]}, groups, weight) == ()


def test_the_share_of_noise_is_what_repeating_would_take_away() -> None:
    # Case means .25, .75, with variances of their samples .125 each, over two samples .0625; between them .0625: all.
    assert noise_share(np.array([[0, 0.5], [0.5, 1]]), np.ones(2)) == pytest.approx(1.0)
    # Samples that agree leave no noise, and one sample says nothing.
    assert noise_share(np.array([[0.0, 0.0], [1.0, 1.0]]), np.ones(2)) == 0
    assert noise_share(np.array([[0.0, np.nan], [1.0, np.nan]]), np.ones(2)) is None
    # Simulated: means spread with variance 1/12, answers around them with p (1 - p), 1/6 on average, over 4 samples:
    # the share is (1/24) / (1/24 + 1/12) = 1/3.
    rng = np.random.default_rng(0)
    chance = rng.random(20_000)
    samples = (rng.random((20_000, 4)) < chance[:, None]).astype(float)
    assert noise_share(samples, np.ones(20_000)) == pytest.approx(1 / 3, abs=0.01)
