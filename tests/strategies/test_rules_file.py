"""Rule sets whose decisions depend on answers and on the time of day, replayed as they will run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from routebench.errors import OutcomesError
from routebench.evaluate import Answers, Cases, Checking, Outcomes, decided, decided_out_of_fold, replay
from routebench.evaluate.choices import ACCEPTED, NOBODY, REFUSED, UNTOLD
from routebench.evaluate.outcomes import ERROR, MISSING, OK
from routebench.rules import Router, RuleSet
from routebench.strategies import RulesFile, decide_all
from routebench.strategies.times import own_time
from routebench.types import Answer, Case, Request
from tests.conftest import make_case

HEAD = """
schema: routebench/rules/v1
name: r
models:
  small: {provider: openai, model: s}
  middle: {provider: openai, model: m}
  large: {provider: openai, model: l}
"""
JSON_FIRST = (
    HEAD
    + """
cascade:
  parses: {json: true}
rules:
  - {name: code, when: {any_keyword: [code]}, route: [large]}
default: {route: [small, middle, large], cascade: parses}
"""
)
NIGHT = (
    HEAD
    + """
rules:
  - {name: night, when: {time: {after: "22:00", before: "04:00"}, any_keyword: [batch]}, route: [small]}
default: {route: [large]}
"""
)
NAMES = ("large", "small", "middle")
"""In another order than the rule set has them."""


def rows(*prompts: str, said: Mapping[tuple[int, str], Any] | None = None, samples: int = 1) -> Outcomes:
    """Every model answers every prompt with a text that is no JSON, and is right; `said` says otherwise."""
    n = len(prompts)
    status = np.full((n, 3, samples), OK, dtype=np.int8)
    cost = np.broadcast_to(np.array([10.0, 1.0, 3.0])[None, :, None], status.shape).copy()
    answers = {name: {(f"c{at}", one): Answer("no") for at in range(n) for one in range(samples)} for name in NAMES}
    for (at, name), what in (said or {}).items():
        if isinstance(what, int):
            status[at, NAMES.index(name), 0] = what
        elif what is None:
            del answers[name][f"c{at}", 0]
        else:
            answers[name][f"c{at}", 0] = what if isinstance(what, Answer) else Answer(what)
    score = np.where(status == OK, np.array([1.0, 0.25, 0.5])[None, :, None], np.nan)
    cases = Cases.of([make_case(f"c{at}", prompt) for at, prompt in enumerate(prompts)])
    data = Outcomes("s", cases, NAMES, status, score, cost, np.ones(status.shape))
    return replace(data, answers=Answers(lambda names: {name: answers[name] for name in names}))


def test_an_answer_that_does_not_pass_goes_on_to_the_next_model() -> None:
    data = rows("a", "b", "c", "write code", said={(0, "small"): "{}", (1, "middle"): "[1]"})
    policy = RulesFile(RuleSet.parse(JSON_FIRST)).fit(data)
    assert isinstance(policy, Checking)
    found = replay(data, decided(policy, data)[0])
    np.testing.assert_allclose(found.score, [0.25, 0.5, 1, 1])
    np.testing.assert_allclose(found.cost_usd, [1, 4, 14, 10])
    assert found.escalated is not None
    np.testing.assert_allclose(found.escalated, [0, 1, 1, 0])
    np.testing.assert_allclose(found.latency_s[:, 0, 0], [1, 2, 3, 1])
    again = replay(data, decided_out_of_fold(policy, data)[0])
    np.testing.assert_array_equal(found.score, again.score)


def test_what_failed_is_not_looked_at_and_what_was_never_bought_stays_unknown() -> None:
    data = rows("a", "b", said={(0, "small"): ERROR, (0, "middle"): "{}", (1, "small"): MISSING})
    found = replay(data, decided(RulesFile(RuleSet.parse(JSON_FIRST)).fit(data), data)[0])
    np.testing.assert_allclose(found.score, [0.5, np.nan])
    np.testing.assert_allclose(found.cost_usd, [4, np.nan])
    assert found.escalated is not None
    assert found.escalated[0] == 0


@pytest.mark.parametrize(("otherwise", "score", "failed"), [("accept", 0.5, 0), ("fail", 0.0, 1)])
def test_when_the_strongest_fails_the_latest_answer_stands_unless_the_check_says_otherwise(
    otherwise: str, score: float, failed: float
) -> None:
    data = rows("a", said={(0, "large"): ERROR})
    text = JSON_FIRST.replace("{json: true}", f"{{json: true, otherwise: {otherwise}}}")
    found = replay(data, decided(RulesFile(RuleSet.parse(text)).fit(data), data)[0])
    assert (found.score[0], found.failed[0], found.cost_usd[0]) == (score, failed, 14)


def test_the_last_answer_is_checked_where_none_that_fails_may_be_given() -> None:
    data = rows("a", "b", said={(1, "large"): "{}"})
    text = JSON_FIRST.replace("{json: true}", "{json: true, otherwise: fail}")
    found = replay(data, decided(RulesFile(RuleSet.parse(text)).fit(data), data)[0])
    np.testing.assert_allclose(found.failed, [1, 0])


def test_every_sample_is_checked_by_itself() -> None:
    data = rows("a", said={(0, "small"): "{}"}, samples=2)
    found = replay(data, decided(RulesFile(RuleSet.parse(JSON_FIRST)).fit(data), data)[0])
    assert found.escalated is not None
    assert found.escalated[0] == 0.5
    assert found.cost_usd[0] == (1 + 14) / 2


def test_a_text_that_was_not_kept_leaves_its_case_unknown_and_texts_that_nobody_needs_are_not_missed() -> None:
    data = rows("a", "b", said={(0, "small"): None, (1, "small"): "{}", (1, "middle"): None, (1, "large"): None})
    choices = decided(RulesFile(RuleSet.parse(JSON_FIRST)).fit(data), data)[0]
    np.testing.assert_array_equal(replay(data, choices).missing, [True, False])
    checks = choices.checks[0]
    assert checks is not None
    assert checks.verdicts is not None
    assert checks.verdicts[:, 0, 0].tolist() == [UNTOLD, ACCEPTED]


def test_no_text_at_all_is_an_error_that_says_what_to_do() -> None:
    data = rows("a", "b", "code", said={(at, name): None for at in range(3) for name in NAMES})
    for nothing in (data, replace(data, answers=None)):
        policy = RulesFile(RuleSet.parse(JSON_FIRST)).fit(nothing)
        with pytest.raises(OutcomesError, match="of 2 cells of suite 's' no text is kept; replay it on a store with t"):
            decided(policy, nothing)


@pytest.mark.parametrize(
    ("demand", "whole", "lacking"),
    [
        ("finish: [stop]", Answer("{}", finish_reason="stop"), "finish reason"),
        ("min_confidence: 0.5", Answer("{}", confidence=0.5), "confidence"),
    ],
)
def test_what_was_not_recorded_of_an_answer_is_not_guessed(demand: str, whole: Answer, lacking: str) -> None:
    text = JSON_FIRST.replace("{json: true}", f"{{json: true, {demand}}}")
    said = {(0, "small"): whole, (1, "small"): "{}", (1, "middle"): whole, (2, "small"): "no", (2, "middle"): whole}
    data = rows("a", "b", "c", said=said)
    choices = decided(RulesFile(RuleSet.parse(text)).fit(data), data)[0]
    checks = choices.checks[0]
    assert checks is not None
    assert checks.verdicts is not None
    # The last one is no JSON, whatever else it is.
    assert checks.verdicts[:, 0, 0].tolist() == [ACCEPTED, UNTOLD, REFUSED]
    nowhere = rows("a", said={(0, "small"): "{}"})
    with pytest.raises(OutcomesError, match=f"the {lacking} is not recorded"):
        decided(RulesFile(RuleSet.parse(text)).fit(nowhere), nowhere)


def test_only_answers_that_something_comes_after_are_read() -> None:
    data, asked = rows("a", "code"), []

    def read(names: Sequence[str]) -> dict[str, dict[tuple[str, int], Answer]]:
        asked.append(set(names))
        return {name: {("c0", 0): Answer("no")} for name in names}

    data = replace(data, answers=Answers(read))
    decided(RulesFile(RuleSet.parse(JSON_FIRST)).fit(data), data)
    assert asked == [{"small", "middle"}]


def test_a_rule_for_the_night_is_replayed_by_its_share_of_the_week() -> None:
    data = rows("a batch job", "a question")
    choices = decided(RulesFile(RuleSet.parse(NIGHT)).fit(data), data)[0]
    assert sorted(share for share, _ in choices.parts) == pytest.approx([0.25, 0.75])
    found = replay(data, choices)
    np.testing.assert_allclose(found.score, [0.25 * 0.25 + 0.75 * 1, 1])
    np.testing.assert_allclose(found.cost_usd, [0.25 * 1 + 0.75 * 10, 10])
    assert found.latency_s.shape == (2, 2, 1)


def test_times_that_decide_nothing_make_no_parts() -> None:
    data = rows("a question", "another one")
    assert len(decided(RulesFile(RuleSet.parse(NIGHT)).fit(data), data)[0].parts) == 1


def test_a_case_that_tells_its_time_is_decided_at_that_time() -> None:
    def at(told: object) -> Case:
        message = {"role": "user", "content": "a batch job"}
        return Case(f"c-{told}", Request((message,), metadata={"at": told}))

    told = ["2026-03-01T23:30:00", "2026-03-01T23:30:00-08:00", "2026-03-01T12:00:00+00:00", "home"]
    ruleset = RuleSet.parse(NIGHT)
    choices = decide_all(Router(ruleset), ruleset.order, [at(one).request for one in told])
    assert [round(share, 6) for share, _ in sorted(choices.parts, key=lambda part: part[0])] == [0.25, 0.75]
    by_part = {round(share, 6): [ruleset.order[row[0]] for row in chains] for share, chains in choices.parts}
    assert by_part[0.75] == ["small", "large", "large", "large"]
    assert by_part[0.25] == ["small", "large", "large", "small"]
    when = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert own_time(at(when).request) == when
    assert own_time(at(7).request) is None


def test_conditions_on_the_pace_of_the_budget_do_not_hold_in_a_replay() -> None:
    text = (
        HEAD
        + """
budget: {usd_per_day: 10}
rules:
  - {name: fast, when: {budget_pace: {ge: 0}}, route: [small]}
  - {name: slow, when: {not: {budget_pace: {ge: 0}}}, route: [middle]}
default: {route: [large]}
"""
    )
    data = rows("a")
    assert replay(data, decided(RulesFile(RuleSet.parse(text)).fit(data), data)[0]).decided[0].tolist() == [1, 0, 0]


def test_cascades_and_times_go_together() -> None:
    text = NIGHT.replace("route: [small]", "route: [small, large], cascade: parses").replace(
        "rules:", "cascade:\n  parses: {json: true}\nrules:"
    )
    data = rows("a batch job", "another batch job", said={(0, "small"): "{}"})
    choices = decided(RulesFile(RuleSet.parse(text)).fit(data), data)[0]
    assert [one is not None for one in choices.checks].count(True) == 1
    found = replay(data, choices)
    np.testing.assert_allclose(found.cost_usd, [0.25 * 1 + 0.75 * 10, 0.25 * 11 + 0.75 * 10])
    assert found.escalated is not None
    np.testing.assert_allclose(found.escalated, [0, 0.25])


def test_a_request_that_no_model_may_take_fails_without_a_call() -> None:
    text = (
        HEAD
        + """
guards:
  - {name: a, when: {any_keyword: [secret]}, never: [small, middle]}
  - {name: b, when: {any_keyword: [cheap]}, never: [large]}
default: {route: [large]}
"""
    )
    ruleset = RuleSet.parse(text)
    requests = [make_case("x", "secret and cheap").request, make_case("y", "secret").request]
    chains = decide_all(Router(ruleset), ruleset.order, requests).parts[0][1]
    assert chains[0, 0] == NOBODY
    assert ruleset.order[chains[1, 0]] == "large"


def test_a_week_of_hours_is_what_the_parts_stand_for() -> None:
    """Deciding at every hour of a week, one by one, gives the shares of the parts."""
    from routebench.rules import Reading
    from routebench.rules.reading.request import Situation

    ruleset = RuleSet.parse(NIGHT.replace('before: "04:00"', 'before: "04:00", days: [fri, sat], timezone: Asia/Tokyo'))
    router, request = Router(ruleset), make_case("x", "a batch job").request
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    hours = [router.decide(Reading(request, Situation(begin + timedelta(hours=at)))).chain for at in range(7 * 24)]
    choices = decide_all(router, ruleset.order, [request])
    shares = {ruleset.order[chains[0, 0]]: share for share, chains in choices.parts}
    assert shares["small"] == pytest.approx(hours.count(("small",)) / len(hours))
    assert shares["small"] == pytest.approx(12 / 168)
