"""Outcomes from files: three formats, one content; what real files hold, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from routebench.errors import OutcomesError
from routebench.importing import Imported, import_outcomes
from routebench.matrix import open_outcomes
from routebench.store import Store, read_cases, read_outcomes, sql

PROMPTS = [
    {"prompt_id": "1", "prompt": 'two\nlines, "quoted"', "category": "a", "reference": "x", "weight": 2.0},
    {"prompt_id": "2", "prompt": "null", "category": None, "reference": None, "weight": None},
    {"prompt_id": "c", "prompt": "a\u2028b\x85c", "category": "b", "reference": "7", "weight": 1.0},
]
OUTCOMES = [
    {"prompt_id": "1", "model": "small", "score": 1.0, "cost_usd": 0.25, "latency_s": 1.5, "response": "yes\nno"},
    {"prompt_id": "1", "model": "large", "score": 0.5, "cost_usd": 0.0, "latency_s": None, "response": "p\u2028q"},
    {"prompt_id": "2", "model": "small", "score": -0.25, "cost_usd": None, "latency_s": 0.5, "response": "null"},
    {"prompt_id": "2", "model": "large", "score": None, "cost_usd": 0.5, "latency_s": -1.0, "response": None},
    {"prompt_id": "c", "model": "small", "score": 1.5, "cost_usd": 0.5, "latency_s": 0.5, "response": "ok"},
    {"prompt_id": "gone", "model": "small", "score": 1.0, "cost_usd": 0.5, "latency_s": 0.5, "response": "ok"},
    {"prompt_id": "c", "model": None, "score": 1.0, "cost_usd": 0.5, "latency_s": 0.5, "response": "ok"},
]
TABLES = ("cases", "models", "cells", "completions", "grades", "runs", "registered")


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), newline="\n")
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        pd.DataFrame(rows).to_parquet(path, index=False)
    return path


class Workspace:
    """A store and the files beside it."""

    def __init__(self, folder: Path, at: datetime) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.at = folder, at
        self.store = Store(folder / "s.duckdb")

    def bring(
        self,
        outcomes: Sequence[dict[str, Any]] = OUTCOMES,
        prompts: Sequence[dict[str, Any]] = PROMPTS,
        kind: str = "jsonl",
    ) -> Imported:
        files = {
            "outcomes": write(self.folder / f"o.{kind}", outcomes),
            "prompts": write(self.folder / f"p.{kind}", prompts),
        }
        return import_outcomes(self.store, "s", **files, at=self.at)

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, as texts."""
        return {
            table: [tuple(map(str, row)) for row in sql(self.store, f"SELECT * FROM {table} ORDER BY ALL").to_numpy()]
            for table in TABLES
        }


@pytest.fixture
def workspace(tmp_path: Path, at: Callable[[], datetime]) -> Callable[[str], Workspace]:
    return lambda name: Workspace(tmp_path / name, at())


def cell(frame: pd.DataFrame, case: str, model: str) -> pd.Series:
    (row,) = (row for _, row in frame.iterrows() if (row["case_id"], row["model"]) == (case, model))
    return row


def test_parquet_csv_and_json_lines_leave_the_same_in_the_store(workspace: Callable[[str], Workspace]) -> None:
    places = {kind: workspace(kind) for kind in ("parquet", "csv", "jsonl")}
    found = {kind: place.bring(kind=kind) for kind, place in places.items()}
    contents = {kind: place.content() for kind, place in places.items()}
    assert contents["csv"] == contents["jsonl"]
    assert contents["parquet"] == contents["jsonl"]
    assert str(found["csv"]) == str(found["jsonl"]) == str(found["parquet"])
    assert [len(contents["jsonl"][table]) for table in ("cases", "models", "cells", "completions", "grades")] == [
        3,
        2,
        5,
        5,
        5,
    ]


def test_what_was_skipped_clipped_or_is_unknown_is_counted_and_told(workspace: Callable[[str], Workspace]) -> None:
    found = workspace("w").bring()
    assert (found.n_cases, found.n_outcomes, found.models, found.answers.new) == (3, 5, ("small", "large"), 5)
    told = str(found)
    assert "5 outcomes of 3 prompts x 2 models" in told
    assert "skipped: 1 rows without prompt_id or model" in told
    assert "skipped: 1 rows whose prompt_id is not in the prompts file" in told
    assert "clipped: 2 scores outside [0, 1]" in told
    assert "clipped: 1 negative latency_s, taken as unknown" in told
    assert "scores missing in 1 of 5 rows" in told
    assert "cost_usd missing in 1 of 5 rows" in told
    assert "latency_s missing in 2 of 5 rows" in told
    assert found.as_dict()["clipped"]["scores outside [0, 1]"] == 2


def test_unknown_stays_unknown_and_a_clipped_score_is_at_its_end(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    place.bring(kind="csv")
    frame = read_outcomes(place.store, "s")
    assert pd.isna(cell(frame, "2", "small")["cost_usd"])
    assert pd.isna(cell(frame, "2", "large")["score"])
    assert pd.isna(cell(frame, "2", "large")["latency_s"])
    assert cell(frame, "1", "large")["cost_usd"] == 0.0
    assert (cell(frame, "2", "small")["score"], cell(frame, "c", "small")["score"]) == (0.0, 1.0)
    # A cell that nobody bought: not a row, not a zero.
    outcomes = open_outcomes(place.store, "s")
    assert repr(outcomes) == "Outcomes('s', 3 cases x 2 models x 1 samples, 1 cells missing)"
    assert [case.request.messages[0]["content"] for case in read_cases(place.store, "s")] == [
        one["prompt"] for one in PROMPTS
    ]


def test_the_same_files_twice_change_nothing_even_later(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    place.bring()
    before = place.content()
    place.at += timedelta(days=1)
    again = place.bring(kind="csv")
    assert (again.answers.new, again.answers.changed, again.scores.new, again.scores.changed) == (0, 0, 0, 0)
    assert "5 outcomes of 3 prompts x 2 models: 0 new, 0 changed, 5 as they were" in str(again)
    assert place.content() == before


def test_a_second_import_adds_what_is_new_and_overwrites_what_differs(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    place.bring()
    rows = [{**OUTCOMES[0], "score": 0.0}, *OUTCOMES[1:], {**OUTCOMES[0], "prompt_id": "c", "model": "large"}]
    again = place.bring(rows)
    assert (again.answers.new, again.as_dict()["n_changed"]) == (1, 1)
    assert cell(read_outcomes(place.store, "s"), "1", "small")["score"] == 0.0


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ('{"prompt_id": "1", "model": ', r"o\.jsonl:25002: not valid JSON"),
        ('["1", "small", 1]', r"o\.jsonl:25002: a row is a JSON object, got list"),
        (
            '{"prompt_id": "1", "model": "x", "score": 1, "error_kind": "tiemout"}',
            "unknown error_kind 'tiemout'.*timeout",
        ),
    ],
)
def test_a_bad_row_at_the_end_leaves_the_store_as_it_was(
    workspace: Callable[[str], Workspace], last: str, message: str
) -> None:
    place = workspace("w")
    place.bring(OUTCOMES[:1])
    before = place.content()
    path = write(place.folder / "o.jsonl", [{**OUTCOMES[1], "error_kind": None}] * 25_001)
    path.write_text(path.read_text() + last + "\n")
    with pytest.raises(OutcomesError, match=message):
        import_outcomes(place.store, "s", outcomes=path, prompts=place.folder / "p.jsonl", at=place.at)
    assert place.content() == before


def test_true_and_false_are_scores_also_as_words(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    (place.folder / "o.csv").write_text("prompt_id,model,score\n1,m,True\n2,m,false\nc,m,perhaps\n")
    write(place.folder / "p.csv", PROMPTS)
    found = import_outcomes(
        place.store, "s", outcomes=place.folder / "o.csv", prompts=place.folder / "p.csv", at=place.at
    )
    scores = read_outcomes(place.store, "s").set_index("case_id")["score"]
    assert (scores["1"], scores["2"]) == (1.0, 0.0)
    assert pd.isna(scores["c"])
    assert found.tally.unknown["scores"] == 1


def test_a_mark_at_the_start_and_carriage_returns_belong_to_no_name(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    (place.folder / "o.csv").write_bytes("\ufeffprompt_id,model,score\r\n1,m,1\r\n".encode())
    (place.folder / "p.jsonl").write_bytes('\ufeff{"prompt_id": 1, "prompt": "hi"}\r\n\r\n'.encode())
    import_outcomes(place.store, "s", outcomes=place.folder / "o.csv", prompts=place.folder / "p.jsonl", at=place.at)
    assert cell(read_outcomes(place.store, "s"), "1", "m")["score"] == 1.0


def test_numbers_and_texts_name_the_same_prompt(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    files = {
        "outcomes": write(place.folder / "o.parquet", [{"prompt_id": 7, "model": "m", "score": 1}]),
        "prompts": write(place.folder / "p.jsonl", [{"prompt_id": "7", "prompt": "hi"}]),
    }
    assert import_outcomes(place.store, "s", **files, at=place.at).answers.new == 1


def test_a_failed_call_has_no_score_and_keeps_its_cost(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    # Real files mark errors right and free.
    rows = [
        {"prompt_id": "1", "model": "m", "score": 1.0, "cost_usd": 0.0, "error_kind": "timeout"},
        {"prompt_id": "2", "model": "m", "score": 1.0, "cost_usd": 0.5, "error_kind": None},
    ]
    found = place.bring(rows)
    frame = read_outcomes(place.store, "s")
    failed = cell(frame, "1", "m")
    assert (failed["status"], failed["error_kind"], failed["cost_usd"]) == ("error", "timeout", 0.0)
    assert pd.isna(failed["score"])
    assert "noted: 1 failed calls" in str(found)
    assert open_outcomes(place.store, "s").expected_scores()[:2, 0].tolist() == [0.0, 1.0]


def test_rows_that_repeat_are_samples_in_the_order_of_the_file(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    rows = [{**OUTCOMES[0], "score": score} for score in (1.0, 0.0, 0.5)]
    found = place.bring([rows[0], OUTCOMES[1], *rows[1:]])
    frame = read_outcomes(place.store, "s").query("model == 'small'")
    assert list(frame["sample"]) == [0, 1, 2]
    assert list(frame["score"]) == [1.0, 0.0, 0.5]
    assert found.tally.noted["rows that repeat a prompt and a model, taken as samples"] == 2


@pytest.mark.parametrize(
    ("outcomes", "prompts", "message"),
    [
        ([{"prompt_id": "1", "modle": "m", "score": 1}], PROMPTS, "no column 'model'.*modle"),
        ([{"prompt_id": "x", "model": "m", "score": 1}], PROMPTS, "no outcome belongs to a prompt"),
        ([{"prompt_id": "1", "model": "m", "score": 8}], PROMPTS, "1 of 1 scores are above 1.*divide"),
        (
            OUTCOMES,
            [{"prompt_id": "1", "prompt": "a"}, {"prompt_id": "1", "prompt": "b"}],
            "row 2: .*two different prompts",
        ),
        (OUTCOMES, [{"prompt_id": "1", "prompt": "a", "weight": 0}], "row 1: weight .* not a number above 0"),
        (OUTCOMES, [{"prompt_id": "1", "prompt": None}], "row 1: prompt_id or prompt is empty"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_name(
    workspace: Callable[[str], Workspace], outcomes: Any, prompts: Any, message: str
) -> None:
    place = workspace("w")
    before = place.content()
    with pytest.raises(OutcomesError, match=message):
        place.bring(outcomes, prompts)
    assert place.content() == before


def test_a_name_does_not_change_its_prompts(workspace: Callable[[str], Workspace]) -> None:
    place = workspace("w")
    place.bring()
    before = place.content()
    with pytest.raises(
        OutcomesError, match="prompt_id '1' stands for another prompt in this store; choose another name"
    ):
        place.bring(OUTCOMES, [{**PROMPTS[0], "prompt": "another"}, *PROMPTS[1:]])
    assert place.content() == before
