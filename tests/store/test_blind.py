"""Blind batches in the store: verdicts that only add up, grades that follow them, and notes that can be purged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from routebench.errors import InputError
from routebench.grade.blind import draw_batch
from routebench.matrix import open_outcomes
from routebench.store import (
    BlindBatch,
    BlindVerdict,
    Store,
    add_batch,
    add_reveal,
    add_verdict,
    open_store,
    pack_suite,
    purge,
    read_batch,
    read_blind_verdicts,
    read_reveals,
    read_scores_of,
    read_showable,
    read_shown_texts,
    sql,
)
from routebench.store.migrations import MIGRATIONS
from routebench.suites import Suite
from tests.grade.blinded import AT, answered, suite_of


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return answered(tmp_path, n=12)


@pytest.fixture
def batch(store: Store, at: Callable[[], datetime]) -> BlindBatch:
    return draw_batch(store, suite_of(12), ("small", "large"), kind="score", n=20, seed=0, scale="1-5", at=at())


def say(
    store: Store, batch: BlindBatch, rater: str, place: int, word: str, score: float | None, note: str | None = None
) -> int:
    verdict = BlindVerdict(rater, place, 0, word, note, 1.5, AT + timedelta(seconds=place))
    return add_verdict(store, batch, verdict, graded=batch.items[place].left, score=score)


def grades(store: Store) -> list[tuple[str, float, str]]:
    frame = sql(store, "SELECT grader, score, rater FROM grades WHERE starts_with(grader, 'human') ORDER BY ALL")
    return [tuple(row) for row in frame.itertuples(index=False)]


def test_showable_answers_are_told_apart_without_their_texts(tmp_path: Path) -> None:
    store = answered(tmp_path, n=3, texts={("small", 0): "right 0, as 0 is \n", ("small", 1): None})
    frame = read_showable(store, "s", ["small", "large"])
    assert "text" not in frame
    marks = frame.set_index(["case_id", "model"])["mark"]
    assert marks["c000", "small"] == marks["c000", "large"]
    assert marks["c002", "small"] != marks["c002", "large"]
    assert marks.isna().sum() == 1
    assert set(read_showable(store, "s", ["large"])["model"]) == {"large"}


def test_calls_of_tools_are_equal_whatever_their_ids(tmp_path: Path) -> None:
    store = answered(tmp_path, n=2)
    with store.connect() as con:
        con.execute("""
            UPDATE completions SET text = NULL,
                tool_calls = '[{"id": "' || request_key || '", "name": "f", "arguments": "{\\"a\\": 1}"}]'
            WHERE starts_with(request_key, '0-')""")
    marks = read_showable(store, "s", ["small", "large"]).set_index(["case_id", "model"])["mark"]
    assert marks["c000", "small"] == marks["c000", "large"]
    assert marks["c001", "small"] != marks["c001", "large"]


def test_sealed_cases_are_not_shown(tmp_path: Path) -> None:
    store = answered(tmp_path, n=3)
    with store.connect() as con:
        con.execute("UPDATE cases SET split = 'sealed' WHERE case_id = 'c001'")
    assert set(read_showable(store, "s", ["small"])["case_id"]) == {"c000", "c002"}


def test_verdicts_are_added_and_the_last_one_counts(store: Store, batch: BlindBatch) -> None:
    assert [say(store, batch, "ann", 0, "2", 0.25), say(store, batch, "ann", 1, "3", 0.5, "odd")] == [1, 2]
    assert say(store, batch, "bob", 0, "4", 0.75) == 1
    assert say(store, batch, "ann", 0, "", None) == 3
    assert say(store, batch, "ann", 0, "5", 1.0) == 4
    found = read_blind_verdicts(store, batch.batch_id)
    assert [(one.rater, one.place, one.number, one.verdict, one.note) for one in found] == [
        ("ann", 1, 2, "3", "odd"),
        ("ann", 0, 4, "5", None),
        ("bob", 0, 1, "4", None),
    ]
    assert found[0].given_at == AT + timedelta(seconds=1)
    assert sql(store, "SELECT count(*) AS n FROM blind_verdicts")["n"].tolist() == [5]


def test_a_grade_follows_what_stands_and_the_mean_follows_the_grades(store: Store, batch: BlindBatch) -> None:
    say(store, batch, "ann", 0, "2", 0.25, "odd")
    say(store, batch, "bob", 0, "4", 0.75)
    assert grades(store) == [("human", 0.5, "ann, bob"), ("human#ann", 0.25, "ann"), ("human#bob", 0.75, "bob")]
    say(store, batch, "ann", 0, "", None)
    assert grades(store) == [("human", 0.75, "bob"), ("human#bob", 0.75, "bob")]
    say(store, batch, "bob", 0, "skip", None)
    assert grades(store) == []
    # Of a pair of models nothing is a grade.
    verdict = BlindVerdict("ann", 1, 0, "left", None, None, AT)
    assert add_verdict(store, batch, verdict) == 3
    assert grades(store) == []


def test_the_reveal_is_written_once_for_each_person(store: Store, batch: BlindBatch) -> None:
    add_reveal(store, batch.batch_id, "ann", AT)
    add_reveal(store, batch.batch_id, "ann", AT + timedelta(days=1))
    assert read_reveals(store, batch.batch_id) == {"ann": AT}


def test_scores_and_texts_of_what_is_shown(store: Store, batch: BlindBatch) -> None:
    scores = read_scores_of(store, batch)
    shown = {(item.case_id, item.left.request_key) for item in batch.items}
    assert set(zip(scores["case_id"], scores["request_key"], strict=True)) == shown
    assert set(scores["rater"]) == {"gpt-x"}
    texts = read_shown_texts(store, batch.batch_id)
    assert {key for key, _ in texts} == {key for _, key in shown}
    assert all(text and text.startswith(("right", "wrong")) for text in texts.values())


def test_purging_takes_the_notes_of_a_case(store: Store, batch: BlindBatch) -> None:
    for place in range(4):
        say(store, batch, "ann", place, "2", 0.25, f"about place {place}")
    case_id = batch.items[0].case_id
    purge(store, cases=[case_id])
    notes = {one.place: one.note for one in read_blind_verdicts(store, batch.batch_id)}
    assert notes[0] is None
    for place in range(1, 4):
        assert notes[place] == (None if batch.items[place].case_id == case_id else f"about place {place}")
    assert read_shown_texts(store, batch.batch_id)[batch.items[0].left.request_key, "r"] is None
    assert sql(store, "SELECT count(*) AS n FROM grades WHERE detail = 'about place 0'")["n"].tolist() == [0]


def test_the_matrix_knows_the_chance_of_what_was_drawn(store: Store, batch: BlindBatch) -> None:
    assert open_outcomes(store, "s").human_chance is None
    n_first = sum(item.first_place is None for item in batch.items)
    graded = [item for item in batch.items if item.first_place is None][:6]
    for item in graded:
        say(store, batch, "ann", item.place, "3", 0.5)
    outcomes = open_outcomes(store, "s")
    assert outcomes.human is not None
    assert outcomes.human_chance is not None
    assert (~np.isnan(outcomes.human)).sum() == 6
    at = {str(name): place for place, name in enumerate(outcomes.cases.ids)}
    for item in graded:
        model = outcomes.models.index(str(item.left.model))
        # How far the person came in a random order is a part of the chance.
        assert outcomes.human_chance[at[item.case_id], model, 0] == pytest.approx(item.chance * 6 / n_first)
    some = outcomes.take([at[graded[0].case_id]])
    assert some.human_chance is not None
    assert some.human_chance.shape == some.human.shape  # type: ignore[union-attr]


def test_a_batch_of_model_pairs_says_nothing_about_chances(store: Store, at: Callable[[], datetime]) -> None:
    suite = suite_of(12)
    pairs = draw_batch(store, suite, ("small", "large"), kind="pairwise", n=9, seed=0, scale="1-5", at=at())
    add_verdict(store, pairs, BlindVerdict("ann", 0, 0, "left", None, None, AT))
    scores = draw_batch(store, suite, ("small", "large"), kind="score", n=9, seed=0, scale="1-5", at=at())
    say(store, scores, "ann", 0, "3", 0.5)
    chance = open_outcomes(store, "s").human_chance
    assert chance is not None
    items = [item for item in scores.items if item.first_place is None]
    assert (~np.isnan(chance)).sum() == len(items)


def test_a_pack_keeps_the_chances(store: Store, batch: BlindBatch, tmp_path: Path) -> None:
    plain = pack_suite(store, "s", tmp_path / "plain.rbpack")
    for item in batch.items[:7]:
        say(store, batch, "ann", item.place, "3", 0.5)
    pack_suite(store, "s", tmp_path / "s.rbpack")
    ours, packed = open_outcomes(store, "s"), open_outcomes(open_store(tmp_path / "s.rbpack"), "s")
    assert ours.human_chance is not None
    assert packed.human_chance is not None
    order = [packed.models.index(name) for name in ours.models]
    np.testing.assert_allclose(packed.human_chance[:, order], ours.human_chance)
    np.testing.assert_allclose(packed.human[:, order], ours.human)  # type: ignore[index]
    assert packed.agreement == ours.agreement
    assert open_outcomes(open_store(plain.path), "s").human_chance is None


def test_an_older_store_gets_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "old.duckdb"
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path}' AS old (STORAGE_VERSION 'v1.5.0')")
        con.execute("USE old")
        con.execute("CREATE TABLE schema_version (version INTEGER)")
        for number, step in enumerate(MIGRATIONS[:4], start=1):
            step(con)
            con.execute("INSERT INTO schema_version VALUES (?)", [number])
        con.execute("USE memory")
        con.execute("DETACH old")
    assert read_blind_verdicts(Store(path), "none") == []


def test_verdicts_of_an_item_can_be_replaced(store: Store, batch: BlindBatch) -> None:
    say(store, batch, "ann", 2, "1", 0.0)
    say(store, batch, "ann", 2, "5", 1.0)
    assert grades(store) == [("human", 1.0, "ann"), ("human#ann", 1.0, "ann")]


def test_a_batch_that_is_there_already_is_left_whole(store: Store, batch: BlindBatch) -> None:
    # Somebody else drew under the same name when there were fewer answers, or more.
    add_batch(store, replace(batch, items=(*batch.items[:3], replace(batch.items[3], place=99))))
    assert read_batch(store, batch.batch_id) == batch


def test_nothing_is_added_behind_a_reveal(store: Store, batch: BlindBatch) -> None:
    say(store, batch, "ann", 0, "2", 0.25)
    add_reveal(store, batch.batch_id, "ann", AT)
    for word, score in (("5", 1.0), ("", None)):
        with pytest.raises(InputError, match="the batch is closed: its names were revealed"):
            say(store, batch, "ann", 0, word, score)
    assert [one.verdict for one in read_blind_verdicts(store, batch.batch_id)] == ["2"]
    assert grades(store) == [("human", 0.25, "ann"), ("human#ann", 0.25, "ann")]
    say(store, batch, "bob", 0, "4", 0.75)


def test_a_skip_takes_no_grade_of_another_batch(store: Store, batch: BlindBatch) -> None:
    other = draw_batch(store, suite_of(12), ("small", "large"), kind="score", n=26, seed=1, scale="1-5", at=AT)
    say(store, batch, "ann", 0, "4", 0.75)
    again = next(item.place for item in other.items if item.left == batch.items[0].left)
    say(store, other, "ann", again, "skip", None)
    assert grades(store) == [("human", 0.75, "ann"), ("human#ann", 0.75, "ann")]


def test_a_word_that_was_taken_back_is_no_way_that_was_come(store: Store, batch: BlindBatch) -> None:
    for place, word in ((0, "3"), (1, "3"), (1, "")):
        say(store, batch, "ann", place, word, 0.5 if word else None)
    n_first = sum(item.first_place is None for item in batch.items)
    chances = sql(store, "SELECT chance FROM blind_chances")["chance"]
    assert chances.tolist() == [pytest.approx(batch.items[0].chance / n_first)] * n_first


def test_pairs_with_a_reference_are_drawn_for_a_grade_only_where_a_judge_of_pairs_grades(tmp_path: Path) -> None:
    pairwise = [*suite_of(6, "pairwise")]
    suite = Suite("s", (*pairwise, *(replace(case, id=f"d{case.id}") for case in suite_of(6))))
    store = answered(tmp_path, suite=suite)
    pairs = draw_batch(store, suite, ("small", "large"), kind="pairwise", n=26, seed=0, scale="1-5", at=AT)
    assert pairs.opponent == "reference"
    add_verdict(store, pairs, BlindVerdict("ann", 0, 0, "tie", None, None, AT))
    drawn = {item.case_id for item in pairs.items}
    told = set(sql(store, "SELECT case_id FROM blind_chances")["case_id"])
    assert told == drawn & {case.id for case in pairwise} != drawn


def test_purging_old_answers_takes_the_notes_on_them(store: Store, batch: BlindBatch) -> None:
    with store.connect() as con:
        con.execute("UPDATE completions SET started_at = '2020-01-01' WHERE ends_with(request_key, '-small')")
    for place in range(4):
        say(store, batch, "ann", place, "2", 0.25, "about it")
    purge(store, before=datetime(2021, 1, 1, tzinfo=UTC))
    for one in read_blind_verdicts(store, batch.batch_id):
        small = batch.items[one.place].left.model == "small"
        assert one.note == (None if small else "about it")
    assert {batch.items[place].left.model for place in range(4)} == {"small", "large"}
