from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from routebench.grade.agreement import Agreement, Level, Weights, cohen_kappa, krippendorff_alpha

NAN = float("nan")
# Four observers and twelve units with gaps: the example of Krippendorff (2011), part C, with its results.
FOUR = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(level: Level, alpha: float) -> None:
    found = krippendorff_alpha(FOUR, level, resamples=200)
    assert found.value == pytest.approx(alpha, abs=5e-4)
    assert found.n == 11, "a unit that one observer rated has no pair"


def test_alpha_by_hand() -> None:
    # Pairs (0,0) (0,1) (1,1): of 6 values three are 0. Observed 2/6; expected 2 * 3 * 3 / (6 * 5); 1 - 10/18.
    assert krippendorff_alpha([[0, 0, 1], [0, 1, 1]], "nominal").value == pytest.approx(4 / 9)
    # On two values every level is the same.
    assert krippendorff_alpha([[0, 0, 1], [0, 1, 1]], "interval").value == pytest.approx(4 / 9)
    assert krippendorff_alpha([[0, 0, 1], [0, 1, 1]], "ordinal").value == pytest.approx(4 / 9)


def test_kappa_by_hand() -> None:
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    # Observed agreement 0.7, expected 0.5 * 0.6 + 0.5 * 0.4.
    assert cohen_kappa(first, second).value == pytest.approx(0.4)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_is_sklearns(weights: Weights | None) -> None:
    rng = np.random.default_rng(5)
    first = rng.integers(0, 5, 200)
    second = np.clip(first + rng.integers(-1, 2, 200), 0, 4)
    ours = cohen_kappa(first, second, weights, resamples=10)
    assert ours.value == pytest.approx(cohen_kappa_score(first, second, weights=weights))


def test_intervals_are_the_same_every_time_and_hold_the_value() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(150)
    ratings = np.stack([truth, np.clip(truth + rng.normal(0, 0.2, 150), 0, 1)])
    one, other = krippendorff_alpha(ratings), krippendorff_alpha(ratings)
    assert one == other
    assert one.ci95 is not None
    assert one.value is not None
    assert one.ci95[0] < one.value < one.ci95[1]


def test_ratings_of_one_case_count_as_one_draw() -> None:
    rng = np.random.default_rng(2)
    case = np.repeat(rng.random(40), 5)
    ratings = np.stack([case, np.clip(case + np.repeat(rng.normal(0, 0.3, 40), 5), 0, 1)])
    alone = krippendorff_alpha(ratings).ci95
    together = krippendorff_alpha(ratings, groups=np.repeat(np.arange(40), 5)).ci95
    assert alone is not None
    assert together is not None
    assert together[1] - together[0] > 1.5 * (alone[1] - alone[0])


def test_what_is_undefined_is_unknown() -> None:
    assert krippendorff_alpha([[1, 1, 1], [1, 1, 1]]).value is None
    assert cohen_kappa([1, NAN], [NAN, 1]) == krippendorff_alpha([[1, NAN], [NAN, 1]])
    few = krippendorff_alpha([[0, 1, 0], [0, 1, 1]])
    assert few.value is not None
    assert few.ci95 is None


def test_the_text_says_who_judged_and_how_far_people_agree() -> None:
    human = np.tile([0.0, 0.5, 1.0], 20)
    told = str(Agreement.of(human, human, name="judge big", flip_rate=0.125))
    assert told == (
        "judge big, alpha 1.00 [1.00, 1.00] and weighted kappa 1.00 [1.00, 1.00] with people on 60 answers; "
        "12% of its comparisons changed when the sides were swapped"
    )
    assert str(Agreement("judge big")) == "judge big, not checked against people"
    unchecked = Agreement.of([0.5, NAN], [NAN, 1.0])
    assert not unchecked.checked


def test_units_count_by_the_inverse_of_their_chance() -> None:
    rng = np.random.default_rng(3)
    first = rng.integers(0, 3, 60).astype(float)
    second = np.where(rng.random(60) < 0.7, first, rng.integers(0, 3, 60))
    # Half the units drawn with a third of the chance stand for three each.
    chance = np.where(np.arange(60) < 30, 1 / 3, 1.0)
    thrice = np.concatenate([first[:30]] * 3 + [first[30:]]), np.concatenate([second[:30]] * 3 + [second[30:]])
    for weights in (None, "linear", "quadratic"):
        one, other = cohen_kappa(first, second, weights, chance=chance), cohen_kappa(*thrice, weights)
        assert one.value == pytest.approx(other.value)
        assert one.ci95 is not None
        assert one.ci95[0] < (one.value or 0.0) < one.ci95[1]
    for level in ("nominal", "ordinal", "interval"):
        one = krippendorff_alpha(np.stack([first, second]), level, chance=chance)
        # Alpha corrects for the size of the sample, which is not tripled.
        assert one.value == pytest.approx(krippendorff_alpha(np.stack(thrice), level).value, abs=0.01)
    assert cohen_kappa(first, second, chance=np.full(60, 0.2)) == cohen_kappa(first, second)
