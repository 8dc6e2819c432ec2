from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.evaluate import Outcomes
from routebench.export.openings import openings_of
from routebench.rules import RuleSet
from tests.export.matrix import outcomes_of

RULES = """
schema: routebench/rules/v1
name: two
models:
  small: {provider: openai, model: small}
  large: {provider: openai, model: large}
cascade: {form: {json: true}}
rules:
  - {name: tables, when: {any_keyword: [table]}, route: [small, large], cascade: form}
default: {route: [small, large]}
"""
N = 80


def graded(small: float, large: float, *, large_usd: float = 0.01) -> Outcomes:
    """A half of the cases takes the cascade; of these so many are right by each model."""
    texts = ["a table" if place % 2 else "hello" for place in range(N)]
    at = np.arange(N) // 2
    scores = {"small": (at < small * N / 2).astype(float), "large": (at < large * N / 2).astype(float)}
    return outcomes_of(texts, scores=scores, costs_usd={"small": np.full(N, 0.001), "large": np.full(N, large_usd)})


@pytest.fixture
def ruleset() -> RuleSet:
    return RuleSet.parse(RULES)


def test_the_order_with_the_better_score_is_taken_and_both_are_told(ruleset: RuleSet) -> None:
    [opening] = openings_of(ruleset, graded(0.5, 0.75))
    assert (opening.part, opening.as_written) == ("rule tables", False)
    assert opening.why == (
        "replayed on 40 cases, large first scores 75.0% at $10.000 for 1,000 requests, and small first scores 50.0% at "
        "$1.000 for 1,000 requests"
    )
    [opening] = openings_of(ruleset, graded(0.75, 0.5))
    assert opening.as_written
    assert opening.why.startswith("replayed on 40 cases, small first scores 75.0% at $1.000")


@pytest.mark.parametrize(("large_usd", "as_written"), [(0.01, True), (0.0001, False), (np.nan, False)])
def test_of_equally_good_orders_the_cheaper_is_taken(ruleset: RuleSet, large_usd: float, as_written: bool) -> None:
    [opening] = openings_of(ruleset, graded(0.5, 0.5, large_usd=large_usd))
    assert opening.as_written is as_written
    assert ("at n/a for 1,000 requests" in opening.why) == bool(np.isnan(large_usd))


def test_too_few_cases_decide_nothing(ruleset: RuleSet) -> None:
    outcomes = graded(0.75, 0.5)
    [opening] = openings_of(ruleset, outcomes.take(np.arange(40)))
    assert not opening.as_written
    assert opening.why == "of the suite's cases 20 take it and are graded, too few to decide on another"


def test_cases_that_another_rule_takes_play_no_part(ruleset: RuleSet) -> None:
    outcomes = graded(0.5, 0.75)
    score = outcomes.score.copy()
    score[::2] = [[[1.0], [0.0]]]
    assert openings_of(ruleset, replace(outcomes, score=score)) == openings_of(ruleset, outcomes)


def test_models_without_outcomes_leave_it_on_the_safe_side() -> None:
    told = RuleSet.parse(RULES.replace("large", "huge"))
    [opening] = openings_of(told, graded(0.75, 0.5))
    assert (opening.as_written, opening.why) == (False, "the suite has no outcomes of huge")


def test_without_a_cascade_there_is_nothing_to_open() -> None:
    text = RULES.replace(", cascade: form", "").replace("cascade: {form: {json: true}}\n", "")
    assert openings_of(RuleSet.parse(text), graded(0.5, 0.5)) == ()
