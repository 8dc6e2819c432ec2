from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.errors import RulesError
from routebench.rules import Deployment, Router, RuleSet, check_golden, make_golden
from routebench.rules.learned.llm_classifier import DEFAULT_PROMPT, LlmClassifier
from routebench.rules.reading.request import Reading
from routebench.types import Answer, Request

RULES = """
schema: routebench/rules/v1
name: t
models:
  small:
    provider: openai
    model: s
    deployments:
      - {base_url: "http://eu/v1", region: eu}
      - {base_url: "http://us/v1", region: us}
  large: {provider: openai, model: l, region: eu}
guards:
  - {name: secret, when: {any_keyword: [salary]}, only: [large]}
  - {name: residency, when: {metadata.data_class: eu}, regions: [eu]}
complexity:
  classifier: {kind: llm, model: small}
  tiers: [{below: 0.5, route: [small, large]}, {route: [large, small]}]
default: {route: [small]}
"""
HELLO = [{"role": "user", "content": "hello"}]


class Asked:
    """An application that asks nobody, and remembers what it was told to ask."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls: list[tuple[str, Deployment, Request]] = []

    def __call__(self, model: str, place: Deployment, request: Request) -> Answer:
        self.calls.append((model, place, request))
        return self.answer


def router(answer: Answer | str, text: str = RULES, **known: Any) -> tuple[Router, Asked]:
    asked = Asked(Answer(answer) if isinstance(answer, str) else answer)
    return Router(RuleSet.parse(text), ask=asked, **known), asked


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("1", 0.0),
        ("5", 1.0),
        ("4", 0.75),
        (" **2** ", 0.25),
        ("3.5/5", 0.625),
        ("Rating: 4.", 0.75),
        ("9, no, 2", 0.25),
    ],
)
def test_the_first_number_on_the_scale_counts(text: str, score: float) -> None:
    assert LlmClassifier("small").score(Answer(text)) == score


@pytest.mark.parametrize(
    "answer", [Answer("hard"), Answer("0"), Answer("6"), Answer(None), Answer("5", error_kind="timeout")]
)
def test_an_answer_that_says_nothing_is_no_score(answer: Answer) -> None:
    assert LlmClassifier("small").score(answer) is None


@given(st.text(max_size=60), st.sampled_from([(1.0, 5.0), (0.0, 1.0), (-3.0, 3.0)]))
def test_a_score_is_a_share_of_the_scale(text: str, scale: tuple[float, float]) -> None:
    score = LlmClassifier("small", scale=scale).score(Answer(text))
    assert score is None or 0 <= score <= 1


def test_the_model_is_asked_about_the_last_user_message_and_nothing_of_it_is_a_place() -> None:
    asked = LlmClassifier("small", "From {low} to {high}: {prompt}", (0, 10)).request(
        Reading(Request(({"role": "system", "content": "s"}, {"role": "user", "content": "why {low} {prompt}?"})))
    )
    assert asked.messages == ({"role": "user", "content": "From 0 to 10: why {low} {prompt}?"},)
    assert DEFAULT_PROMPT.count("{prompt}") == 1


@pytest.mark.parametrize(("said", "chain"), [("2", ("small", "large")), ("5", ("large", "small"))])
def test_the_score_chooses_the_tier(said: str, chain: tuple[str, ...]) -> None:
    made, asked = router(said)
    decision = made.route(HELLO)
    assert (decision.chain, decision.rule) == (chain, "complexity")
    assert decision.why.startswith("complexity by small ")
    assert [(model, request.messages[0]["content"]) for model, _, request in asked.calls] == [
        ("small", DEFAULT_PROMPT.replace("{low}", "1").replace("{high}", "5").replace("{prompt}", "hello"))
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer("that depends"), "an answer without a number on the scale"),
        (Answer(error_kind="timeout"), "timeout"),
    ],
)
def test_without_a_score_the_default_decides_and_says_so(answer: Answer, why: str) -> None:
    decision = router(answer)[0].route(HELLO)
    assert (decision.chain, decision.rule) == (("small",), "default")
    assert decision.why == f"no rule matches; small did not say how complex it is ({why})"


def test_a_model_that_may_not_take_the_request_is_not_asked_about_it() -> None:
    made, asked = router("1")
    decision = made.route([{"role": "user", "content": "the salary of Ann"}])
    assert (decision.chain, asked.calls) == (("large",), [])
    assert "small may not be asked how complex it is" in decision.why


def test_it_is_asked_where_the_request_may_be_processed() -> None:
    made, asked = router("1")
    for number in range(20):
        made.route([{"role": "user", "content": f"hello {number}"}], metadata={"data_class": "eu"})
    assert {place.region for _, place, _ in asked.calls} == {"eu"}
    for number in range(20):
        made.route([{"role": "user", "content": f"hello {number}"}])
    assert {place.region for _, place, _ in asked.calls} == {"eu", "us"}


def test_nobody_is_asked_about_a_conversation_that_stays_with_its_model() -> None:
    made, asked = router("5")
    assert made.route(HELLO, previous="small").chain == ("small",)
    assert made.route(HELLO, previous="small", model="large").chain == ("large",)
    assert asked.calls == []
    assert router("5", RULES + "sticky: none\n")[0].route(HELLO, previous="small").chain == ("large", "small")


def test_a_decision_holds_what_was_paid_for_it() -> None:
    answer = Answer("5", cost_usd=0.001, latency_s=0.3)
    assert router(answer)[0].route(HELLO).consulted == (answer,)
    failed = Answer(error_kind="timeout", cost_usd=0.002)
    assert router(failed)[0].route(HELLO).consulted == (failed,)
    assert router(answer)[0].route([{"role": "user", "content": "salary"}]).consulted == ()


def test_a_tier_that_guards_leave_nothing_of_leaves_it_to_the_default() -> None:
    text = RULES.replace("only: [large]", "only: [small]").replace("{route: [large, small]}", "{route: [large]}")
    made, asked = router("5", text)
    decision = made.route([{"role": "user", "content": "the salary of Ann"}])
    assert (decision.chain, decision.rule, len(asked.calls)) == (("small",), "default", 1)
    assert decision.why.endswith("no model of its tier may take a complexity of 1.000")
    assert len(decision.consulted) == 1


def test_what_asking_cost_and_how_it_went_is_counted() -> None:
    text = RULES + "budget: {usd_per_day: 1}\nhealth: {min_errors: 2, min_requests: 2}\n"
    made, _ = router(
        Answer(error_kind="server", cost_usd=0.25, latency_s=1.0),
        text,
        now=lambda: datetime(2026, 6, 1, 12, tzinfo=UTC),
    )
    made.route(HELLO)
    assert made.ledger is not None
    assert made.ledger.spent_usd == 0.25
    for _ in range(3):
        made.route(HELLO)
    assert made.health is not None
    assert "open" in {made.health.state(name) for name in ("small#1", "small#2")}
    # The day is spent: nobody is asked, and the cheapest models take over.
    assert made.route(HELLO).rule == "budget"


def test_loading_needs_no_hook_and_deciding_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    made = Router.load(tmp_path / "rules.yaml")
    with pytest.raises(RulesError, match=r"'t' has 'small' asked before it decides.*Router\(ruleset, ask=ask\)"):
        made.route(HELLO)
    # Whoever is named or forbidden is decided without asking.
    assert made.route(HELLO, model="large").chain == ("large",)
    assert Router.load(tmp_path / "rules.yaml", ask=Asked(Answer("5"))).route(HELLO).chain == ("large", "small")


def test_golden_decisions_are_checked_where_somebody_asks() -> None:
    ruleset = RuleSet.parse(RULES)
    requests = [Request(tuple(HELLO)), Request(({"role": "user", "content": "salary"},))]
    assert [golden.decision for golden in make_golden(ruleset, requests)] == [("large",)]
    made = make_golden(ruleset, requests, ask=Asked(Answer("5")))
    assert [golden.decision for golden in made] == [("large", "small"), ("large",)]
    kept = RuleSet(**{**_fields(ruleset), "golden": made})
    assert (check_golden(kept).failed, check_golden(kept).unseen, check_golden(kept).unasked) == ((), (), (1,))
    assert check_golden(kept, ask=Asked(Answer("5"))).unasked == ()
    (failed,) = check_golden(kept, ask=Asked(Answer("1"))).failed
    assert (failed.number, failed.got) == (1, ("small", "large"))


def _fields(ruleset: RuleSet) -> dict[str, Any]:
    return {name: getattr(ruleset, name) for name in RuleSet.__dataclass_fields__}


def test_an_explanation_asks_and_tells_the_tiers() -> None:
    decision = router("5")[0].explain(HELLO)
    assert decision.counterfactuals == ("tiers: below 0.5: small > large, else large > small",)


@pytest.mark.parametrize(
    ("classifier", "says"),
    [
        ("{kind: llm}", "an llm classifier needs `model`, one of `models`"),
        ("{kind: llm, model: smal}", "no model 'smal' (did you mean 'small'?)"),
        ("{kind: llm, model: small, prompt: rate this}", "has no `{prompt}`"),
        ("{kind: llm, model: small, scale: [5, 1]}", "a scale is [low, high]"),
        ("{kind: llm, model: small, scale: [1]}", "scale"),
        ("{kind: llm, model: small, scale: [1, .inf]}", "a finite number"),
        ("{kind: llm, model: small, weights: {digits: 1}}", "an llm classifier has no weights: leave it out"),
        ("{kind: heuristic, weights: {digits: 1}, model: small}", "a heuristic classifier has no model"),
    ],
)
def test_settings_that_do_not_fit_say_the_mend(classifier: str, says: str) -> None:
    with pytest.raises(RulesError) as raised:
        RuleSet.parse(RULES.replace("{kind: llm, model: small}", classifier))
    assert says in str(raised.value)
    assert str(raised.value).startswith("rules.yaml:")


@pytest.mark.parametrize("more", ["", ", scale: [0, 10]", ", prompt: 'rate: {prompt}'"])
def test_it_is_written_as_it_was_read(more: str) -> None:
    ruleset = RuleSet.parse(RULES.replace("model: small}", f"model: small{more}}}"))
    assert RuleSet.parse(ruleset.to_yaml()) == ruleset
    said: Callable[[str], Any] = RuleSet.parse
    assert (said(RULES).policy_sha256 == ruleset.policy_sha256) is (not more)
