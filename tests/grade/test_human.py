"""Grades from a table: people's and precomputed ones, beside a judge's and instead of a grader's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from routebench.bench import Bench
from routebench.cli import main
from routebench.errors import OutcomesError, StoreError
from routebench.importing import import_grades, import_outcomes
from routebench.matrix import open_outcomes
from routebench.store import Store
from tests.upstream import Reply, Upstream, chat_stream, serve

N_CASES = 40


@pytest.fixture
def store(tmp_path: Path, at: Callable[[], datetime]) -> Store:
    """Three prompts, two models, an answer each but for one failed call."""
    cells = [(f"p{i}", model) for i in range(3) for model in ("small", "large")]
    outcomes = pd.DataFrame(cells, columns=["prompt_id", "model"]).assign(score=[0, 1, 1, 1, 0, 1], error_kind=None)
    outcomes.loc[0, "error_kind"] = "timeout"
    outcomes.to_csv(tmp_path / "outcomes.csv", index=False)
    pd.DataFrame({"prompt_id": ["p0", "p1", "p2"], "prompt": ["a", "b", "c"]}).to_csv(tmp_path / "p.csv", index=False)
    made = Store(tmp_path / "s.duckdb")
    import_outcomes(made, "s", outcomes=tmp_path / "outcomes.csv", prompts=tmp_path / "p.csv", at=at())
    return made


def table(folder: Path, rows: list[dict[str, Any]], name: str = "grades.jsonl") -> Path:
    path = folder / name
    frame = pd.DataFrame(rows)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def human(store: Store) -> dict[tuple[str, str], float]:
    outcomes = open_outcomes(store, "s")
    if outcomes.human is None:
        return {}
    known = ~np.isnan(outcomes.human[..., 0])
    return {
        (str(outcomes.cases.ids[i]), outcomes.models[j]): float(outcomes.human[i, j, 0]) for i, j in np.argwhere(known)
    }


@pytest.mark.parametrize("name", ["grades.jsonl", "grades.csv", "grades.parquet"])
def test_several_people_stand_side_by_side_and_their_mean_counts(
    tmp_path: Path, store: Store, at: Callable[[], datetime], name: str
) -> None:
    assert human(store) == {}
    rows = [
        {"prompt_id": "p1", "model": "small", "score": 0.5, "rater": "ann"},
        {"prompt_id": "p1", "model": "small", "score": 1.0, "rater": "bob"},
        {"prompt_id": "p2", "model": "large", "score": 0.0, "rater": "ann"},
    ]
    found = import_grades(store, "s", table(tmp_path, rows, name), at())
    assert str(found) == "3 grades by ann, by bob: 3 new, 0 changed, 0 as they were"
    assert human(store) == {("p1", "small"): 0.75, ("p2", "large"): 0.0}
    # The scores of the suite's own grader are as they were.
    assert open_outcomes(store, "s").score[1, 0, 0] == 1.0


def test_the_same_table_twice_changes_nothing_and_another_score_one_row(
    tmp_path: Path, store: Store, at: Callable[[], datetime]
) -> None:
    rows = [{"prompt_id": "p1", "model": model, "score": 0.5} for model in ("small", "large")]
    import_grades(store, "s", table(tmp_path, rows), at())
    again = import_grades(store, "s", table(tmp_path, rows), at())
    assert (again.grades.new, again.grades.changed, again.raters) == (0, 0, ("unnamed",))
    rows[0]["score"] = 1.0
    other = import_grades(store, "s", table(tmp_path, rows), at())
    assert (other.grades.new, other.grades.changed) == (0, 1)
    assert human(store) == {("p1", "small"): 1.0, ("p1", "large"): 0.5}


def test_rows_that_cannot_be_placed_are_counted_by_reason(
    tmp_path: Path, store: Store, at: Callable[[], datetime]
) -> None:
    good = {"prompt_id": "p1", "model": "small", "score": 1.0}
    rows = [
        good,
        good,
        {**good, "model": "large", "score": 1.5},
        {**good, "prompt_id": "p9"},
        {**good, "model": "huge"},
        {**good, "prompt_id": "p0"},
        {**good, "sample": 1},
        {**good, "model": None},
        {**good, "score": "good"},
    ]
    found = import_grades(store, "s", table(tmp_path, rows), at()).as_dict()
    assert found["n_grades"] == 2
    assert found["clipped"] == {"scores outside [0, 1]": 1}
    assert found["skipped"] == {
        "rows without prompt_id or model": 1,
        "rows without a score": 1,
        "rows whose prompt_id is not in the suite": 1,
        "rows whose model has no cells in the suite": 1,
        "rows without an answer in the store": 2,
    }
    assert list(found["noted"].values()) == [1]


def test_a_table_of_no_use_leaves_the_store_as_it_was(tmp_path: Path, store: Store, at: Callable[[], datetime]) -> None:
    rows = [{"prompt_id": "p9", "model": "small", "score": 1.0}]
    with pytest.raises(OutcomesError, match=r"no row grades an answer of suite 's' \(skipped: 1 rows whose prompt_id"):
        import_grades(store, "s", table(tmp_path, rows), at())
    with pytest.raises(StoreError, match="no suite 't'; it holds s"):
        import_grades(store, "t", table(tmp_path, rows), at())
    with pytest.raises(OutcomesError, match="divide by the top"):
        import_grades(store, "s", table(tmp_path, [{**rows[0], "score": 5}]), at())
    assert human(store) == {}


def test_a_grader_s_scores_can_come_from_a_table(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt_id": "p1", "model": "small", "score": 0.25, "grader": "imported", "detail": "again"}]
    command = ["import", "grades", str(table(tmp_path, rows)), "--store", str(store.path), "--name", "s"]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["graders"], document["raters"], document["n_changed"]) == (["imported"], [], 1)
    found = open_outcomes(store, "s")
    assert found.score[1, found.models.index("small"), 0] == 0.25
    assert main(["import", "grade", "x", "--store", str(store.path), "--name", "s"]) == 2
    assert "did you mean 'grades'?" in capsys.readouterr().err


def judge_or_answer(body: dict[str, Any], _number: int) -> Reply:
    if body["model"] == "big":
        return chat_stream('{"score": 10}' if "right" in body["messages"][-1]["content"] else '{"score": 2}')
    return chat_stream("right" if int(body["messages"][-1]["content"].split()[1]) % 2 else "wrong")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serve(judge_or_answer) as server:
        yield server


def write(folder: Path, url: str, grader: Any) -> Path:
    rows = [{"id": f"c{i}", "prompt": f"case {i}", "grader": grader} for i in range(N_CASES)]
    (folder / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = f'provider: openai, base_url: "{url}"'
    (folder / "bench.yaml").write_text(
        f"suite: suite.jsonl\nstore: s.duckdb\nmodels: [{{name: m, {model}, model: mock}}]\n"
        f"judges: [{{name: gpt-x, {model}, model: big}}]\n"
    )
    return folder / "bench.yaml"


def test_a_judge_is_held_against_people_beside_every_number(
    tmp_path: Path, upstream: Upstream, at: Callable[[], datetime]
) -> None:
    bench = Bench(write(tmp_path, upstream.url, {"name": "judge", "rubric": "Is it so?"}))
    bench.run().wait(20)
    run = bench.judge()
    assert run is not None
    run.wait(20)
    outcomes = bench.outcomes()
    assert outcomes.human is None
    assert outcomes.agreement == "judge gpt-x, not checked against people"
    # People agree with the judge, but for one answer in ten.
    rows = [
        {"prompt_id": f"c{i}", "model": "m", "score": float((i % 2 == 1) != (i % 10 == 3)), "rater": rater}
        for i in range(N_CASES)
        for rater in ("ann", "bob")
    ]
    import_grades(bench.store, "suite", table(tmp_path, rows), at())
    outcomes = bench.outcomes()
    assert outcomes.human is not None
    assert int((~np.isnan(outcomes.human)).sum()) == N_CASES
    told = outcomes.agreement or ""
    assert told.startswith("judge gpt-x, alpha 0.")
    assert "with people on 40 answers (people among themselves: alpha 1.00 [1.00, 1.00] on 40)" in told
    reading = bench.compare(["best_single"], seeds=[1]).as_dict()["judge"]
    assert reading == told


def test_people_can_be_the_only_grader(tmp_path: Path, upstream: Upstream, at: Callable[[], datetime]) -> None:
    bench = Bench(write(tmp_path, upstream.url, "human"))
    bench.run().wait(20)
    assert bench.grade() == N_CASES
    assert bench.unscored() == N_CASES
    rows = [
        {"prompt_id": "c1", "model": "m", "score": score, "rater": rater} for rater, score in (("a", 1.0), ("b", 0.5))
    ]
    import_grades(bench.store, "suite", table(tmp_path, rows), at())
    assert bench.unscored() == N_CASES - 1
    assert bench.outcomes().score[1, 0, 0] == 0.75
    assert bench.sql("SELECT score FROM outcomes WHERE case_id = 'c1'")["score"].tolist() == [0.75]
    assert bench.outcomes().agreement is None


def test_scores_of_a_grader_find_its_cases_whatever_its_options(
    tmp_path: Path, upstream: Upstream, at: Callable[[], datetime]
) -> None:
    bench = Bench(write(tmp_path, upstream.url, {"name": "judge", "rubric": "Is it so?"}))
    bench.run().wait(20)
    rows = [{"prompt_id": "c0", "model": "m", "score": 0.5, "grader": "judge", "rater": "a judge elsewhere"}]
    import_grades(bench.store, "suite", table(tmp_path, rows), at())
    outcomes = bench.outcomes()
    assert outcomes.score[0, 0, 0] == 0.5
    assert outcomes.agreement == "judge a judge elsewhere, not checked against people"
