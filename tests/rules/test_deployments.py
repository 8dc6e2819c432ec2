from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from routebench.errors import InputError, NoEligibleModelError
from routebench.rules import Default, Guard, Router, RuleSet
from routebench.types import Answer, Decision
from tests.conftest import make_model

TEXT = """
schema: routebench/rules/v1
name: t
models:
  small: {provider: openai, model: s, region: us}
  large:
    provider: openai
    model: l
    key_env: LARGE_KEY
    deployments:
      - {base_url: "https://eu.example.com/v1", weight: 3, region: eu}
      - {base_url: "https://us.example.com/v1", weight: 1, region: us, key_env: US_KEY}
  none: {provider: openai, model: n}
guards:
  - {name: residency, when: {metadata.data: eu}, regions: [eu]}
  - {name: home, when: {metadata.home: true}, regions: [us, ch]}
default: {route: [small, large, none]}
"""


def decide(router: Router, text: str = "hi", **known: Any) -> Any:
    return router.route([{"role": "user", "content": text}], **known)


def test_deployments_share_by_weight_and_a_conversation_stays_with_its_place() -> None:
    router = Router(RuleSet.parse(TEXT))
    decisions = [decide(router, f"hi {number}", model="large") for number in range(400)]
    drawn = Counter(router.deployment(one).name for one in decisions)
    assert set(drawn) == {"large#1", "large#2"}
    assert 0.66 < drawn["large#1"] / 400 < 0.84
    assert [router.deployment(one).name for one in decisions] == [router.deployment(one).name for one in decisions]
    place = router.deployment(decide(router))
    assert (place.name, place.region, place.key_env) == ("small", "us", None)


def test_deployments_take_from_the_model_what_they_do_not_say() -> None:
    ruleset = RuleSet.parse(TEXT)
    first, second = ruleset.deployments_of("large")
    assert (first.key_env, first.base_url, first.weight) == ("LARGE_KEY", "https://eu.example.com/v1", 3.0)
    assert (second.key_env, second.region) == ("US_KEY", "us")
    assert RuleSet.parse(ruleset.to_yaml()) == ruleset


def test_a_guard_on_regions_leaves_the_places_inside_and_no_unknown_ones() -> None:
    router = Router(RuleSet.parse(TEXT))
    for number in range(50):
        decision = decide(router, f"hi {number}", metadata={"data": "eu"})
        assert decision.chain == ("large",)
        assert router.deployment(decision).region == "eu"
    assert decide(router, metadata={"home": True}).chain == ("small", "large")
    # Each guard finds a place of `large`, but no place satisfies both.
    with pytest.raises(NoEligibleModelError, match="residency, home"):
        decide(router, metadata={"data": "eu", "home": True})


def test_a_named_model_is_asked_or_nothing_is() -> None:
    models = {name: make_model(name) for name in ("small", "large")}
    guard = Guard("legal", {"any_keyword": ["contract"]}, at_least="large")
    router = Router(RuleSet("t", models, Default(route=("small", "large")), guards=(guard,)))
    decision = decide(router, model="small")
    assert (decision.chain, decision.rule) == (("small",), "named")
    with pytest.raises(NoEligibleModelError, match="'small' may not take this request; guards legal hold"):
        decide(router, "a contract", model="small")
    with pytest.raises(InputError, match="did you mean 'small'"):
        decide(router, model="smal")


def test_a_decision_made_by_hand_cannot_go_on() -> None:
    router = Router(RuleSet.parse(TEXT))
    made = Decision(("small",), "x", "y")
    for work in (lambda: router.next(made, Answer("a")), lambda: router.hold(made), lambda: router.deployment(made)):
        with pytest.raises(ValueError, match=r"no request|no model"):
            work()


def test_a_failed_place_is_followed_by_another_of_the_same_model() -> None:
    router = Router(RuleSet.parse(TEXT))
    decision = decide(router, "hi 3", tags=())
    assert decision.chain == ("small", "large", "none")
    decision = router.next(decision, Answer(error_kind="server"))
    first = router.deployment(decision)
    decision = router.next(decision, Answer(error_kind="timeout"))
    second = router.deployment(decision)
    assert (decision.model, {first.name, second.name}) == ("large", {"large#1", "large#2"})
    last = router.next(decision, Answer(error_kind="server"))
    assert (last.chain, [one.deployment for one in last.tried]) == (("none",), [None, first.name, second.name])
    # What the request brings upon itself fares no better elsewhere.
    assert router.next(router.hold(decision), Answer(error_kind="content_filter")).chain == ("none",)
    # An application that asks the failed place again does not go round for ever.
    assert router.next(decision, Answer(error_kind="server"), deployment=first.name).chain == ("none",)


def test_a_guard_on_regions_holds_when_a_place_fails() -> None:
    router = Router(RuleSet.parse(TEXT))
    decision = decide(router, metadata={"data": "eu"})
    after = router.next(decision, Answer(error_kind="server"))
    assert (after.chain, after.answered_by) == ((), None)


def test_health_is_kept_of_places() -> None:
    clock = [0.0]
    text = TEXT + "health: {min_requests: 4, min_errors: 2}\n"
    router = Router(RuleSet.parse(text), clock=lambda: clock[0])
    for _ in range(6):
        router.observe("large", Answer(error_kind="server"), deployment="large#1")
    drawn = {router.deployment(decide(router, f"hi {number}", model="large")).name for number in range(40)}
    assert drawn == {"large#2"}
    assert decide(router).chain == ("small", "large", "none")
    for _ in range(6):
        router.observe("large", Answer(error_kind="server"), deployment="large#2")
        router.observe("small", Answer(error_kind="server"))
    assert decide(router).chain == ("none", "small", "large")
    # Guards stand above health: there is one place inside, well or not.
    decision = decide(router, metadata={"data": "eu"})
    assert router.deployment(decision).name == "large#1"


def test_a_call_that_hangs_is_seen_before_it_ends() -> None:
    clock = [0.0]
    router = Router(
        RuleSet.parse(TEXT + "health: {min_requests: 4, min_errors: 2, p90_s: {small: 1.0}}\n"), clock=lambda: clock[0]
    )
    waiting = [(decision, router.started(decision)) for decision in (decide(router) for _ in range(8))]
    assert decide(router).model == "small"
    clock[0] = 2.0
    assert decide(router).chain == ("large", "none", "small")
    decision, ticket = waiting[0]
    after = router.next(decision, Answer(error_kind="timeout", latency_s=2.0), ticket=ticket)
    assert after.model == "large"
    plain = Router(RuleSet.parse(TEXT))
    assert plain.started(decide(plain)) is None
