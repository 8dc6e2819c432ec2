"""What models said is read where somebody looks at answers: those behind the matrix, and none whose text is gone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from routebench.matrix import open_outcomes
from routebench.store import (
    Cell,
    Store,
    add_completions,
    add_grades,
    open_store,
    pack_suite,
    purge,
    read_case_answers,
    read_said,
    register,
    sql,
)
from routebench.suites import content_hash
from routebench.types import Answer, GradedAnswer, ToolCall
from tests.conftest import make_case, make_model

EARLY, LATE = (datetime.fromisoformat(day) for day in ("2026-01-01", "2026-06-01"))
CALLS = [{"id": "1", "name": "f", "arguments": "{}"}]


def completion(key: str, run: str = "r1", at: datetime = EARLY, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"request_key": key, "run_id": run, "status": "ok", "error_kind": None, "started_at": at}
    return {**row, "text": None, "tool_calls": None, "finish_reason": None, **fields}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "s.duckdb")
    cases = [make_case(name) for name in "abc"]
    models = [make_model("small"), make_model("large")]
    register(
        store,
        suite="s",
        run_id="r1",
        cases=[(case, content_hash(case)) for case in cases],
        models=[(model, model.name) for model in models],
        cells=[
            Cell(case.id, model.name, sample, model.name, f"{case.id}-{model.name}-{sample}")
            for case in cases
            for model in models
            for sample in (0, 1)
        ],
        at=EARLY,
    )
    add_completions(
        store,
        [
            completion("a-small-0", text="first", finish_reason="stop"),
            completion("a-small-1", text="second"),
            completion("b-small-0", text=None, tool_calls=CALLS, finish_reason="tool_calls"),
            completion("b-small-1", text=None, tool_calls=[]),
            completion("c-small-0", text=""),
            completion("c-small-1", status="error", error_kind="server", text="cut o"),
            completion("a-large-0", text="large"),
        ],
    )
    return store


def test_every_answer_is_read_with_what_checks_look_at(store: Store) -> None:
    assert read_said(store, "s", ["small", "none"]) == {
        "small": {
            ("a", 0): Answer("first", finish_reason="stop"),
            ("a", 1): Answer("second"),
            ("b", 0): Answer(None, (ToolCall("1", "f", "{}"),), "tool_calls"),
            ("c", 0): Answer(""),
        },
        "none": {},
    }
    assert read_said(store, "other", ["small"]) == {"small": {}}


def test_the_answer_that_counts_is_that_of_the_matrix(store: Store) -> None:
    add_completions(
        store,
        [
            completion("a-small-0", "r2", LATE, text="later"),
            # An answer stays one, whatever failed after it.
            completion("a-small-1", "r2", LATE, status="error", error_kind="server"),
            completion("c-small-1", "r2", LATE, text="at last"),
        ],
    )
    said = read_said(store, "s", ["small"])["small"]
    assert {cell: answer.text for cell, answer in said.items()} == {
        ("a", 0): "later",
        ("a", 1): "second",
        ("b", 0): None,
        ("c", 0): "",
        ("c", 1): "at last",
    }
    outcomes = open_outcomes(store, "s")
    assert outcomes.answers is not None
    assert outcomes.take([2]).select(["small"]).answers is outcomes.answers
    assert outcomes.answers.get("c", "small", 1) == Answer("at last")
    assert outcomes.answers.get("b", "small", 1) is None


def test_purged_answers_and_those_of_a_pack_are_not_there(store: Store, tmp_path: Path) -> None:
    purge(store, cases=["a"])
    assert set(read_said(store, "s", ["small", "large"])["small"]) == {("b", 0), ("c", 0)}
    assert not read_said(store, "s", ["large"])["large"]
    pack_suite(store, "s", tmp_path / "p.rbpack")
    packed = open_outcomes(open_store(tmp_path / "p.rbpack"), "s")
    assert packed.answers is not None
    assert packed.answers.get("b", "small", 0) is None


def test_texts_are_not_read_before_somebody_looks(store: Store) -> None:
    outcomes = open_outcomes(store, "s")
    store.path.rename(store.path.with_name("moved.duckdb"))
    assert outcomes.status.shape == (3, 2, 2)
    store.path.with_name("moved.duckdb").rename(store.path)
    assert outcomes.answers is not None
    assert outcomes.answers.get("a", "large", 0) == Answer("large")


def test_one_case_is_read_with_grades_and_failures(store: Store, tmp_path: Path) -> None:
    add_grades(
        store,
        [
            {
                "suite": "s",
                "case_id": "c",
                "request_key": "c-small-0",
                "run_id": "r1",
                "grader": grader,
                "score": score,
                "detail": detail,
                "grader_cost_usd": None,
                "rater": "anna",
                "graded_at": EARLY,
            }
            # Others before and after it, in whatever order they are read.
            for grader, score, detail in (
                ("human", 1.0, "never looked at"),
                (grader_of(store, "c"), 0.5, "half"),
                ("another", 1.0, "nor this"),
            )
        ],
    )
    told = read_case_answers(store, "s", "c")
    assert told["small", 0] == GradedAnswer(
        Answer(""), None, None, None, None, grader_of(store, "c"), "anna", 0.5, "half"
    )
    failed = told["small", 1]
    assert (failed.said, failed.error_kind, failed.score) == (Answer(None), "server", None)
    assert set(told) == {("small", 0), ("small", 1)}
    assert read_case_answers(store, "s", "nobody") == {}
    outcomes = open_outcomes(store, "s")
    assert outcomes.answers is not None
    assert outcomes.answers.of_case("c") == told
    pack_suite(store, "s", tmp_path / "p.rbpack")
    packed = open_outcomes(open_store(tmp_path / "p.rbpack"), "s").answers
    assert packed is not None
    # A pack has scores and no words.
    assert packed.of_case("c")["small", 0].said == Answer(None)
    assert packed.of_case("c")["small", 0].score == 0.5


def grader_of(store: Store, case_id: str) -> str:
    """The name under which a case's primary grades are kept."""
    return str(sql(store, "SELECT grader FROM cases WHERE case_id = ?", [case_id])["grader"][0])
