"""A person before a blind batch: what is shown, saved, taken back, resumed, and what it amounts to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from routebench.dash.grading.shown import Shown
from routebench.dash.grading.state import UNLOCKED_AT, Sitting
from routebench.errors import ConfigError, InputError, OutcomesError, StoreError
from routebench.packing import pack
from routebench.store import Store, add_completions, open_store, purge, sql
from tests.grade.blinded import answered, said, suite_of

N = 80


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s

    def now(self) -> datetime:
        return datetime(2026, 11, 28, 12, tzinfo=UTC) + timedelta(seconds=self.s)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return answered(tmp_path, n=N)


def sit(store: Store, rater: str = "anna", clock: Clock | None = None, **settings: Any) -> Sitting:
    clock = clock or Clock()
    suite, models = settings.pop("suite", suite_of(N)), settings.pop("models", ("small", "large"))
    return Sitting(store, suite, models, rater=rater, now=clock.now, clock=clock, **settings)


def right_side(shown: Shown) -> str:
    """What somebody says who knows that right answers are right."""
    assert shown.right is not None
    return "left" if shown.left.startswith("right") else "right"


def places(sitting: Sitting) -> Iterator[Shown]:
    while (shown := sitting.shown) is not None:
        yield shown


def test_nothing_that_is_shown_tells_a_name_a_cost_or_a_score(store: Store) -> None:
    sitting = sit(store)
    shown = sitting.shown
    assert shown is not None
    i = int(shown.prompt.split()[-1])
    assert {shown.left, shown.right} == {said("small", i), said("large", i)}
    assert shown.reference == f"right {i}"
    assert not [secret for secret in ("small", "large", "0.9", "gpt-x") if secret in repr(shown)]
    assert set(sitting.names.values()) == {"model 1", "model 2"}


def test_a_word_is_saved_at_once_with_the_time_it_took(store: Store) -> None:
    clock = Clock()
    sitting = sit(store, clock=clock)
    clock.s = 4.25
    assert sitting.say("left", note=" close call ") == 0
    row = sql(store, "SELECT * FROM blind_verdicts").iloc[0]
    assert (row["rater"], row["place"], row["verdict"], row["note"], row["taken_s"]) == (
        "anna",
        0,
        "left",
        "close call",
        4.25,
    )
    clock.s = 6.25
    sitting.say("tie")
    assert sitting.progress.left_s == pytest.approx(58 * (4.25 + 2.0) / 2)
    assert (sitting.progress.done, sitting.progress.ties, sitting.progress.total) == (2, 1, 60)


def test_a_new_kernel_goes_on_behind_the_last_word(store: Store) -> None:
    first = sit(store)
    for _ in range(3):
        first.say("tie")
    again = sit(Store(store.path))
    assert (again.place, again.shown) == (3, first.shown)
    assert sit(store, rater="bob").place == 0
    assert sit(store, seed=1).place == 0


def test_undo_goes_back_as_often_as_there_are_words(store: Store) -> None:
    sitting = sit(store)
    with pytest.raises(InputError, match="nothing to take back"):
        sitting.undo()
    for word in ("left", "skip", "tie"):
        sitting.say(word)
    assert [sitting.undo(), sitting.undo()] == [2, 1]
    assert sitting.place == 1
    assert sit(store).place == 1
    sitting.say("right")
    assert sitting.mine[1].verdict == "right"
    assert sitting.place == 2


def test_a_word_that_is_none_changes_nothing(store: Store) -> None:
    sitting = sit(store)
    with pytest.raises(InputError, match=r"'lft' is no verdict here \(did you mean 'left'\?\); say left"):
        sitting.say("lft")
    assert sitting.place == 0
    for word, kind in (("3", "pairwise"), ("left", "score"), ("0", "score")):
        with pytest.raises(InputError):
            sit(store, kind=kind).say(word)


def test_results_are_locked_until_they_no_longer_lead(store: Store) -> None:
    sitting = sit(store)
    for _ in range(UNLOCKED_AT - 1):
        sitting.say("tie")
    assert not sitting.unlocked
    assert sitting.result is None
    with pytest.raises(InputError, match="19 are graded; names are told from 20 on"):
        sitting.reveal()
    sitting.say("tie")
    assert sitting.result is not None
    with pytest.raises(InputError, match="ends the batch"):
        sitting.items()
    small = sit(store, n=5)
    for _ in range(5):
        small.say("tie")
    assert small.result is not None


def test_somebody_who_is_right_and_a_judge_who_is_right_agree(store: Store) -> None:
    clock = Clock()
    sitting = sit(store, clock=clock)
    for shown in places(sitting):
        clock.s += 3
        sitting.say(right_side(shown))
    hidden = sitting.result
    assert hidden is not None
    assert {one.name for one in hidden.standings} == {"model 1"}
    clock.s = 500
    sitting.reveal()
    result = sitting.result
    assert result is not None
    assert result.revealed_at == clock.now()
    (one,) = result.standings
    assert (one.name, one.against, one.n, one.wins, one.verdict) == ("large", "small", 54, 54, "better")
    assert result.held is not None
    assert result.held.same is not None
    assert (result.held.n, result.held.kappa.value, result.held.same.mean) == (54, 1.0, 1.0)
    assert result.held.above is None
    assert (result.repeats.same, result.repeats.n, result.taken_s, result.n_graded) == (6, 6, 3.0, 60)
    assert result.left is not None
    assert result.left[0] == 60
    assert result.left[1].ci95 is not None
    assert result.left[1].ci95[0] < 0.5 < result.left[1].ci95[1]
    assert result.as_dict()["standings"][0]["preferred"]["mean"] == 1.0
    assert set(sitting.items()["left"]) == {"small", "large"}


def test_somebody_who_only_looks_at_the_place_is_found_out(store: Store) -> None:
    sitting = sit(store)
    for _ in places(sitting):
        sitting.say("left_slightly")
    result = sitting.result
    assert result is not None
    assert result.left is not None
    assert result.left[1].mean == 1.0
    assert result.repeats.same == 0
    assert result.held is not None
    assert abs(result.held.kappa.value or 0.0) < 0.35
    assert result.standings[0].verdict == "cannot_tell"


def test_the_reveal_ends_the_batch_for_one_person_and_for_good(store: Store) -> None:
    sitting = sit(store)
    for _ in range(20):
        sitting.say("tie")
    sitting.reveal()
    for refused in (lambda: sitting.say("left"), sitting.undo):
        with pytest.raises(InputError, match="the batch is closed"):
            refused()
    assert sit(store).revealed_at == sitting.revealed_at
    assert sit(store, rater="bob").revealed_at is None


def test_scores_are_grades_of_their_answers(store: Store) -> None:
    sitting = sit(store, kind="score", scale="0-9")
    for shown in places(sitting):
        sitting.say("9" if shown.left.startswith("right") else "3")
    sitting.reveal()
    result = sitting.result
    assert result is not None
    assert result.scores["large"][1].mean == 1.0
    assert result.scores["small"][1].mean == pytest.approx(1 / 3)
    frame = sql(
        store,
        "SELECT DISTINCT model, g.score FROM grades g JOIN cells USING (case_id, request_key) WHERE g.grader = 'human#anna' ORDER BY ALL",
    )
    assert frame["score"].tolist() == [1.0, pytest.approx(1 / 3)]
    means = sql(store, "SELECT count(*) AS n, min(rater) AS rater FROM grades WHERE grader = 'human'").iloc[0]
    assert (means["n"], means["rater"]) == (54, "anna")
    assert result.held is not None
    assert result.held.above is not None
    # The judge says 0.9 and 0.1: 0.1 too little for one half, 0.233 too little for the other.
    assert -0.24 < result.held.above.mean < -0.09


def test_pairs_with_the_reference_are_grades_on_the_judge_s_scale(tmp_path: Path) -> None:
    suite = suite_of(40, "pairwise")
    store = answered(
        tmp_path, suite=suite, scores={("small", i): 0.0 for i in range(40)} | {("large", i): 0.5 for i in range(40)}
    )
    sitting = sit(store, suite=suite)
    shown = sitting.shown
    assert shown is not None
    assert shown.reference is None
    for one in places(sitting):
        answer_left = "as" in one.left or "by" in one.left
        good = "as" in one.left or "as" in str(one.right)
        sitting.say("tie" if good else "right" if answer_left else "left")
    sitting.reveal()
    result = sitting.result
    assert result is not None
    assert [(one.name, one.against, one.preferred.mean) for one in result.standings] == [
        *(("large", "reference", 0.5), ("small", "reference", 0.0))
    ]
    assert result.held is not None
    assert result.held.above is not None
    assert (result.held.kappa.value, result.held.above.mean) == (1.0, 0.0)
    assert set(sql(store, "SELECT DISTINCT score FROM grades WHERE grader = 'human'")["score"]) == {0.0, 0.5}
    assert set(sitting.items()["right"]) == {"reference"}


def test_two_models_beside_each_other_leave_no_grade(store: Store) -> None:
    sitting = sit(store)
    sitting.say("left")
    assert sql(store, "SELECT count(*) AS n FROM grades WHERE starts_with(grader, 'human')")["n"].tolist() == [0]


def test_two_people_with_one_seed_are_shown_the_same_and_compared(store: Store) -> None:
    anna, bob = sit(store), sit(store, rater="bob")
    for shown in places(anna):
        anna.say(right_side(shown))
    for number, shown in enumerate(places(bob)):
        bob.say("tie" if number % 10 == 0 else right_side(shown))
    anna.refresh()
    result = anna.result
    assert result is not None
    (row,) = result.others.to_dict("records")
    assert (row["rater"], row["other"], row["n"]) == ("anna", "bob", 54)
    assert 45 <= row["same"] < 54
    assert result.as_dict()["others"][0]["kappa"]["n"] == 54


def test_without_a_judge_nothing_is_held_against_anything(tmp_path: Path) -> None:
    suite = suite_of(30, "none")
    scores = {(model, i): None for model in ("small", "large") for i in range(30)}
    sitting = sit(answered(tmp_path, suite=suite, scores=scores), suite=suite)
    for shown in places(sitting):
        sitting.say(right_side(shown))
    result = sitting.result
    assert result is not None
    assert (result.held, result.judged_by) == (None, None)
    assert result.as_dict()["judge"] is None


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({}, "has no answers yet; run it first"),
        ({"texts": {(model, i): None for model in ("small", "large") for i in range(4)}}, "no text is kept"),
        (
            {"texts": {(model, i): "same" for model in ("small", "large") for i in range(4)}},
            r"identical 4\); give other",
        ),
        ({"models": ("small",)}, "pairs take two models, and here is one"),
    ],
)
def test_an_empty_batch_says_why_and_what_helps(tmp_path: Path, kept: dict[str, Any], told: str) -> None:
    suite = suite_of(4)
    store = answered(tmp_path, suite=suite, **kept)
    if not kept:
        with store.connect() as con:
            con.execute("DELETE FROM completions")
    with pytest.raises(OutcomesError, match=told):
        sit(store, suite=suite, models=kept.get("models", ("small", "large")))
    # Nothing stands in the way of a batch once there are answers.
    if not kept:
        rows = [
            {"request_key": f"{i}-{model}", "run_id": "r2", "status": "ok", "text": said(model, i), "attempts": 1}
            for i in range(4)
            for model in ("small", "large")
        ]
        add_completions(store, rows)
        assert len(sit(store, suite=suite).batch.items) == 4


def test_a_case_without_a_reference_has_none_to_compare_with(tmp_path: Path) -> None:
    from routebench.suites import Suite
    from tests.conftest import make_case

    suite = Suite("s", tuple(make_case(f"c{i:03}", f"prompt {i}", None, "pairwise") for i in range(4)))
    with pytest.raises(OutcomesError, match="no case has a reference"):
        sit(answered(tmp_path, suite=suite), suite=suite)


def test_a_pack_is_refused(tmp_path: Path, store: Store) -> None:
    pack(store, "s", tmp_path / "s.rbpack")
    with pytest.raises(StoreError, match="is a pack, which is only read"):
        sit(open_store(tmp_path / "s.rbpack"))


@pytest.mark.parametrize("name", ["", "a#b", "a,b", " a", "x" * 65, "a\nb"])
def test_a_name_that_would_break_the_book_of_grades_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a name"):
        sit(store, rater=name)


def test_an_answer_that_was_purged_can_be_skipped(store: Store) -> None:
    sitting = sit(store)
    purge(store, cases=[sitting.batch.items[0].case_id])
    again = sit(store)
    with pytest.raises(OutcomesError, match="was purged after the batch was drawn; skip it"):
        _ = again.shown
    again.say("skip")
    assert again.shown is not None


def test_a_case_that_the_suite_lost_keeps_its_verdict(store: Store) -> None:
    sitting = sit(store, n=30)
    for shown in places(sitting):
        sitting.say(right_side(shown))
    from routebench.suites import Suite

    lost = sitting.batch.items[0].case_id
    fewer = Suite("s", tuple(case for case in suite_of(N) if case.id != lost))
    result = sit(store, n=30, suite=fewer).result
    assert result is not None
    assert result.standings[0].n == 27
    assert result.held is not None
    assert result.held.n == 27


def test_silent_repeats_are_in_no_estimate(store: Store) -> None:
    sitting = sit(store)
    for shown in places(sitting):
        item = sitting.batch.items[shown.place]
        sitting.say("both_bad" if item.first_place is not None else right_side(shown))
    result = sitting.result
    assert result is not None
    assert result.standings[0].ties == 0
    assert (result.repeats.same, result.repeats.n, result.n_both_bad) == (0, 6, 6)


def test_names_told_of_one_batch_are_not_those_of_another(store: Store) -> None:
    told = {tuple(sit(store, n=n).names.items()) for n in range(20, 30)}
    assert len(told) == 2


def test_what_was_drawn_more_often_counts_less(tmp_path: Path) -> None:
    # Of 80 pairs the judge is in doubt about 40, and two thirds of what is shown come from them.
    scores: dict[tuple[str, int], float | None] = {(model, i): 0.5 for model in ("small", "large") for i in range(40)}
    sitting = sit(answered(tmp_path, n=N, scores=scores), n=40)
    for shown in places(sitting):
        doubtful = sitting.batch.items[shown.place].doubtful
        sitting.say("tie" if doubtful else right_side(shown))
    result = sitting.result
    assert result is not None
    (one,) = result.standings
    assert one.ties == 2 * one.n / 3
    assert one.tied.mean == pytest.approx(0.5)
