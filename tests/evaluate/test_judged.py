"""A judge that is wrong in one direction, and what people's grades make of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.evaluate.choices import Choices
from routebench.evaluate.intervals import mean_interval
from routebench.evaluate.judged import MIN_LABELS, Judged, complete_chance, prediction_powered
from routebench.evaluate.paired import paired
from tests.evaluate.matrices import matrix

N, LABELS, TRUTH, BIAS = 400, 80, 0.6, 0.12


def sample(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The judge's scores, and people's of all cases: the judge is kinder, and mostly of the same mind."""
    human = (rng.random(N) < TRUTH).astype(float)
    judge = np.where(rng.random(N) < BIAS / (1 - TRUTH), 1.0, human)
    return judge, human


def test_the_interval_holds_what_people_would_say_where_the_judges_own_does_not() -> None:
    rng = np.random.default_rng(8)
    groups, weight, exact = np.arange(N).astype(str), np.ones(N), np.zeros(N, dtype=bool)
    draws = 600
    held = naive = 0
    widths, without_judge = [], []
    for _ in range(draws):
        judge, human = sample(rng)
        some = np.full(N, np.nan)
        asked = rng.permutation(N)[:LABELS]
        some[asked] = human[asked]
        found = prediction_powered(judge, some, exact, groups, weight)
        assert found is not None
        assert found[1] == LABELS
        low, high = found[0].interval()
        held += low <= TRUTH <= high
        widths.append(high - low)
        plain, few = (
            mean_interval(judge, groups, weight, share=True),
            mean_interval(some, groups, weight, share=True),
        )
        assert plain is not None
        assert few is not None
        naive += plain.low <= TRUTH <= plain.high
        without_judge.append(few.high - few.low)
    assert 0.93 <= held / draws <= 0.975
    assert naive / draws < 0.05
    # What the judge says of the other cases is worth something.
    assert np.mean(widths) < 0.85 * np.mean(without_judge)


def test_a_judge_that_says_nothing_true_costs_little_and_too_few_grades_correct_nothing() -> None:
    rng = np.random.default_rng(9)
    groups, weight, exact = np.arange(N).astype(str), np.ones(N), np.zeros(N, dtype=bool)
    human = (rng.random(N) < TRUTH).astype(float)
    some = np.where(np.arange(N) < LABELS, human, np.nan)
    found = prediction_powered(rng.random(N), some, exact, groups, weight)
    assert found is not None
    few = mean_interval(some, groups, weight)
    assert few is not None
    low, high = found[0].interval()
    assert high - low < 1.2 * (few.high - few.low)
    some[MIN_LABELS - 1 :] = np.nan
    assert prediction_powered(human, some, exact, groups, weight) is None


def test_cases_without_error_of_measurement_keep_their_value() -> None:
    rng = np.random.default_rng(10)
    judge, human = sample(rng)
    exact = np.arange(N) >= 100
    found = prediction_powered(np.where(exact, human, judge), human, exact, np.arange(N).astype(str), np.ones(N))
    assert found is not None
    # Everything that a judge scored was graded by people: their mean, whatever the judge said.
    np.testing.assert_allclose(found[0].value, human.mean())
    assert found[1] == 100


def test_grades_that_were_drawn_from_doubt_are_weighed_back() -> None:
    # The judge is wrong exactly where it is in doubt, and there people were asked most.
    rng = np.random.default_rng(5)
    doubtful = np.arange(N) < N // 5
    judge = np.where(doubtful, 0.9, 0.7) + rng.normal(0, 0.02, N)
    human = judge - 0.5 * doubtful
    chance = np.where(doubtful, 0.6, 0.1)
    groups, weight, exact = np.arange(N).astype(str), np.ones(N), np.zeros(N, dtype=bool)
    weighed, flat, covered = [], [], 0
    for _ in range(60):
        some = np.where(rng.random(N) < chance, human, np.nan)
        found = prediction_powered(judge, some, exact, groups, weight, np.where(np.isnan(some), np.nan, chance))
        plain = prediction_powered(judge, some, exact, groups, weight)
        assert found is not None
        assert plain is not None
        weighed.append(found[0].value)
        flat.append(plain[0].value)
        low, high = found[0].interval()
        covered += low <= human.mean() <= high
    assert np.mean(weighed) == pytest.approx(human.mean(), abs=0.01)
    assert abs(np.mean(flat) - human.mean()) > 0.05
    assert covered / 60 > 0.88


def test_equal_chances_change_nothing() -> None:
    rng = np.random.default_rng(6)
    human = rng.random(N)
    judge = human + rng.normal(0, 0.1, N)
    some = np.where(rng.random(N) < 0.5, human, np.nan)
    groups, weight, exact = np.arange(N).astype(str), np.ones(N), np.zeros(N, dtype=bool)
    plain = prediction_powered(judge, some, exact, groups, weight)
    drawn = prediction_powered(judge, some, exact, groups, weight, np.full(N, 0.3))
    assert plain is not None
    assert drawn is not None
    assert drawn[0].value == pytest.approx(plain[0].value)
    assert drawn[0].error == pytest.approx(plain[0].error)
    assert drawn[0].freedom == pytest.approx(plain[0].freedom)


def test_cases_of_an_unknown_chance_count_as_a_random_part_and_nothing_open_is_no_error() -> None:
    chance = np.array([np.nan, 0.2, np.nan, np.nan])
    labelled = np.array([True, True, False, False])
    told = complete_chance(chance, labelled, np.ones(4, dtype=bool), np.ones(4))
    assert told[:2] == pytest.approx([0.25, 0.2])
    nothing = np.zeros(4, dtype=bool)
    assert complete_chance(chance, nothing, nothing, np.ones(4)).tolist() == [1.0] * 4


def test_a_difference_needs_no_two_answers_to_one_case_to_be_drawn_together() -> None:
    # As systematic sampling in the order of the cases does: of one case never both, so their joint chance is 0.
    rng = np.random.default_rng(7)
    human = {name: (rng.random(N) < share).astype(float) for name, share in (("a", 0.7), ("b", 0.5))}
    truth = human["a"].mean() - human["b"].mean()
    judge = {"a": np.where(human["a"] == 1, 0.8, 0.3), "b": np.where(human["b"] == 1, 0.9, 0.5)}
    groups, weight, nobody = np.arange(N), np.ones(N), np.zeros(N, dtype=bool)
    by = {name: np.tile(np.eye(2)[place], (N, 1)) for place, name in enumerate("ab")}
    plain = paired(judge["a"], judge["b"], groups, weight, 0.01)
    found, covered = [], 0
    for _ in range(60):
        drawn = rng.integers(0, 5, N)
        told = {name: np.where(drawn == place, human[name], np.nan) for place, name in enumerate("ab")}
        chance = dict.fromkeys("ab", np.full(N, 0.2))
        judged = Judged(judge, told, chance, dict.fromkeys("ab", nobody), ~nobody, by, groups, weight)
        one = judged.widened(plain, "a", "b")
        assert one.estimate is not None
        assert one.delta is not None
        found.append(one.delta)
        low, high = one.estimate.interval()
        covered += low <= truth <= high
    assert abs(plain.delta - truth) > 0.1  # type: ignore[operator]
    assert np.mean(found) == pytest.approx(truth, abs=0.01)
    assert covered / 60 > 0.88


def test_a_mix_of_drawn_answers_is_left_to_the_judge() -> None:
    n = 80
    score = np.full((n, 2), 0.5)
    test = matrix(score, score, models=("a", "b"), grader=["judge"] * n)
    test = replace(test, human=test.score + 0.2)
    mix = Choices.mix([0.5, 0.5], [Choices.same(("a", "b"), (name,), n) for name in ("a", "b")])
    chosen = {"a": Choices.same(("a", "b"), ("a",), n), "mix": mix}
    for drawn, moved in ((None, ["a", "mix"]), (np.full((n, 2, 1), 0.4), ["a"])):
        judged = Judged.of(replace(test, human_chance=drawn), chosen)
        assert judged is not None
        assert [name for name in chosen if judged.interval(name) is not None] == moved
