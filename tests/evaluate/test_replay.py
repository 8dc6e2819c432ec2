from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.errors import OutcomesError
from routebench.evaluate import Choices, Outcomes, replay
from routebench.evaluate.choices import NOBODY
from routebench.evaluate.outcomes import MISSING, OK
from routebench.evaluate.replay import weighted_quantile
from routebench.evaluate.splits import folds, split
from tests.conftest import make_case
from tests.evaluate.matrices import random_matrix

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


def many(n: int, id_of: Callable[[int], str] = "c{}".format, **fields: object) -> Outcomes:
    cases = [
        make_case(id_of(number), **{key: value(number) if callable(value) else value for key, value in fields.items()})
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


@pytest.mark.parametrize("name", ["bfcl_lite", "routellm_mtbench", "zeroeval_lite"])
def test_the_shared_split_is_reproduced(shared_data: Path, name: str) -> None:
    halves = pd.read_parquet(shared_data / "splits_seed42.parquet").query("dataset == @name")
    prompts = pd.read_parquet(shared_data / f"{name}.prompts.parquet").set_index("prompt_id")
    ids = list(halves["prompt_id"])
    groups = prompts["group"].reindex(ids).tolist() if "group" in prompts else [None] * len(ids)
    data = many(len(ids), id_of=ids.__getitem__, group=groups.__getitem__)
    train, _ = split(data, 42)
    assert {ids[place] for place in train} == set(halves.query("split == 'train'")["prompt_id"])


def one_by_one(data: Outcomes, choices: Choices, case: int) -> tuple[float, float, float]:
    """Expected score, cost and failure of one case, read cell by cell: the definition in the plainest words."""
    score = cost = failed = 0.0
    for share, chains in choices.parts:
        scores, costs, failures = [], [], []
        for sample in range(data.status.shape[2]):
            chain = [data.models.index(choices.models[at]) for at in chains[case] if at >= 0]
            paid, said, answered, unknown = 0.0, 0.0, False, not chain
            for model in chain:
                state = data.status[case, model, sample]
                if state == MISSING:
                    unknown = True
                    break
                paid += data.cost_usd[case, model, sample]
                if state == OK:
                    answered, said = True, data.score[case, model, sample]
                    break
            scores.append(np.nan if unknown else said)
            costs.append(np.nan if unknown else paid)
            failures.append(np.nan if unknown else float(not answered))
        score += share * mean_of_known(scores)
        cost += share * mean_of_known(costs)
        failed += share * mean_of_known(failures)
    if choices.decision_cost_usd is not None:
        cost += choices.decision_cost_usd[case]
    return score, cost, failed


def mean_of_known(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return sum(known) / len(known) if known else np.nan


@settings(derandomize=True, database=None, deadline=None, max_examples=120)
@given(st.integers(0, 100_000))
def test_the_replay_of_a_matrix_is_that_of_its_cases_one_by_one(seed: int) -> None:
    data = random_matrix(seed)
    rng = np.random.default_rng(seed)
    m = len(data.models)
    # Models in another order than the matrix has them, chains of different lengths, some without any model.
    names = tuple(data.models[at] for at in rng.permutation(m))
    parts = []
    for share in (0.25, 0.75):
        chains = np.array([rng.permutation(m) for _ in range(data.n)])
        lengths = rng.integers(0 if rng.random() < 0.2 else 1, m + 1, size=data.n)
        chains[np.arange(m) >= lengths[:, None]] = -1
        parts.append((share, chains))
    deciding = rng.integers(0, 9, size=data.n) / 8 if rng.random() < 0.5 else None
    choices = Choices(names, tuple(parts), decision_cost_usd=deciding)
    found = replay(data, choices)
    for case in range(data.n):
        expected = one_by_one(data, choices, case)
        np.testing.assert_allclose([found.score[case], found.cost_usd[case], found.failed[case]], expected, atol=1e-12)
    # Who answers, or nobody, or nobody knows: of every case's probability nothing is lost.
    known = ~np.isnan(found.failed)
    if data.status.shape[2] == 1:
        np.testing.assert_allclose(found.answered_by.sum(axis=1)[known] + found.failed[known], 1.0)
    assert 0 <= found.known <= found.asked


def test_deciding_costs_and_takes_time_for_every_case_and_stays_unknown_where_it_is() -> None:
    plain = Choices.same(("tool", "big"), ("tool", "big"), 5)
    found = replay(
        outcomes(),
        replace(
            plain,
            decision_cost_usd=np.array([0.5, 0.5, 0.5, 0.5, np.nan]),
            decision_latency_s=np.array([0.05, 0.05, 0.05, 0.05, np.nan]),
        ),
    )
    np.testing.assert_allclose(found.cost_usd, [0.5, 2.6, 1.6, np.nan, np.nan])
    np.testing.assert_allclose(found.latency_s[:, 0, 0], [0.15, 1.25, np.nan, np.nan, np.nan])
    # Not knowing what deciding cost takes nothing from the score.
    np.testing.assert_allclose(found.score, replay(outcomes(), plain).score)


def test_of_the_cells_that_decisions_look_up_the_recorded_and_scored_ones_are_counted() -> None:
    # a, d: answered by tool; b: tool, then big; c: both fail; e: an answer without a score.
    found = replay(outcomes(), Choices.same(("tool", "big"), ("tool", "big"), 5))
    assert (found.asked, found.known) == (7, 6)
    # big was never bought for d and e.
    found = replay(outcomes(), Choices.same(("tool", "big"), ("big",), 5))
    assert (found.asked, found.known) == (5, 3)


def test_a_quantile_weighs_cases_by_the_requests_that_they_stand_for() -> None:
    found = replay(outcomes(), Choices.same(("tool", "big"), ("big",), 5))
    # Known: a 1 s, b 1 s; c failed, and a failed request has no time to an answer.
    assert found.latency_quantile(0.95) == 1.0
    values, weight = np.array([3.0, np.nan, 1.0, 2.0]), np.array([1.0, 9.0, 2.0, 7.0])
    # By rising value 20 % of the weight lie at 1, 90 % at 2 or below.
    assert [weighted_quantile(values, weight, share) for share in (0.2, 0.21, 0.9, 0.91)] == [1.0, 2.0, 2.0, 3.0]
    assert weighted_quantile(np.array([np.nan]), np.ones(1), 0.5) is None


@settings(derandomize=True, database=None, deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 6), min_size=4, max_size=30), st.integers(0, 99))
def test_a_group_is_never_torn(members: list[int], seed: int) -> None:
    if len(set(members)) < 2:
        return
    data = many(len(members), group=lambda number: f"g{members[number]}")
    train, test = split(data, seed)
    assert not set(data.keys[train]) & set(data.keys[test])
    assert len(set(data.keys[train])) == len(set(members)) // 2
    for inside, outside in folds(data, 3, seed):
        assert not set(data.keys[inside]) & set(data.keys[outside])


def test_a_request_that_no_model_may_take_fails_without_a_call() -> None:
    replayed = replay(outcomes(), Choices.single(("tool", "big"), np.array([NOBODY, -1, NOBODY, 0, 1])))
    assert list(replayed.score[[0, 2, 3]]) == [0.0, 0.0, 1.0]
    assert np.isnan(replayed.score[1])
    assert list(replayed.failed[[0, 2, 3]]) == [1.0, 1.0, 0.0]
    assert list(replayed.cost_usd[[0, 2]]) == [0.0, 0.0]
    assert np.isnan(replayed.latency_s[[0, 2]]).all()
    assert replayed.decided[0].sum() == 0
