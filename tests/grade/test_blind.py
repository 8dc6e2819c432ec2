"""Drawing a blind batch: chances, order, sides, repeats, and what a word is worth."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from routebench.errors import ConfigError
from routebench.grade.blind import (
    Against,
    Kind,
    Units,
    draw,
    draw_batch,
    find_units,
    grade_of,
    mirrored,
    score_on,
    words_of,
)
from routebench.grade.blind.units import NEAR
from routebench.store import BlindAnswer, BlindBatch, read_batch
from routebench.suites import Suite
from tests.conftest import make_case
from tests.grade.blinded import answered, suite_of

MODELS = ("small", "mid", "large")


def showable(n: int = 30, models: tuple[str, ...] = MODELS, **fields: Any) -> pd.DataFrame:
    rows = [
        {
            "case_id": f"c{i:03}",
            "model": model,
            "request_key": f"{i}-{model}",
            "run_id": "r",
            "status": "ok",
            "mark": f"{i}-{model}",
            "score": 1.0,
            "detail": None,
            "category": "even" if i % 2 == 0 else "odd",
            "group_key": f"c{i:03}",
            "weight": 1.0,
            "grader": "exact",
        }
        for i in range(n)
        for model in models
    ]
    return pd.DataFrame(rows).assign(**fields)


def units(n: int = 30, doubtful: Any = False, models: tuple[str, ...] = MODELS[:2]) -> Units:
    found = find_units(showable(n, models), "pairwise", models, [])
    return Units(found.table.assign(doubtful=doubtful), found.opponent, found.counts)


def test_pairs_are_of_two_models_on_one_case_and_equal_answers_are_none() -> None:
    frame = showable(4)
    frame.loc[frame["model"] == "mid", "mark"] = frame.loc[frame["model"] == "small", "mark"].to_numpy()
    frame.loc[frame["case_id"] == "c000", "status"] = "error"
    frame.loc[(frame["case_id"] == "c001") & (frame["model"] == "large"), "mark"] = None
    found = find_units(frame, "pairwise", MODELS, [])
    assert found.counts == {"no_answer": 3, "no_text": 1, "identical": 3, "drawable": 4, "doubtful": 0}
    assert set(zip(found.table["one_model"], found.table["other_model"], strict=True)) == {
        ("small", "large"),
        ("mid", "large"),
    }
    assert "c000" not in set(found.table["case_id"])


def test_answers_are_paired_with_the_reference_unless_they_are_equal() -> None:
    frame = showable(3, ("small",), grader="pairwise")
    cases = [
        make_case("c000", target="the incumbent's"),
        make_case("c001", target="its own "),
        make_case("c002", target=None),
    ]
    frame.loc[frame["case_id"] == "c001", "mark"] = hashlib.md5(b"its own", usedforsecurity=False).hexdigest()
    found = find_units(frame, "pairwise", ("small",), cases, "reference")
    assert found.opponent == "reference"
    left_out = {"no_answer": 0, "no_text": 0, "no_reference": 1, "identical": 1}
    assert found.counts == left_out | {"drawable": 1, "doubtful": 0}
    assert find_units(frame, "pairwise", ("small",), cases).opponent == "model"


def test_a_judge_is_in_doubt_where_it_says_neither_or_contradicts_itself() -> None:
    frame = showable(6, ("small",), grader="judge")
    frame["score"] = [0.0, 0.5, np.nan, 1.0, 0.7, 0.8]
    frame["detail"] = [None, None, "no verdict", "3 votes from 0.2 to 0.9", None, "2 votes from 0.8 to 0.8"]
    assert find_units(frame, "score", MODELS, []).table["doubtful"].tolist() == [False, True, True, True, True, False]
    frame = showable(4, ("small",), grader="pairwise")
    frame["score"], frame["detail"] = (
        [1.0, 0.5, 1.0, 0.0],
        [None, None, "1 of 1 pairs changed when flipped", "0 of 1 pa"],
    )
    cases = [make_case(case_id, target="t") for case_id in frame["case_id"]]
    found = find_units(frame, "pairwise", MODELS, cases, "reference")
    assert found.table["doubtful"].tolist() == [False, True, True, False]
    # Of two models: where their scores are equal, or a point of ten apart.
    frame = showable(3, ("small", "large"), grader="judge")
    frame["score"] = [0.4, 0.4 + NEAR, 0.1, 0.9, np.nan, 0.9]
    assert find_units(frame, "pairwise", MODELS, []).table["doubtful"].tolist() == [True, False, True]
    # What a function scores leaves no doubt.
    assert not find_units(showable(3, score=0.5), "score", MODELS, []).table["doubtful"].any()


def test_everybody_with_the_same_seed_is_shown_the_same() -> None:
    assert draw(units(100), 60, 3) == draw(units(100), 60, 3)
    assert draw(units(100), 60, 3) != draw(units(100), 60, 4)


def test_a_tenth_is_shown_again_later_with_its_sides_swapped() -> None:
    items = draw(units(100), 60, 0)
    again = [item for item in items if item.first_place is not None]
    assert (len(items), len(again)) == (60, 6)
    for item in again:
        assert item.first_place is not None
        first = items[item.first_place]
        assert (item.case_id, item.left, item.right) == (first.case_id, first.right, first.left)
        assert item.place - first.place > 5
        assert item.chance == first.chance
    assert [item.place for item in items] == list(range(60))
    sides = Counter(item.left.model for item in items if item.first_place is None)
    assert sides == {"small": 27, "mid": 27}


@pytest.mark.parametrize("n_units", [1, 2, 5, 9, 10, 29, 53, 54, 55])
def test_nothing_but_repeats_is_shown_twice(n_units: int) -> None:
    items = draw(units(n_units), 60, 1)
    first = [item for item in items if item.first_place is None]
    assert len({item.case_id for item in first}) == len(first) == min(n_units, 54)
    assert len(items) <= 60
    assert all(item.chance == pytest.approx(len(first) / n_units) for item in first)


def test_two_thirds_come_from_doubt_as_far_as_there_is_so_much() -> None:
    def of_both(doubtful: Any, n_units: int = 300) -> tuple[int, int]:
        items = [item for item in draw(units(n_units, doubtful), 60, 0) if item.first_place is None]
        return sum(item.doubtful for item in items), sum(not item.doubtful for item in items)

    assert of_both(np.arange(300) < 150) == (36, 18)
    assert of_both(np.arange(300) < 10) == (10, 44)
    assert of_both(np.arange(300) < 295) == (49, 5)
    assert of_both(np.zeros(300, dtype=bool)) == (0, 54)


def test_units_are_drawn_with_the_chance_that_is_written_down() -> None:
    pool = units(40, np.arange(40) < 10)
    drawn: Counter[str] = Counter()
    chance: dict[str, float] = {}
    for seed in range(400):
        for item in draw(pool, 20, seed):
            if item.first_place is None:
                drawn[item.case_id] += 1
                chance[item.case_id] = item.chance
    assert len(chance) == 40
    # 18 different ones: all 10 in doubt (two thirds would be 12), 8 of 30 others.
    assert {round(one, 4) for one in chance.values()} == {1.0, round(8 / 30, 4)}
    for case_id, one in chance.items():
        # Five standard errors of a share over 400 draws.
        assert abs(drawn[case_id] / 400 - one) <= 5 * np.sqrt(one * (1 - one) / 400) + 1e-9


def test_the_weights_undo_what_doubt_was_preferred_by() -> None:
    pool = units(200, np.arange(200) < 40)
    value = {f"c{i:03}": 0.0 if i < 40 else 1.0 for i in range(200)}
    weighted, plain = [], []
    for seed in range(200):
        items = [item for item in draw(pool, 60, seed) if item.first_place is None]
        values = np.array([value[item.case_id] for item in items])
        weighted.append(np.average(values, weights=[1 / item.chance for item in items]))
        plain.append(values.mean())
    assert np.mean(weighted) == pytest.approx(0.8, abs=1e-9)
    assert np.mean(plain) < 0.5


def test_a_batch_is_stored_once_and_opened_again(tmp_path: Path, at: Callable[[], datetime]) -> None:
    store, suite = answered(tmp_path, ("small", "large"), n=12), suite_of(12)
    settings: dict[str, Any] = {"kind": "pairwise", "n": 60, "seed": 0, "scale": "1-5", "at": at()}
    batch = draw_batch(store, suite, ("small", "large"), **settings)
    assert read_batch(store, batch.batch_id) == batch
    assert draw_batch(store, suite, ("large", "small"), **settings) == batch
    assert draw_batch(store, suite, ("small", "large"), **{**settings, "seed": 1}) != batch
    for wrong in ({"kind": "pairs"}, {"scale": "1-10"}, {"n": 0}, {"seed": -1}, {"against": "judge"}):
        with pytest.raises(ConfigError):
            draw_batch(store, suite, ("small", "large"), **{**settings, **wrong})
    assert read_batch(store, "nothing") is None


def test_a_batch_of_scores_and_one_against_references_come_back_whole(
    tmp_path: Path, at: Callable[[], datetime]
) -> None:
    store, suite = answered(tmp_path, ("small", "large"), n=12), suite_of(12)
    for kind, against in (("score", None), ("pairwise", "reference")):
        batch = draw_batch(
            store,
            suite,
            ("small",),
            kind=kind,
            n=9,
            seed=0,
            scale="0-9",
            at=at(),
            against=against,  # type: ignore[arg-type]
        )
        assert len(batch.items) == 9
        assert read_batch(store, batch.batch_id) == batch
    assert {item.left.model or item.right.model for item in batch.items if item.right} == {"small"}
    assert {BlindAnswer(None)} <= {side for item in batch.items for side in (item.left, item.right)}


def test_steps_of_a_scale_are_scores_from_0_to_1() -> None:
    assert [score_on("1-5", str(step)) for step in (1, 3, 5)] == [0.0, 0.5, 1.0]
    assert score_on("0-9", "9") == 1.0
    assert score_on("1-5", "skip") is None
    assert [mirrored(word) for word in ("left", "right_slightly", "tie", "both_bad", "skip")] == [
        *("right", "left_slightly", "tie", "both_bad", "skip")
    ]


def test_a_pair_is_a_grade_only_against_the_reference_of_a_pairwise_judge(
    tmp_path: Path, at: Callable[[], datetime]
) -> None:
    store, suite = answered(tmp_path, ("small", "large"), n=12), suite_of(12)
    batch = draw_batch(
        store, suite, ("small",), kind="pairwise", n=9, seed=0, scale="1-5", at=at(), against="reference"
    )
    left = next(item for item in batch.items if item.left.model == "small" and item.first_place is None)
    right = next(item for item in batch.items if item.left.model is None and item.first_place is None)
    judged, plain = make_case("c", grader="pairwise"), make_case("c")
    assert [grade_of(batch, left, word, judged) for word in ("left", "right_slightly", "both_bad")] == [
        *((left.left, 1.0), (left.left, 0.0), (left.left, 0.5))
    ]
    assert grade_of(batch, right, "left", judged) == (right.right, 0.0)
    assert grade_of(batch, right, "", judged) == grade_of(batch, right, "skip", judged) == (right.right, None)
    assert grade_of(batch, left, "left", plain) is None
    no_worse = make_case("c", grader="pairwise", options={"verdict": "no_worse"})
    assert [grade_of(batch, left, word, no_worse) for word in ("left", "tie", "right")] == [
        *((left.left, 1.0), (left.left, 1.0), (left.left, 0.0))
    ]
    models = draw_batch(store, suite, ("small", "large"), kind="pairwise", n=9, seed=0, scale="1-5", at=at())
    assert grade_of(models, models.items[0], "left", judged) is None
    scores = draw_batch(store, suite, ("small",), kind="score", n=10, seed=0, scale="1-5", at=at())
    assert grade_of(scores, scores.items[0], "4", plain) == (scores.items[0].left, 0.75)
    again = next(item for item in scores.items if item.first_place is not None)
    assert grade_of(scores, again, "4", plain) is None
    assert words_of(scores) == ("1", "2", "3", "4", "5", "skip")


def test_settings_that_mean_the_same_are_one_batch_and_others_are_drawn_apart(
    tmp_path: Path, at: Callable[[], datetime]
) -> None:
    models = ("small", "large")
    suite = suite_of(60)
    store = answered(tmp_path, models, suite=suite)

    def batch(
        of: Suite = suite, kind: Kind = "score", scale: str = "1-5", against: Against | None = None
    ) -> BlindBatch:
        return draw_batch(store, of, models, kind=kind, n=20, seed=0, scale=scale, at=at(), against=against)

    assert batch() == batch(against="reference")
    assert batch(kind="pairwise") == batch(kind="pairwise", scale="0-9", against="model")
    judged = suite_of(60, "pairwise")
    assert batch(judged, "pairwise") == batch(judged, "pairwise", against="reference")
    # Who was told the names of one must not find the same answers in the same order in the next.
    assert [item.left for item in batch().items] != [item.left for item in batch(scale="0-9").items]


def test_neither_order_nor_sides_tell_what_is_shown() -> None:
    pool = units(300, np.arange(300) < 150)
    doubtful_early, left = [], np.zeros(60)
    for seed in range(200):
        items = draw(pool, 60, seed)
        doubtful_early.append(np.mean([item.doubtful for item in items[:20]]))
        left += [item.left.model == "small" for item in items]
    # Two thirds at any place, and each model on each side half of the time.
    assert np.mean(doubtful_early) == pytest.approx(2 / 3, abs=0.03)
    assert (np.abs(left / 200 - 0.5) < 0.18).all()
