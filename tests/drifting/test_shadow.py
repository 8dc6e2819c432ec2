"""What the rules in the shadow would have decided."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routebench.drifting import Served, drift
from routebench.drifting.shadow import shadows
from tests.drifting.production import LARGE, SMALL, frame, requests, rules, served


def test_agreement_by_rule_and_where_they_differ() -> None:
    traces = [
        replace(one, shadow_rules="new", shadow_chain=(SMALL,) if one.rule == "long" and place % 2 else one.chain)
        for place, one in enumerate(served(rules(), requests(800)))
    ]
    found = shadows(Served.of(frame(traces)))
    assert [one.rules for one in found] == ["new"]
    differs = sum(one.shadow_chain != one.chain for one in traces)
    assert found[0].agreement.mean == pytest.approx(1 - differs / 800)
    assert found[0].agreement.ci95 is not None
    assert found[0].flows == ((LARGE, SMALL, differs),)
    assert [one.rule for one in found[0].by_rule] == ["long", "default"]
    assert found[0].by_rule[1].agreement.mean == 1.0


def test_a_shadow_that_finds_no_model_differs() -> None:
    traces = [replace(one, shadow_rules="new", shadow_chain=()) for one in served(rules(), requests(60))]
    found = shadows(Served.of(frame(traces)))
    assert found[0].agreement.mean == 0.0
    assert {after for _, after, _ in found[0].flows} == {None}


def test_explored_requests_and_those_without_a_shadow_do_not_count() -> None:
    traces = served(rules(), requests(90))
    traces[:60] = [
        replace(one, shadow_rules="new", shadow_chain=one.chain, explored=place < 20)
        for place, one in enumerate(traces[:60])
    ]
    assert shadows(Served.of(frame(traces)))[0].n == 40
    assert shadows(Served.of(frame(served(rules(), requests(5))))) == ()


def test_agreement_is_read_out() -> None:
    traces = [replace(one, shadow_rules="new", shadow_chain=one.chain) for one in served(rules(), requests(60))]
    found = drift(frame(traces), rules(), None)
    text = next(one.text for one in found.readings if one.topic == "shadow")
    assert text.startswith("new in the shadow would ask the same model first for 100.0% [")
    assert text.endswith("of 60 requests.")
