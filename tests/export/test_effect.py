from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate.outcomes import ERROR
from routebench.export.effect import agreement, effect_of, effect_on
from routebench.export.litellm.exporter import export_litellm
from routebench.export.unchecked import openings_as_written
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


def test_chains_are_those_that_the_target_has() -> None:
    ruleset = RuleSet.parse(
        RULES.replace("rules:\n", "rules:\n  - {name: x, when: {any_keyword: [x]}, route: [small]}\n")
    )
    exported = replace(export_litellm(ruleset), ruleset=ruleset, holds=lambda chain: chain[:1])
    found = effect_on(ruleset, exported, asked("hi", "x", "a contract", GERMAN))
    assert (found.agreement.first, found.agreement.chain) == (1.0, 0.5)


def test_what_the_target_does_not_have_of_a_chain_is_not_replayed(ruleset: RuleSet) -> None:
    n = 60
    outcomes = outcomes_of(
        ["hello"] * n,
        scores={"small": np.ones(n), "large": np.ones(n)},
        costs_usd={"small": np.full(n, 0.001), "large": np.full(n, 0.01)},
    )
    status = outcomes.status.copy()
    status[: n // 2, 0] = ERROR
    outcomes = replace(outcomes, status=status)
    whole = replace(export_litellm(ruleset), ruleset=ruleset)
    cut = replace(whole, holds=lambda chain: chain[:1])
    answered = effect_of(ruleset, cut, outcomes.take(np.arange(n // 2, n)))
    assert answered.agreement.chain == 0.0
    assert answered.sentences[-1] == "No recorded outcome changes, so quality and cost are what was measured."
    assert effect_of(ruleset, whole, outcomes).sentences[1].startswith("Nothing moves")
    told = effect_of(ruleset, cut, outcomes).as_dict()
    assert told["quality"]["delta"] == pytest.approx(-0.5)
    none = effect_of(ruleset, replace(whole, holds=lambda _: ()), outcomes)
    assert none.as_dict()["quality"]["delta"] == pytest.approx(-1.0)
    assert none.agreement.first == 0.0


def test_a_chain_without_its_check_is_another_chain() -> None:
    text = RULES.replace("route: [small, large]}\n", "route: [small, large], cascade: form}\n")
    checked = RuleSet.parse(text.replace("default:", "cascade: {form: {json: true}}\ndefault:"))
    found = effect_on(checked, export_litellm(checked, openings=openings_as_written(["default"])), asked("hi"))
    assert (found.agreement.first, found.agreement.chain) == (1.0, 0.0)


def test_rules_that_ask_for_the_time_agree_by_their_share_of_the_week() -> None:
    ruleset = RuleSet.parse(RULES.replace("{language: de}", "{time: {days: [sat, sun]}}"))
    exported = export_litellm(ruleset)
    found = effect_on(ruleset, exported, asked("hi"))
    assert found.agreement.first == pytest.approx(5 / 7, abs=0.001)
    n = 40
    ones = np.ones(n)
    outcomes = outcomes_of(["hi"] * n, scores={"small": ones, "large": ones}, costs_usd={"small": ones, "large": ones})
    told = effect_of(ruleset, exported, outcomes)
    assert told.moved is None
    assert told.sentences[-1] == "What it does to quality and cost is n/a: the rules ask for the time."
