from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.errors import OutcomesError
from routebench.export.effect import agreement, effect_of, effect_on
from routebench.export.litellm.exporter import export_litellm
from routebench.rules import RuleSet
from routebench.types import Request
from tests.export.matrix import outcomes_of

RULES = """
schema: routebench/rules/v1
name: two
models:
  small: {provider: openai, model: small}
  large: {provider: openai, model: large}
rules:
  - {name: legal, when: {any_keyword: [contract]}, route: [large]}
  - {name: german, when: {language: de}, route: [large, small]}
default: {route: [small, large]}
"""
GERMAN = "Das ist der Vertrag und die Anlage für das Haus, das wir nicht mehr haben"


def asked(*texts: str) -> list[Request]:
    return [Request(messages=({"role": "user", "content": text},)) for text in texts]


@pytest.fixture
def ruleset() -> RuleSet:
    return RuleSet.parse(RULES)


def test_agreement_is_told_over_all_and_by_rule_the_largest_first(ruleset: RuleSet) -> None:
    reduced = export_litellm(ruleset).ruleset
    every, *rules = agreement(ruleset, reduced, asked("hi", "ho", "a contract", GERMAN))
    assert (every.rule, every.n, every.first, every.chain) == ("all", 4, 0.75, 0.75)
    assert [(one.rule, one.n, one.first) for one in rules] == [
        ("default", 2, 1.0),
        ("legal", 1, 1.0),
        ("german", 1, 0.0),
    ]


def test_a_chain_that_differs_later_agrees_in_its_first_model_alone(ruleset: RuleSet) -> None:
    other = replace(ruleset, default=replace(ruleset.default, route=("small",)))
    every = agreement(ruleset, other, asked("hi"))[0]
    assert (every.first, every.chain) == (1.0, 0.0)


def test_without_prompts_nothing_is_told(ruleset: RuleSet) -> None:
    with pytest.raises(OutcomesError, match="no prompts"):
        agreement(ruleset, ruleset, [])


def test_on_prompts_alone_quality_and_cost_stay_unknown(ruleset: RuleSet) -> None:
    found = effect_on(ruleset, export_litellm(ruleset), asked("hi", GERMAN))
    assert found.moved is None
    assert found.as_dict()["quality"] is None
    assert found.sentences[0].startswith("50.0% of 2 prompts go to the same model")
    assert "german (1 of 1)" in found.sentences[1]


def test_the_effect_on_quality_and_cost_is_that_of_the_prompts_that_move(ruleset: RuleSet) -> None:
    n = 60
    texts = [GERMAN if place % 2 else "hello there" for place in range(n)]
    outcomes = outcomes_of(
        texts,
        scores={"small": np.where(np.arange(n) % 4 == 1, 0.0, 1.0), "large": np.ones(n)},
        costs_usd={"small": np.full(n, 0.001), "large": np.full(n, 0.01)},
    )
    found = effect_of(ruleset, export_litellm(ruleset), outcomes)
    assert found.moved is not None
    told = found.as_dict()
    assert told["quality"]["delta"] == pytest.approx(-0.25)
    assert told["cost_usd_per_1k"]["delta"] == pytest.approx(-4.5)
    said = " ".join(found.sentences)
    assert "The loss costs 25.0 points [" in said
    assert "It saves $4.500 for 1,000 requests" in said


def test_where_nothing_moves_it_says_so(ruleset: RuleSet) -> None:
    n = 40
    ones = np.ones(n)
    outcomes = outcomes_of(
        ["hello"] * n, scores={"small": ones, "large": ones}, costs_usd={"small": ones, "large": ones}
    )
    found = effect_of(ruleset, export_litellm(ruleset), outcomes)
    assert found.sentences[1:] == ("Nothing moves, so quality and cost are what was measured.",)
