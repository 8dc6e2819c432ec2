"""What verdicts say: shares weighed back, a judge held against a person, a person against themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from routebench.evaluate.intervals import Interval
from routebench.evaluate.verdicts import Repeats, held, left_share, mean_scores, raters_agree, standings, verdict_of


def pairs(values: list[float], **columns: object) -> pd.DataFrame:
    n = len(values)
    frame = {
        "left": ["a"] * n,
        "right": ["b"] * n,
        "value": values,
        "weight": [1.0] * n,
        "group": [f"g{i}" for i in range(n)],
        "judge": [np.nan] * n,
    }
    return pd.DataFrame({**frame, **columns})


def test_ties_count_half_and_sides_do_not_matter() -> None:
    frame = pairs([1.0] * 20 + [0.5] * 10 + [0.0] * 10)
    (one,) = standings(frame, ["a", "b"])
    assert (one.n, one.wins, one.ties, one.losses) == (40, 20, 10, 10)
    assert one.preferred.mean == pytest.approx(0.625)
    assert (one.won.mean, one.tied.mean, one.lost.mean) == (0.5, 0.25, 0.25)
    assert one.won.method == "Wilson"
    mirrored = frame.assign(left="b", right="a", value=1 - frame["value"])
    assert standings(mirrored, ["a", "b"]) == (one,)


def test_an_item_counts_for_those_that_it_stands_for() -> None:
    # One in two of 20 doubtful pairs, one in ten of 200 others.
    frame = pairs([0.0] * 10 + [1.0] * 20, weight=[2.0] * 10 + [10.0] * 20)
    (one,) = standings(frame, ["a", "b"])
    assert one.preferred.mean == pytest.approx(200 / 220)
    assert one.preferred.ci95 is not None
    assert one.preferred.ci95[0] < 200 / 220 < one.preferred.ci95[1]


def test_intervals_hold_what_they_promise_under_unequal_chances() -> None:
    rng = np.random.default_rng(0)
    doubtful = np.arange(400) < 60
    truth = np.where(doubtful, 0.35, 0.75)
    chance = np.where(doubtful, 30 / 60, 24 / 340)
    held_by = weighted = 0
    for _ in range(300):
        drawn = np.concatenate([rng.choice(60, 30, replace=False), 60 + rng.choice(340, 24, replace=False)])
        value = (rng.random(len(drawn)) < truth[drawn]).astype(float)
        frame = pairs(value.tolist(), weight=1 / chance[drawn])
        (one,) = standings(frame, ["a", "b"])
        assert one.preferred.ci95 is not None
        held_by += one.preferred.ci95[0] <= truth.mean() <= one.preferred.ci95[1]
        weighted += one.preferred.mean
    assert weighted / 300 == pytest.approx(truth.mean(), abs=0.02)
    assert held_by / 300 > 0.9


def test_more_than_two_models_stand_against_all_others_and_each_other() -> None:
    frame = pd.concat(
        [pairs([1.0] * 5), pairs([1.0] * 5).assign(right="c"), pairs([0.0] * 5).assign(left="b", right="c")]
    )
    found = standings(frame, ["a", "b", "c"])
    assert [(one.name, one.against, one.n) for one in found] == [
        *(("a", "all others", 10), ("b", "all others", 10), ("c", "all others", 10)),
        *(("a", "b", 5), ("a", "c", 5), ("b", "c", 5)),
    ]
    assert [one.wins for one in found] == [10, 0, 5, 5, 5, 0]


@pytest.mark.parametrize(
    ("low", "high", "n", "verdict"),
    [(0.55, 0.7, 40, "better"), (0.3, 0.45, 40, "worse"), (0.4, 0.6, 40, "cannot_tell"), (0.9, 1.0, 29, "too_few")],
)
def test_a_side_is_preferred_only_with_an_interval_beside_a_half(low: float, high: float, n: int, verdict: str) -> None:
    assert verdict_of(Interval((low + high) / 2, low, high, "t"), n) == verdict


def test_too_few_clusters_have_no_interval_and_no_verdict() -> None:
    frame = pairs([1.0] * 40, group=["one"] * 20 + ["two"] * 20)
    (one,) = standings(frame, ["a", "b"])
    assert one.preferred.ci95 is None
    assert one.verdict == "too_few"


def test_a_judge_is_held_against_the_person_where_both_said_something() -> None:
    frame = pairs([1.0, 0.0] * 20, judge=[1.0, 0.0] * 15 + [0.0, 1.0] * 3 + [np.nan] * 4)
    one = held(frame, pairs=True, grades=False)
    assert one is not None
    assert one.same is not None
    assert (one.n, one.above) == (36, None)
    assert one.same.mean == pytest.approx(30 / 36)
    assert one.kappa.value == pytest.approx(1 - (6 / 36) / 0.5)
    assert one.kappa.ci95 is not None
    scores = held(frame.assign(judge=frame["value"] * 0.5 + 0.25), pairs=False, grades=True)
    assert scores is not None
    assert scores.same is None
    assert scores.above is not None
    assert scores.above.mean == pytest.approx(0.0)
    assert held(pairs([1.0]), pairs=True, grades=False) is None


def test_agreement_is_weighed_back_too() -> None:
    # They agree wherever there is no doubt, which is nine tenths of all.
    doubt, plain = [1.0, 0.0] * 10, [1.0, 0.0] * 5
    frame = pairs(doubt + plain, judge=[0.5] * 20 + plain, weight=[1.0] * 20 + [18.0] * 10)
    weighed, flat = held(frame, pairs=True, grades=False), held(frame.assign(weight=1.0), pairs=True, grades=False)
    assert weighed is not None
    assert flat is not None
    assert weighed.same is not None
    assert flat.same is not None
    assert (weighed.same.mean, flat.same.mean) == (pytest.approx(0.9), pytest.approx(1 / 3))
    assert weighed.kappa.value is not None
    assert flat.kappa.value is not None
    assert weighed.kappa.value > flat.kappa.value


def test_scores_have_a_mean_for_each_model() -> None:
    frame = pairs([0.0, 0.25, 0.5, 1.0], left=["a", "a", "b", "b"], weight=[3.0, 1.0, 1.0, 1.0])
    found = mean_scores(frame, ["a", "b", "c"])
    assert {name: (n, mean.mean) for name, (n, mean) in found.items()} == {"a": (2, 0.0625), "b": (2, 0.75)}


def test_a_liking_for_a_side_shows_in_what_was_decided() -> None:
    frame = pd.DataFrame({"to_left": [1.0] * 30 + [0.5] * 10, "group": [f"g{i}" for i in range(40)]})
    found = left_share(frame)
    assert found is not None
    assert (found[0], found[1].mean) == (30, 1.0)
    assert left_share(frame.assign(to_left=0.5)) is None


def test_people_are_compared_two_by_two_where_both_said_something() -> None:
    values = pd.DataFrame({"ann": [1.0, 0.0] * 10, "bob": [1.0, 0.0] * 9 + [np.nan, 1.0], "cy": [np.nan] * 20})
    (row,) = raters_agree(values).to_dict("records")
    assert (row["rater"], row["other"], row["n"], row["same"]) == ("ann", "bob", 19, 18)
    assert row["alpha"].value < 1
    assert raters_agree(values[["ann"]]).empty


def test_what_was_never_repeated_has_no_interval() -> None:
    assert Repeats(0, 0).ci95 is None
    low, high = Repeats(4, 5).ci95 or (0.0, 0.0)
    assert low < 0.8 < high
