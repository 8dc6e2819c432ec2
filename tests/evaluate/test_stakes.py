from __future__ import annotations

import numpy as np
import pytest

from routebench.evaluate import Cases, Outcomes, damage_of, with_stakes
from routebench.evaluate.outcomes import OK
from tests.conftest import make_case


def outcomes(**stakes: float) -> Outcomes:
    cases = [
        make_case("a", category="law", stakes_usd=7.0),
        make_case("b", category="law", tags=("vip",)),
        make_case("c", category="chat", tags=("vip", "old")),
        make_case("d", category="chat"),
    ]
    shape = (4, 1, 1)
    filled = np.full(shape, 0.5)
    found = Outcomes("s", Cases.of(cases), ("m",), np.full(shape, OK, dtype=np.int8), filled, filled, filled)
    return with_stakes(found, stakes)


def test_damage_is_what_is_lost_where_stakes_are_known() -> None:
    score = np.array([1.0, 0.5, 0.0, 0.0, np.nan])
    stakes = np.array([10.0, 4.0, 1.0, np.nan, 100.0])
    found = damage_of(score, stakes, np.ones(5))
    assert found.usd_per_1k == pytest.approx(1000 * (0 + 2 + 1) / 3)
    assert (found.n, found.n_unknown) == (3, 2)
    assert "of 2 others the stakes are unknown" in found.reading


def test_damage_is_weighted_by_the_requests_that_cases_stand_for() -> None:
    found = damage_of(np.array([0.0, 1.0]), np.array([6.0, 6.0]), np.array([1.0, 2.0]))
    assert found.usd_per_1k == pytest.approx(2000)


def test_without_stakes_the_damage_is_unknown_and_not_nothing() -> None:
    found = damage_of(np.array([0.0, 1.0]), np.full(2, np.nan), np.ones(2))
    assert found.usd_per_1k is None
    assert found.as_dict() == {"usd_per_1k": None, "n": 0, "n_unknown": 2}
    assert "unknown" in found.reading


def test_a_case_keeps_its_own_stakes_and_of_its_classes_the_highest_count() -> None:
    found = outcomes(law=1.0, vip=3.0, old=2.0).cases.stakes_usd
    assert found[:3].tolist() == [7.0, 3.0, 3.0]
    assert np.isnan(found[3])


def test_stakes_of_nothing_are_stakes_and_not_unknown() -> None:
    found = outcomes(chat=0.0).cases.stakes_usd
    assert found[3] == 0.0
    assert np.isnan(found[1])
