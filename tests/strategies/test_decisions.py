from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate import Cases, Outcomes, replay
from routebench.evaluate.compare import compare
from routebench.evaluate.outcomes import OK
from routebench.strategies import Decisions, parse_strategy, with_baselines
from routebench.suites.importers import read_decisions
from tests.conftest import make_case


def outcomes(n: int = 40) -> Outcomes:
    """Two models, the dear one always right, the cheap one on every second case."""
    cases = tuple(make_case(f"c{place}", f"prompt {place}") for place in range(n))
    score = np.ones((n, 2, 1))
    score[1::2, 0, 0] = 0.0
    cost = np.broadcast_to(np.array([0.001, 0.002])[None, :, None], score.shape).copy()
    status = np.full(score.shape, OK, dtype=np.int8)
    return Outcomes("s", Cases.of(cases), ("small", "large"), status, score, cost, np.full(score.shape, 1.0))


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


HEAD = {"router": {"name": "house router", "version": "2.1", "asked_at": "2026-11-24T12:00:00+00:00"}}


def test_decisions_are_replayed_with_what_deciding_cost_and_took(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.jsonl",
        HEAD,
        {"prompt_id": "c0", "model": "small", "detail": {"tier": "SIMPLE"}, "latency_s": 0.5, "cost_usd": 0.01},
        {"prompt_id": "c1", "model": "large>small"},
        {"prompt_id": "c2", "model": None, "error": "timeout: no answer"},
    )
    strategy = Decisions(str(path)).fit(outcomes())
    assert (strategy.name, strategy.title, strategy.kind) == (f"decisions:{path}", "house router 2.1", "today")
    (choices,) = strategy.peek(outcomes(3))
    assert choices.parts[0][1].tolist() == [[0, -1], [1, 0], [-1, -1]]
    assert choices.decision_cost_usd is not None
    np.testing.assert_array_equal(choices.decision_cost_usd, [0.01, np.nan, np.nan])
    replayed = replay(outcomes(3), choices)
    # What is not known of a decision is not free, and an unknown decision is an unknown case.
    np.testing.assert_array_equal(replayed.score, [1, 1, np.nan])
    np.testing.assert_allclose(replayed.cost_usd, [0.011, np.nan, np.nan])
    np.testing.assert_allclose(replayed.latency_s[:, 0, 0], [1.5, np.nan, np.nan])


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_ids_and_models_are_enough(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"prompt_id": ["c0", "c1"], "model": ["small", "large"]})
    path = tmp_path / f"mine{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        write(path, *frame.to_dict("records"))
    strategy = Decisions(path).fit(outcomes())
    assert (strategy.name, strategy.title) == ("decisions:mine", "mine")
    (choices,) = strategy.peek(outcomes(2))
    assert choices.parts[0][1].tolist() == [[0], [1]]
    assert choices.decision_cost_usd is None
    assert choices.decision_latency_s is None


def test_a_router_of_today_stands_in_the_comparison_and_a_constant_one_is_called_so(tmp_path: Path) -> None:
    data = outcomes()
    path = write(tmp_path / "d.jsonl", HEAD, *({"prompt_id": name, "model": "small"} for name in data.cases.ids))
    comparison = compare(data, with_baselines([f"decisions:{path}"], data.models), seeds=[42])
    today = comparison.today
    assert today is not None
    assert today.constant
    assert today.most_sent(data.models) == "small"


def test_a_name_that_is_no_model_tells_the_nearest_and_the_mend(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"prompt_id": "c0", "model": "smal"})
    with pytest.raises(OutcomesError, match=r"'c0' goes to 'smal'.*did you mean 'small'.*--map smal=NAME"):
        Decisions(path).fit(outcomes())
    assert Decisions(path, models={"smal": "small"}).fit(outcomes()).peek(outcomes(1))[0].parts[0][1].tolist() == [[0]]


def test_decisions_about_other_cases_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"prompt_id": "x", "model": "small"})
    with pytest.raises(OutcomesError, match="recorded on another suite"):
        Decisions(path).fit(outcomes())


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"prompt_id": "a"}], "row 1: no 'model'"),
        ([{"prompt_id": "a", "model": "x"}, {"prompt_id": "a", "model": "y"}], "row 2.*two decisions, 'x' and 'y'"),
        ([{"prompt_id": "", "model": "x"}], "row 1: prompt_id is empty"),
        ([{"prompt_id": "a", "model": "x", "cost_usd": -1}], "row 1: cost_usd -1 is no amount"),
        ([{"router": {"version": "1"}}], "row 1: `router` needs a `name`"),
        ([], "holds no decision"),
        (["a"], "a row is a JSON object"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, rows: list[Any], words: str) -> None:
    with pytest.raises(OutcomesError, match=words):
        read_decisions(write(tmp_path / "d.jsonl", *rows))


def test_a_later_decision_takes_the_place_of_a_failed_question(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"prompt_id": "a", "model": None}, {"prompt_id": "a", "model": "x"})
    assert read_decisions(path).by_case["a"].chain == ("x",)


def test_the_recorded_default_router_of_the_demonstration_hardly_decides() -> None:
    from routebench.suites.starter import DEMO

    recorded = read_decisions(str(DEMO / "litellm-default.jsonl"))
    assert recorded.title == "litellm complexity router 1.108.7"
    assert len(recorded.by_case) == 150
    assert recorded.n_undecided == 0
    assert recorded.models["smollm2-zero"] >= 140


def test_names_of_files_that_are_not_there_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(OutcomesError, match="routebench decisions URL"):
        parse_strategy(f"decisions:{tmp_path / 'none.jsonl'}")
