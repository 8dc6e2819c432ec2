"""Chains whose answers are checked: what is refused costs and takes its time, and the next model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.errors import OutcomesError
from routebench.evaluate import (
    Answers,
    Checking,
    Checks,
    Choices,
    Outcomes,
    Strategy,
    compare,
    decided,
    decided_out_of_fold,
    replay,
)
from routebench.evaluate.choices import ACCEPTED, REFUSED, UNTOLD, IntArray
from routebench.evaluate.outcomes import ERROR, MISSING, OK
from routebench.strategies import with_baselines
from routebench.strategies.base import Policy
from routebench.types import Answer, Request
from tests.conftest import make_case
from tests.evaluate.matrices import random_matrix
from tests.evaluate.test_replay import mean_of_known, outcomes


def checked(choices: Choices, verdicts: Sequence[object], *, stands: bool = True) -> Choices:
    """One part whose every case has a check, with verdicts of shape (n, length) for one sample."""
    n = len(choices.parts[0][1])
    table = np.array(verdicts, dtype=np.int8)[:, :, None]
    checks = Checks(("c",), np.zeros(n, dtype=np.intp), table, np.full(n, stands))
    return replace(choices, checks=(checks,))


def chain(n: int = 5) -> Choices:
    return Choices.same(("tool", "big"), ("tool", "big"), n)


def test_a_refused_answer_is_paid_for_and_waited_for_and_the_next_one_counts() -> None:
    # Of test_replay's cases: a both answer, b and c tool fails, d big was never asked, e tool is unscored.
    found = replay(outcomes(), checked(chain(), [[REFUSED, ACCEPTED]] * 5))
    np.testing.assert_allclose(found.score, [0.5, 1, 0, np.nan, np.nan])
    np.testing.assert_allclose(found.cost_usd[:3], [2.0, 2.1, 1.1])
    np.testing.assert_allclose(found.latency_s[:2, 0, 0], [1.1, 1.2])
    np.testing.assert_allclose(found.answered_by[:3], [[0, 1], [0, 1], [0, 0]])
    # Where the tool failed its answer was not refused: there was none.
    assert found.escalated is not None
    np.testing.assert_allclose(found.escalated, [1, 0, 0, np.nan, np.nan])
    np.testing.assert_allclose(found.decided[:3], [[1, 0]] * 3)


@pytest.mark.parametrize(("stands", "score", "failed"), [(True, 1.0, 0.0), (False, 0.0, 1.0)])
def test_when_the_rest_of_the_chain_fails_the_latest_answer_stands_or_none_does(
    stands: bool, score: float, failed: float
) -> None:
    data = outcomes([("a", "tool", "ok", 1.0, 0.5, 0.1), ("a", "big", "error", None, 0.25, 3.0)], "a")
    found = replay(data, checked(chain(1), [[REFUSED, UNTOLD]], stands=stands))
    assert (found.score[0], found.failed[0], found.cost_usd[0]) == (score, failed, 0.75)
    assert found.answered_by[0].tolist() == [1 - failed, 0]
    # The wait for the failure is part of it.
    assert np.isnan(found.latency_s[0, 0, 0]) if failed else found.latency_s[0, 0, 0] == pytest.approx(3.1)


def test_all_of_a_chain_refused_is_a_failed_request_where_nothing_stands() -> None:
    found = replay(outcomes(), checked(chain(), [[REFUSED, REFUSED]] * 5, stands=False))
    assert (found.score[0], found.failed[0], found.cost_usd[0]) == (0, 1, 2)


def test_an_answer_of_which_nobody_knows_whether_it_passes_makes_its_case_unknown() -> None:
    found = replay(outcomes(), checked(chain(), [[UNTOLD, ACCEPTED]] * 5))
    np.testing.assert_array_equal(found.missing, [True, False, False, True, True])
    assert np.isnan(found.cost_usd[0])
    # The tool of b and c failed, so that nobody had to look at its answer.
    np.testing.assert_allclose(found.score[1:3], [1, 0])


def test_decisions_that_wait_for_answers_are_not_replayed_without_them() -> None:
    waiting = replace(chain(), checks=(Checks(("c",), np.zeros(5, dtype=np.intp)),))
    with pytest.raises(OutcomesError, match="nobody has looked at any"):
        replay(outcomes(), waiting)


def test_nothing_is_escalated_where_nothing_is_checked() -> None:
    assert replay(outcomes(), chain()).escalated is None


def test_the_commonest_chain_is_counted_without_refused_models() -> None:
    weight = np.ones(4)
    assert chain(4).commonest_share(weight) == 1
    half = checked(chain(4), [[REFUSED, ACCEPTED]] * 2 + [[ACCEPTED, ACCEPTED]] * 2)
    assert half.commonest_share(weight) == 0.5
    assert half.take(np.array([0, 1, 2])).commonest_share(np.array([1.0, 1.0, 6.0])) == 0.75


def one_by_one(data: Outcomes, choices: Choices, case: int) -> tuple[float, ...]:
    """Score, cost, failure, first answer refused, and time of the last sample: cell by cell, in the plainest words."""
    total, latency = np.zeros(4), np.nan
    for (share, chains), checks in zip(choices.parts, choices.checks_by_part, strict=True):
        samples = []
        for sample in range(data.status.shape[2]):
            names = [choices.models[at] for at in chains[case] if at >= 0]
            paid, waited, said, refused, unknown = 0.0, 0.0, None, False, not names
            for place, name in enumerate(names):
                cell = (case, data.models.index(name), sample)
                if data.status[cell] == MISSING:
                    unknown = True
                    break
                paid, waited = paid + data.cost_usd[cell], waited + data.latency_s[cell]
                if data.status[cell] == ERROR:
                    continue
                verdict = ACCEPTED
                if checks is not None and checks.by[case] >= 0:
                    assert checks.verdicts is not None
                    assert checks.latest_stands is not None
                    verdict = checks.verdicts[case, place, sample]
                if verdict == UNTOLD:
                    unknown = True
                    break
                if verdict == ACCEPTED:
                    said = data.score[cell]
                    break
                refused = True
                if checks.latest_stands[case]:
                    said = data.score[cell]
            values = (0.0 if said is None else said, paid, float(said is None), float(refused))
            samples.append((np.nan,) * 4 if unknown else values)
            latency = np.nan if unknown or said is None else waited
        total += share * np.array([mean_of_known([one[at] for one in samples]) for at in range(4)])
    return (*total, latency)


@settings(derandomize=True, database=None, deadline=None, max_examples=120)
@given(st.integers(0, 100_000))
def test_the_replay_of_cascades_is_that_of_their_cases_one_by_one(seed: int) -> None:
    data = random_matrix(seed)
    rng = np.random.default_rng(seed)
    m, k = len(data.models), data.status.shape[2]
    names = tuple(data.models[at] for at in rng.permutation(m))
    parts, checks = [], []
    for share in (0.25, 0.75):
        chains = np.array([rng.permutation(m) for _ in range(data.n)])
        chains[np.arange(m) >= rng.integers(1, m + 1, size=data.n)[:, None]] = -1
        parts.append((share, chains))
        by = rng.integers(-1, 2, size=data.n)
        verdicts = rng.choice([ACCEPTED, REFUSED, UNTOLD], p=[0.45, 0.5, 0.05], size=(*chains.shape, k))
        verdicts[by < 0] = ACCEPTED
        checks.append(Checks(("c", "d"), by, verdicts.astype(np.int8), (by >= 0) & (rng.random(data.n) < 0.5)))
    choices = Choices(names, tuple(parts), checks=tuple(checks) if rng.random() < 0.8 else (checks[0], None))
    found = replay(data, choices)
    assert found.escalated is not None
    for case in range(data.n):
        expected = one_by_one(data, choices, case)
        got = (found.score[case], found.cost_usd[case], found.failed[case], found.escalated[case])
        np.testing.assert_allclose(got, expected[:4], atol=1e-12)
        np.testing.assert_allclose(found.latency_s[case, -1, -1], expected[4], atol=1e-12)
    # Cases are replayed alike alone and among others, and a lottery over choices is the lottery over their parts.
    at = rng.permutation(data.n)[: data.n // 2]
    np.testing.assert_array_equal(replay(data.take(at), choices.take(at)).score, found.score[at])
    mixed = Choices.mix([0.5, 0.5, 0.0], [choices, choices, choices])
    np.testing.assert_allclose(replay(data, mixed).score, found.score)


class Escalating(Policy):
    """Asks the first model, and the second where the first says no."""

    name = "escalating"

    def curve(self, requests: Sequence[Request]) -> Sequence[Choices]:
        chains: IntArray = np.tile(np.array([0, 1]), (len(requests), 1))
        checks = Checks(("says no",), np.zeros(len(requests), dtype=np.intp))
        return [replace(Choices.single(self.models_, chains, self.name), checks=(checks,))]

    def check(self, choices: Choices, outcomes: Outcomes) -> Choices:
        assert outcomes.answers is not None
        checks = choices.checks[0]
        assert checks is not None
        verdicts = np.full((outcomes.n, 2, 1), ACCEPTED, dtype=np.int8)
        for row, case_id in enumerate(outcomes.cases.ids):
            said = outcomes.answers.get(str(case_id), outcomes.models[0], 0)
            assert said is not None
            verdicts[row, 0, 0] = REFUSED if said.text == "no" else ACCEPTED
        return replace(choices, checks=(replace(checks, verdicts=verdicts, latest_stands=np.full(outcomes.n, True)),))


def with_answers(n: int = 40) -> tuple[Outcomes, list[tuple[str, ...]]]:
    """Half of the first model's answers are wrong and say no; the second model is right and ten times as dear."""
    rows: list[tuple[object, ...]] = []
    for number in range(n):
        rows.append((f"c{number}", "tool", "ok", float(number % 2), 1.0, 0.1))
        rows.append((f"c{number}", "big", "ok", 1.0, 10.0, 1.0))
    frame = pd.DataFrame(rows, columns=["case_id", "model", "status", "score", "cost_usd", "latency_s"])
    data = Outcomes.from_frame(
        "s", [make_case(f"c{n}") for n in range(n)], frame.assign(sample=0), models=("tool", "big")
    )
    asked: list[tuple[str, ...]] = []

    def read(names: Sequence[str]) -> dict[str, dict[tuple[str, int], Answer]]:
        asked.append(tuple(names))
        return {name: {(f"c{at}", 0): Answer("yes" if at % 2 else "no") for at in range(n)} for name in names}

    return replace(data, answers=Answers(read)), asked


def test_a_strategy_that_looks_at_answers_is_compared_with_them_on_both_halves() -> None:
    data, asked = with_answers()
    policy = Escalating()
    assert isinstance(policy, Checking)
    assert not isinstance(with_baselines([], data.models)[0], Checking)
    comparison = compare(data, with_baselines([policy], data.models), seeds=[42])
    own = comparison["escalating"]
    half = comparison.half
    wrong = float(np.mean([int(name[1:]) % 2 == 0 for name in half.test.cases.ids]))
    assert own.quality == 1
    assert own.cost_usd_per_1k == pytest.approx(1000 * (1 + 10 * wrong))
    # Halves share what was read.
    assert asked == [("tool",)]


def test_there_is_one_way_from_a_strategy_to_a_replay() -> None:
    data, _ = with_answers()
    policy: Strategy = Escalating().fit(data)
    for curve in (decided(policy, data), decided_out_of_fold(policy, data)):
        found = replay(data, curve[0]).escalated
        assert found is not None
        assert found.mean() == 0.5
    assert np.all(data.status == OK)
