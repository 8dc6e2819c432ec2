from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate import Choices, Outcomes, replay
from routebench.evaluate.splits import folds, split
from tests.conftest import make_case

ROWS = [
    # case, model, status, score, cost, latency
    ("a", "tool", "ok", 1.0, 0.0, 0.1),
    ("a", "big", "ok", 0.5, 2.0, 1.0),
    ("b", "tool", "error", None, 0.1, 0.2),
    ("b", "big", "ok", 1.0, 2.0, 1.0),
    ("c", "tool", "error", None, 0.1, 0.2),
    ("c", "big", "error", None, 1.0, 3.0),
    ("d", "tool", "ok", 1.0, None, None),
    ("e", "tool", "ok", None, 0.0, 0.1),
]


def outcomes(rows: Sequence[tuple[object, ...]] = ROWS, cases: str = "abcde") -> Outcomes:
    frame = pd.DataFrame(rows, columns=["case_id", "model", "status", "score", "cost_usd", "latency_s"]).assign(
        sample=0
    )
    return Outcomes.from_frame("s", [make_case(name) for name in cases], frame, models=("tool", "big"))


def test_a_chain_pays_for_its_failures_and_the_last_one_counts_as_failed() -> None:
    found = replay(outcomes(), Choices.same(("tool", "big"), ("tool", "big"), 5))
    np.testing.assert_allclose(found.score, [1, 1, 0, 1, np.nan])
    np.testing.assert_allclose(found.cost_usd, [0, 2.1, 1.1, np.nan, 0])
    np.testing.assert_allclose(found.failed, [0, 0, 1, 0, 0])
    np.testing.assert_allclose(found.latency_s[:, 0, 0], [0.1, 1.2, np.nan, np.nan, 0.1])
    np.testing.assert_allclose(found.answered_by, [[1, 0], [0, 1], [0, 0], [1, 0], [1, 0]])


def test_a_cell_that_was_never_bought_is_unknown_and_not_a_failure() -> None:
    found = replay(outcomes(), Choices.same(("tool", "big"), ("big",), 5))
    np.testing.assert_array_equal(found.missing, [False, False, False, True, True])
    assert np.isnan(found.cost_usd[3])


def test_a_mix_is_its_expectation_and_its_latencies_are_a_mixture() -> None:
    mix = Choices.mix([0.25, 0.75], [Choices.same(("tool", "big"), (name,), 5) for name in ("tool", "big")])
    found = replay(outcomes(), mix)
    assert found.score[0] == pytest.approx(0.25 * 1 + 0.75 * 0.5)
    assert found.cost_usd[0] == pytest.approx(1.5)
    alone = replay(
        outcomes().take([0]),
        Choices.mix([0.25, 0.75], [Choices.same(("tool", "big"), (name,), 1) for name in ("tool", "big")]),
    )
    assert alone.latency_quantile(0.2) == 0.1
    assert alone.latency_quantile(0.5) == 1.0


def test_samples_are_averaged_within_a_case() -> None:
    frame = pd.DataFrame(
        [("a", "m", number, "ok", score, 1.0, 1.0) for number, score in enumerate([0.0, 1.0, 1.0])],
        columns=["case_id", "model", "sample", "status", "score", "cost_usd", "latency_s"],
    )
    found = replay(Outcomes.from_frame("s", [make_case("a")], frame), Choices.same(("m",), ("m",), 1))
    assert found.score[0] == pytest.approx(2 / 3)


def test_the_frame_holds_what_was_bought() -> None:
    frame = outcomes().df()
    assert len(frame) == len(ROWS)
    assert list(frame[frame.status == "error"].score.isna()) == [True] * 3
    assert outcomes().select(["big"]).models == ("big",)


def test_no_outcome_at_all_is_an_error() -> None:
    with pytest.raises(OutcomesError, match="no outcomes yet"):
        outcomes([], "a")


def many(n: int, **fields: object) -> Outcomes:
    cases = [
        make_case(f"c{number}", **{key: value(number) if callable(value) else value for key, value in fields.items()})
        for number in range(n)
    ]
    frame = pd.DataFrame(
        {
            "case_id": [case.id for case in cases],
            "model": "m",
            "sample": 0,
            "status": "ok",
            "score": 1.0,
            "cost_usd": 1.0,
            "latency_s": 1.0,
        }
    )
    return Outcomes.from_frame("s", cases, frame)


def test_halves_are_disjoint_repeatable_and_keep_groups_together() -> None:
    data = many(21, group=lambda number: f"g{number // 3}")
    train, test = split(data, 42)
    assert sorted([*train, *test]) == list(range(21))
    assert not set(data.keys[train]) & set(data.keys[test])
    assert len(train) == 9
    np.testing.assert_array_equal(train, split(data, 42)[0])
    assert not np.array_equal(train, split(data, 43)[0])


def test_a_row_may_name_its_half() -> None:
    train, test = split(many(10, split=lambda number: "test" if number < 8 else "train"), 42)
    assert list(train) == [8, 9]
    assert list(test) == list(range(8))
    with pytest.raises(OutcomesError, match="cannot be split"):
        split(many(4, split="test"), 42)


def test_folds_partition_the_cases_by_group() -> None:
    data = many(20, group=lambda number: f"g{number // 2}")
    outsides = []
    for inside, outside in folds(data, 5):
        assert not set(data.keys[inside]) & set(data.keys[outside])
        outsides += list(outside)
    assert sorted(outsides) == list(range(20))


def test_the_shared_split_is_reproduced(shared_data: object) -> None:
    import duckdb

    path = f"{shared_data}/splits_seed42.parquet"
    columns = [row[0] for row in duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()]
    assert {"dataset", "prompt_id", "split"} <= set(columns), columns
    rows = duckdb.sql(f"SELECT prompt_id, split FROM '{path}' WHERE dataset = 'bfcl_lite'").fetchall()
    ids = [name for name, _ in rows]
    frame = pd.DataFrame(
        {"case_id": ids, "model": "m", "sample": 0, "status": "ok", "score": 1.0, "cost_usd": 1.0, "latency_s": 1.0}
    )
    train, _ = split(Outcomes.from_frame("s", [make_case(name) for name in ids], frame), 42)
    assert {ids[place] for place in train} == {name for name, half in rows if half == "train"}
