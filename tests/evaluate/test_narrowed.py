"""A comparison against another bar or on a part of its cases says what a new comparison would say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate import Comparison, Outcomes
from routebench.evaluate.narrowed import narrowed, part_names
from tests.dash.comparisons import RULES, compared, outcomes


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared()


def test_the_whole_against_its_own_baseline_is_the_same(comparison: Comparison) -> None:
    same = narrowed(comparison)
    for one in comparison.evaluations:
        other = same[one.name]
        assert (one.versus_baseline, one.versus_fixed_mix) == (other.versus_baseline, other.versus_fixed_mix)
        assert (one.cost_versus_baseline, one.saving_usd) == (other.cost_versus_baseline, other.saving_usd)
        assert (one.quality_ci95, one.cost_ci95) == (other.quality_ci95, other.cost_ci95)


@pytest.mark.parametrize("baseline", ["cheapest", "always:large", RULES])
def test_another_baseline_is_what_comparing_with_it_gives(comparison: Comparison, baseline: str) -> None:
    anew = compared(baseline=baseline)
    found = narrowed(comparison, baseline=baseline)
    assert found.baseline == baseline
    for one in anew.evaluations:
        assert one.versus_baseline == found[one.name].versus_baseline
        assert one.saving_usd == found[one.name].saving_usd


def test_a_part_is_what_its_cases_alone_give(comparison: Comparison) -> None:
    inside = comparison.half.test.cases.category == "sum"
    found = narrowed(comparison, inside=inside)
    test = comparison.half.test
    assert found.n_test == int(inside.sum()) == found.half.test.n
    for place, name in enumerate(test.models):
        one = found[f"always:{name}"].first
        assert one.quality == pytest.approx(test.expected_scores()[inside, place].mean())
        assert one.cost_usd == pytest.approx(test.expected_costs()[inside, place].mean())
    # In the sums the rules are the large model.
    assert found[RULES].first.mix().tolist() == [0.0, 1.0, 0.0]
    versus = narrowed(comparison, baseline="always:large", inside=inside)[RULES].versus_baseline
    assert versus is not None
    assert versus.n_discordant == 0
    assert found.readings == ()


@pytest.mark.parametrize("baseline", ["best_single", RULES])
def test_a_part_is_what_comparing_its_cases_alone_gives(baseline: str) -> None:
    made = outcomes(400)
    # Three cases a group, every second one counts for more.
    cases = replace(
        made.cases,
        group=np.array([f"g{place // 3}" for place in range(made.n)]),
        weight=np.where(np.arange(made.n) % 2, 1.0, 2.5),
    )
    # A judge that people checked, and half of the input cached.
    cases = replace(cases, grader=np.full(made.n, "judge"))
    human = np.where(np.random.default_rng(1).random(made.score.shape) < 0.1, 1 - made.score, made.score)
    made = replace(made, cases=cases, human=human, cacheable_usd=made.cost_usd * [[[0.2], [0.4], [0.6]]])
    whole = compared(made, today=False, cache_hit_rate=0.5)
    train, test = whole.half.train, whole.half.test
    inside = test.cases.category == "sum"
    kept = np.concatenate(
        [np.flatnonzero(np.isin(cases.ids, half)) for half in (train.cases.ids, test.cases.ids[inside])]
    )
    split = np.where(np.isin(cases.ids, train.cases.ids), "train", "test")
    part = replace(made, cases=replace(cases, split=split)).take(np.sort(kept))
    alone = compared(part, today=False, baseline=baseline, cache_hit_rate=0.5)
    assert list(alone.half.test.cases.ids) == list(test.cases.ids[inside])
    found = narrowed(whole, baseline=baseline, inside=inside)
    for one in alone.evaluations:
        other = found[one.name]
        for told in (
            "versus_baseline",
            "versus_fixed_mix",
            "cost_versus_baseline",
            "saving_usd",
            "quality_ci95",
            "cost_ci95",
            "judged",
            "cached",
            "break_even_hit_rate",
        ):
            assert getattr(other, told) == getattr(one, told), (one.name, told)
        assert (one.judged, one.cached) != (whole[one.name].judged, whole[one.name].cached)
        assert (other.failed_share, other.latency_s(0.95)) == (one.failed_share, one.latency_s(0.95))
        assert other.first.quality == pytest.approx(one.first.quality)
        assert other.first.regret == pytest.approx(one.first.regret)
        assert other.first.commonest_share == pytest.approx(one.first.commonest_share)
    assert found.half.hull.names == alone.half.hull.names


def test_what_only_the_whole_tells_stays_out_of_a_part(comparison: Comparison) -> None:
    found = narrowed(comparison, inside=comparison.half.test.cases.category == "word")
    assert found[RULES].first.aiq is None
    assert found[RULES].slices == ()
    assert found.zero_aiq == (None,)
    several = outcomes()
    several = replace(
        several,
        **{name: np.repeat(getattr(several, name), 2, axis=2) for name in ("status", "score", "cost_usd", "latency_s")},
    )
    noisy = compared(several)
    assert noisy[RULES].noise_share is not None
    assert narrowed(noisy, baseline="cheapest")[RULES].noise_share == noisy[RULES].noise_share
    assert narrowed(noisy, inside=noisy.half.test.cases.category == "word")[RULES].noise_share is None


def test_parts_are_named_the_largest_first(comparison: Comparison) -> None:
    parts = comparison.half.test.cases.slices()
    sizes = [int(parts[name].sum()) for name in part_names(comparison)]
    assert sizes == sorted(sizes, reverse=True)
    assert set(part_names(comparison)) == {"category=sum", "category=word", "tag=rare"}


def test_what_cannot_be_narrowed_is_refused(comparison: Comparison) -> None:
    with pytest.raises(OutcomesError, match="no held-out case is in this part"):
        narrowed(comparison, inside=np.zeros(comparison.half.test.n, dtype=bool))
    with pytest.raises(OutcomesError, match="no strategy 'chepest' was compared"):
        narrowed(comparison, baseline="chepest")


def test_groups_by_number_and_by_name_tell_the_same() -> None:
    from routebench.evaluate.paired import max_t_alpha, paired

    rng = np.random.default_rng(3)
    names = np.array([f"group {number}" for number in rng.integers(0, 60, 240)])
    numbers = np.unique(names, return_inverse=True)[1]
    first, second = (rng.random(240) < 0.7).astype(float), (rng.random(240) < 0.6).astype(float)
    weight, gaps = rng.uniform(1, 2, 240), rng.normal(size=(240, 3))
    assert paired(first, second, names, weight) == paired(first, second, numbers, weight)
    assert max_t_alpha(gaps, names, weight) == max_t_alpha(gaps, numbers, weight)


def test_outcomes_of_the_tests_have_errors_and_categories() -> None:
    made: Outcomes = outcomes()
    assert (made.status == 2).any()
    assert set(made.cases.category) == {"sum", "word"}
