"""Exploration: what is drawn, with which chance, and what is never touched."""

from __future__ import annotations

from collections import Counter

import pytest

from routebench.rules.contents import BUDGET, NAMED, STICKY
from routebench.rules.exploring import explored
from routebench.types import Decision

POOL = ("nano", "mini", "large")
N = 3_000
DRAWS = [(number + 0.5) / N for number in range(N)]
"""Every draw once: shares over them are chances."""


def decided(*chain: str, rule: str = "default", cascade: str | None = None) -> Decision:
    return Decision(chain, rule, "", cascade=cascade, wanted=chain[0] if chain else None, eligible=POOL)


def anybody(_name: str) -> bool:
    return True


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("first", ["mini", "ill"])
def test_the_chance_that_is_told_is_that_with_which_a_model_comes_first(first: str, share: float) -> None:
    found = [explored(decided(first, "large"), POOL, share, drawn, anybody) for drawn in DRAWS]
    came = Counter(one.chain[0] for one in found)
    told = {(one.chain[0], one.propensity) for one in found}
    assert len(told) == len(came)
    for name, chance in told:
        assert chance == pytest.approx(came[name] / N, abs=1.5 / N)
    assert sum(one.explored for one in found) == pytest.approx(share * N, abs=1)


@pytest.mark.parametrize("drawn", [0.0, 0.999_999_999_999_999_9])
def test_the_ends_of_the_draw_are_models_too(drawn: float) -> None:
    assert explored(decided("mini"), POOL, 1.0, drawn, anybody).chain[0] in POOL


def test_what_a_client_may_not_use_is_not_drawn() -> None:
    found = [explored(decided("mini", "nano"), POOL, 0.6, drawn, lambda name: name != "large") for drawn in DRAWS]
    assert {one.chain[0]: one.propensity for one in found} == {"mini": pytest.approx(0.7), "nano": pytest.approx(0.3)}


@pytest.mark.parametrize("rule", [BUDGET, NAMED, STICKY])
def test_who_is_bound_is_not_moved(rule: str) -> None:
    decision = decided("mini", rule=rule)
    assert explored(decision, POOL, 1.0, 0.0, anybody) is decision


@pytest.mark.parametrize(("pool", "share"), [(("mini",), 1.0), ((), 1.0), (POOL, 0.0)])
def test_where_there_is_nothing_to_draw_no_chance_is_told(pool: tuple[str, ...], share: float) -> None:
    decision = decided("mini")
    assert explored(decision, pool, share, 0.0, anybody) is decision
    assert explored(decided(), POOL, 1.0, 0.0, anybody).propensity is None


def test_what_is_drawn_is_seen_by_itself_and_the_chain_stands_behind_it() -> None:
    decision = decided("mini", "large", cascade="whole")
    moved = explored(decision, POOL, 1.0, 0.0, anybody)
    assert (moved.chain, moved.cascade, moved.explored) == (("nano", "mini", "large"), None, True)
    stayed = explored(decision, POOL, 1.0, 0.5, anybody)
    assert (stayed.chain, stayed.cascade, stayed.explored) == (("mini", "large"), "whole", True)
    last = explored(decision, POOL, 1.0, 0.9, anybody)
    assert last.chain == ("large", "mini")
