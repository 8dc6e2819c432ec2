"""Intervals and tests of two samples: known values, and levels that hold under clusters."""

from __future__ import annotations

import numpy as np
import pytest

from routebench.drifting.distances import largest_distance, variation
from routebench.drifting.gaps import ShareGap, mean_ratio, quantile_ratio, share_gap
from routebench.drifting.side import Side


def test_newcombe_gives_his_own_example() -> None:
    # Statistics in Medicine 17 (1998) 873, table II (a), method 10: 56/70 against 48/80.
    low, high = ShareGap(56 / 70, 70, 48 / 80, 80).interval()
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-4)


@pytest.mark.parametrize(("first", "second"), [((56, 70), (48, 80)), ((0, 400), (9, 200)), ((30, 60), (30, 60))])
def test_interval_and_p_value_of_shares_say_the_same(first: tuple[int, int], second: tuple[int, int]) -> None:
    gap = ShareGap(first[0] / first[1], first[1], second[0] / second[1], second[1])
    for alpha in (0.01, 0.05, 0.2):
        low, high = gap.interval(alpha)
        assert (low <= 0 <= high) == (gap.p_value() >= alpha)


def test_no_failure_of_many_is_told_from_some() -> None:
    none = Side.of(np.zeros(2000), np.arange(2000))
    some = Side.of((np.arange(1000) < 30).astype(float), np.arange(1000))
    gap = share_gap(none, some)
    assert gap is not None
    assert gap.interval()[1] < 0


def clustered(random: np.random.Generator, n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that are alike within their cluster, and the clusters."""
    groups = np.arange(n) // size
    return random.normal(0, 1, n // size + 1)[groups] + random.normal(0, 0.5, n), groups


def test_ratios_of_clustered_means_cover() -> None:
    covered = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        values, groups = clustered(random, 400, 4)
        others = np.exp(random.normal(0, 1, 300))
        gap = mean_ratio(Side.of(np.exp(values), groups), Side.of(others, np.arange(300)))
        assert gap is not None
        low, high = gap.interval()
        covered += low <= np.exp(1.25 / 2) / np.exp(0.5) - 1 <= high
    assert 0.9 <= covered / 300 <= 0.98


def test_ratios_of_clustered_quantiles_cover() -> None:
    covered = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        values, groups = clustered(random, 600, 3)
        other = np.exp(random.normal(0, np.sqrt(1.25), 400))
        gap = quantile_ratio(Side.of(np.exp(values), groups), Side.of(other, np.arange(400)), 0.5)
        assert gap is not None
        low, high = gap.interval()
        covered += low <= 0 <= high
    assert 0.91 <= covered / 300 <= 0.99


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_quantiles_of_rounded_times_are_seldom_told_apart(share: float) -> None:
    false = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        own, other = random.integers(0, 11, 400) / 10 + 1, random.integers(0, 11, 120) / 10 + 1
        gap = quantile_ratio(Side.of(own, np.arange(400) // 2), Side.of(other, np.arange(120)), share)
        assert gap is not None
        low, high = gap.interval()
        holds = low <= 1e-12 and high >= -1e-12
        assert holds == (gap.p_value() >= 0.05)
        false += not holds
    assert false / 300 <= 0.08


def test_a_quantile_may_be_0_below() -> None:
    often = Side.of(np.array([0.0] * 40 + [1.0] * 60), np.arange(100))
    gap = quantile_ratio(Side.of(np.full(100, 2.0), np.arange(100)), often, 0.45)
    assert gap is not None
    assert gap.interval() == (pytest.approx(1.0), np.inf)
    assert quantile_ratio(often, often, 0.1) is None


@pytest.mark.parametrize("n", [60, 600])
def test_mixes_that_are_the_same_are_seldom_told_apart(n: int) -> None:
    false = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        groups = np.arange(1200) // 4
        # Conversations stay on their model mostly.
        own = np.where(
            random.random(1200) < 0.8,
            random.choice(4, 300, p=[0.6, 0.25, 0.1, 0.05])[groups],
            random.choice(4, 1200, p=[0.6, 0.25, 0.1, 0.05]),
        )
        other = random.choice(4, n, p=[0.6, 0.25, 0.1, 0.05])
        found = variation(
            np.eye(4)[own], Side.of(np.zeros(1200), groups), np.eye(4)[other], Side.of(np.zeros(n), np.arange(n))
        )
        assert found is not None
        false += found.p_value < 0.05
    assert false / 300 <= 0.085


@pytest.mark.parametrize("share", [0.05, 0.01])
def test_a_rare_word_that_did_not_come_is_no_other_mix(share: float) -> None:
    false = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        own, other = (random.random(n) < share for n in (40, 500))
        found = variation(
            np.eye(2)[own.astype(int)],
            Side.of(np.zeros(40), np.arange(40)),
            np.eye(2)[other.astype(int)],
            Side.of(np.zeros(500), np.arange(500)),
        )
        assert found is not None
        false += found.p_value < 0.05
    assert false / 200 <= 0.09


def test_distributions_that_are_the_same_are_seldom_told_apart() -> None:
    false = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        values, groups = clustered(random, 300, 3)
        other = random.normal(0, np.sqrt(1.25), 200)
        found = largest_distance(Side.of(values.round(1), groups), Side.of(other.round(1), np.arange(200)))
        assert found is not None
        false += found.p_value < 0.05
    assert false / 150 <= 0.1


def test_distributions_that_are_not_are() -> None:
    random = np.random.default_rng(0)
    found = largest_distance(
        Side.of(random.normal(1, 1, 400), np.arange(400)), Side.of(random.normal(0, 1, 300), np.arange(300))
    )
    assert found is not None
    assert found.value == pytest.approx(0.383, abs=0.1)
    assert found.p_value < 0.001
    assert found.by_chance < 0.12


def test_too_few_clusters_have_no_gap() -> None:
    pair, many = Side.of(np.ones(50), np.arange(50) % 2), Side.of(np.ones(50), np.arange(50))
    assert share_gap(pair, many) is None
    assert mean_ratio(pair, many) is None
    assert quantile_ratio(pair, many, 0.5) is None
    assert variation(np.ones((50, 1)), pair, np.ones((50, 1)), many) is None
    assert largest_distance(pair, many) is None


def test_weights_of_cases_count() -> None:
    own = Side.of(np.array([1.0] * 30 + [0.0] * 30), np.arange(60))
    heavy = Side.of(np.array([1.0] * 30 + [0.0] * 30), np.arange(60), np.array([3.0] * 30 + [1.0] * 30))
    gap = share_gap(own, heavy)
    assert gap is not None
    assert gap.value == pytest.approx(-0.25)
