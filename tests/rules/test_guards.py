from __future__ import annotations

import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from routebench.errors import NoEligibleModelError
from routebench.rules import Budget, Default, Deployment, Guard, Reading, Router, Rule, RuleSet
from routebench.rules.guards import Gatekeeper, exceeds
from routebench.rules.health.health import HealthPolicy
from routebench.types import Answer, Request
from tests.conftest import make_model

NAMES = ("small", "mid", "large")
USER: dict[str, Any] = {"role": "user", "content": "x" * 40}


def ruleset(*guards: Guard, **fields: Any) -> RuleSet:
    models = {name: make_model(name) for name in NAMES}
    return RuleSet("t", models, Default(route=NAMES), guards=guards, **fields)


def reading(request: Request | None = None, **fields: Any) -> Reading:
    return Reading(request or Request((USER,), **fields))


def admitted(*guards: Guard, **known: Any) -> tuple[str, ...]:
    return Gatekeeper(ruleset(*guards)).admit(reading(**known)).models


@pytest.mark.parametrize(
    ("sets", "models"),
    [
        ({"only": ("large", "small")}, ("small", "large")),
        ({"never": ("mid",)}, ("small", "large")),
        ({"at_least": "small"}, ("small", "mid", "large")),
        ({"at_least": "mid"}, ("mid", "large")),
        ({"at_least": "large"}, ("large",)),
    ],
)
def test_who_is_left(sets: dict[str, Any], models: tuple[str, ...]) -> None:
    assert admitted(Guard("g", {"tag": "x"}, **sets), tags=("x",)) == models
    assert admitted(Guard("g", {"tag": "x"}, **sets)) == NAMES


def test_order_says_what_is_stronger_and_not_the_order_of_the_models() -> None:
    turned = ruleset(Guard("g", {}, at_least="mid"), order=("large", "mid", "small"))
    assert Gatekeeper(turned).admit(reading()).models == ("mid", "small")


def test_guards_hold_together_and_nobody_left_is_an_error_that_names_them() -> None:
    first, second = Guard("one", {}, only=("small", "mid")), Guard("two", {"tag": "x"}, never=("small",))
    keeper = Gatekeeper(ruleset(first, second))
    assert keeper.admit(reading(tags=("x",))).models == ("mid",)
    assert keeper.admit(reading(tags=("x",)), without="one").models == ("mid", "large")
    assert keeper.admit(reading()).held == ("one",)
    with pytest.raises(NoEligibleModelError, match="guards one, two of 't' leave no model"):
        Gatekeeper(ruleset(first, Guard("two", {}, only=("large",)))).admit(reading())


def placed(name: str, *regions: str | None) -> dict[str, tuple[Deployment, ...]]:
    return {name: tuple(Deployment(f"{name}#{n}", name, region=one) for n, one in enumerate(regions, start=1))}


def test_two_guards_on_regions_need_one_place_that_satisfies_both() -> None:
    deployments = {**placed("small", "eu", "us"), **placed("mid", "us", "ch"), **placed("large", None)}
    eu, both = Guard("eu", {}, regions=("eu", "ch")), Guard("both", {"tag": "x"}, regions=("us", "ch"))
    keeper = Gatekeeper(ruleset(eu, both, deployments=deployments))
    assert keeper.admit(reading()).models == ("small", "mid")
    admission = keeper.admit(reading(tags=("x",)))
    assert (admission.models, admission.regions) == (("mid",), frozenset({"ch"}))


def test_a_place_without_a_region_is_nowhere() -> None:
    keeper = Gatekeeper(ruleset(Guard("eu", {}, regions=("eu",)), deployments=placed("small", None, "eu")))
    assert keeper.admit(reading()).models == ("small",)


@pytest.mark.parametrize(
    ("params", "fits"),
    [
        ({}, True),
        ({"max_tokens": 40}, True),
        ({"max_tokens": 41}, False),
        ({"max_completion_tokens": 41}, False),
        ({"max_completion_tokens": 0, "max_tokens": 41}, False),
        ({"max_completion_tokens": None, "max_tokens": 41}, False),
        ({"max_tokens": 41.0}, False),
        ({"max_tokens": True}, True),
        ({"max_tokens": "a lot"}, True),
        ({"max_tokens": float("inf")}, True),
        ({"max_tokens": float("nan")}, True),
        ({"max_tokens": [41]}, True),
    ],
)
def test_room_for_the_answer(params: dict[str, Any], fits: bool) -> None:
    asks = reading(params=params)
    assert asks.input_tokens == 10
    assert (exceeds(make_model("m", context_window=50), asks) is None) == fits
    assert (exceeds(make_model("m", max_output=40), asks) is None) == fits


@pytest.mark.parametrize("said", [-1, -1_000, -1.5, float("-inf")])
def test_a_negative_number_makes_no_room(said: float) -> None:
    model = make_model("m", context_window=9)
    assert exceeds(model, reading(params={"max_tokens": said})) is not None
    assert exceeds(model, reading(params={"max_completion_tokens": said, "max_tokens": 1})) is not None


def test_demonstrations_need_room_and_the_models_own_cap_does_not() -> None:
    asks, model = reading(), make_model("m", context_window=50, params={"max_tokens": 1_000})
    assert exceeds(model, asks) is None
    assert exceeds(replace(model, few_shot=({"role": "user", "content": "y" * 160},)), asks) is None
    assert exceeds(replace(model, few_shot=({"role": "user", "content": "y" * 161},)), asks) is not None


IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


@pytest.mark.parametrize(
    ("request_", "needs"),
    [
        (Request((USER,), tools=({"type": "function"},)), "tools"),
        (Request((USER,), response_format={"type": "json_schema", "json_schema": {}}), "json_schema"),
        (Request(({"role": "user", "content": [IMAGE]},)), "vision"),
        (Request(({"role": "tool", "tool_call_id": "1", "content": [IMAGE]},)), "vision"),
        (Request(({"role": "user", "content": [{"type": "tool_result", "content": [IMAGE]}]},)), "vision"),
    ],
)
def test_what_a_request_needs(request_: Request, needs: str) -> None:
    asks = Reading(request_)
    every = frozenset({"tools", "json_schema", "vision"})
    assert exceeds(make_model("m", capabilities=every - {needs}), asks) == f"it has no {needs}"
    assert exceeds(make_model("m", capabilities=frozenset({needs})), asks) is None
    assert exceeds(make_model("m"), asks) is None


@pytest.mark.parametrize("form", ["json_schema", ["json_schema"], {}, {"type": ["json_schema"]}, {"type": "text"}, 3])
def test_a_form_that_is_none_asks_for_nothing(form: Any) -> None:
    asks = Reading(Request((USER,), response_format=form))
    assert exceeds(make_model("m", capabilities=frozenset()), asks) is None


def test_limits_that_leave_nobody_are_an_error_that_says_which() -> None:
    models = {name: make_model(name, context_window=size) for name, size in (("a", 5), ("b", 9))}
    keeper = Gatekeeper(RuleSet("t", models, Default(route=("a",))))
    with pytest.raises(NoEligibleModelError, match="a: its context holds 5 tokens; b: its context holds 9 tokens"):
        keeper.admit(reading())


SECRETS: list[Any] = [
    "a Contract",
    [{"type": "text", "text": "x"}, {"type": "text", "text": "contract"}],
    [{"type": "input_text", "text": "contract"}],
    [{"text": "contract"}],
    {"text": "contract"},
    [["contract"]],
    [{"type": "tool_result", "content": "the contract"}],
    [{"type": "tool_result", "content": [{"type": "text", "text": "the contract"}]}],
    [{"type": "tool_use", "name": "contract", "input": {}}],
    [{"type": "tool_use", "name": "f", "input": {"deep": [{"contract": 1}]}}],
    [{"type": "thinking", "thinking": "contract"}],
    [{"type": "refusal", "refusal": "contract"}],
    "con\u00adtract",
    "\uff23\uff2f\uff2e\uff34\uff32\uff21\uff23\uff34",
    "co\u200bntra\u2060ct",
    "x " * 50_000 + "contract" + " y" * 50_000,
]


@pytest.mark.parametrize("role", ["user", "assistant", "tool", "function", "stranger", None])
def test_guards_see_whatever_is_said_in_any_message(role: str | None) -> None:
    keeper = Gatekeeper(ruleset(Guard("g", {"any_keyword": ["contract"]}, only=("large",))))
    for content in SECRETS:
        said: dict[str, Any] = {"content": content} if role is None else {"role": role, "content": content}
        for messages in ((said,), (said, USER), (USER, said), (USER, said, USER)):
            assert keeper.admit(Reading(Request(messages))).models == ("large",), content
    assert keeper.admit(reading()).models == NAMES


def test_guards_see_calls_of_tools_and_refusals() -> None:
    keeper = Gatekeeper(ruleset(Guard("g", {"any_keyword": ["contract"]}, only=("large",))))
    messages: list[dict[str, Any]] = [
        {"tool_calls": [{"function": {"name": "f", "arguments": '{"a": "c\\u006fntract"}'}}]},
        {"tool_calls": [{"function": {"name": "f", "arguments": {"a": ["contract"]}}}]},
        {"tool_calls": [{"function": {"name": "f", "arguments": "contract, and no JSON"}}]},
        {"tool_calls": [{"custom": {"name": "f", "input": "contract"}}]},
        {"function_call": {"name": "contract", "arguments": "{}"}},
        {"refusal": "no contract"},
    ]
    for message in messages:
        said = {"role": "assistant", "content": None, **message}
        assert keeper.admit(Reading(Request((USER, said, USER)))).models == ("large",), message


@pytest.mark.parametrize(
    "value", [None, [], ["eu"], {"eu": 1}, {"a": {"b": "eu"}}, "EU", "eu ", 1, True, object(), {"eu"}]
)
def test_what_no_list_names_is_refused_where_a_guard_holds_for_all_but_what_is_listed(value: Any) -> None:
    inside = Guard("residency", {"not": {"metadata.class": ["public", "us"]}}, only=("large",))
    assert admitted(inside, metadata={"class": value}) == ("large",)
    assert admitted(inside, metadata={}) == ("large",)
    assert admitted(inside, metadata={"class": "us"}) == NAMES


def test_numbers_and_flags_are_compared_as_python_does() -> None:
    one = Guard("g", {"metadata.level": 1}, only=("large",))
    assert [admitted(one, metadata={"level": value}) for value in (1, 1.0, True)] == [("large",)] * 3
    assert [admitted(one, metadata={"level": value}) for value in ("1", 2, False, None)] == [NAMES] * 4


def test_guards_hold_while_other_threads_tell_of_failures() -> None:
    deployments = {**placed("small", "us", "eu"), **placed("mid", "eu", None), **placed("large", "us")}
    rules = ruleset(
        Guard("residency", {"metadata.class": "eu"}, regions=("eu",)),
        Guard("legal", {"any_keyword": ["contract"]}, at_least="mid"),
        rules=(Rule("long", {"words": {"gt": 3}}, ("large", "small")),),
        deployments=deployments,
        health=HealthPolicy(min_requests=2, min_errors=1, cooldown_s=0.0),
    )
    router, wrong, stop = Router(rules), [], threading.Event()
    places = [one.name for some in deployments.values() for one in some]

    def tell(seed: int) -> None:
        turn = seed
        while not stop.is_set():
            turn += 1
            place = places[turn % len(places)]
            failed = Answer(error_kind="timeout", latency_s=1.0) if turn % 3 else Answer("ok", latency_s=0.1)
            router.observe(place.partition("#")[0], failed, deployment=place)

    def ask(text: str, metadata: dict[str, Any], models: set[str], regions: set[str | None]) -> None:
        for number in range(150):
            decision = router.route([{"role": "user", "content": f"{text} {number}"}], metadata=metadata)
            while decision.model is not None:
                place = router.deployment(decision)
                if not set(decision.chain) <= models or place.region not in regions:
                    wrong.append((decision.chain, place))
                decision = router.next(decision, Answer(error_kind="timeout", latency_s=0.5))

    asks: list[tuple[str, dict[str, Any], set[str], set[str | None]]] = [
        ("a poem", {"class": "eu"}, {"small", "mid"}, {"eu"}),
        ("a contract of many words", {"class": "eu"}, {"mid"}, {"eu"}),
        ("a contract", {}, {"mid", "large"}, {"eu", "us", None}),
    ]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        tellers = [threading.Thread(target=tell, args=(seed,)) for seed in range(2)]
        askers = [threading.Thread(target=ask, args=one) for one in asks]
        for thread in (*tellers, *askers):
            thread.start()
        for thread in askers:
            thread.join()
    finally:
        stop.set()
        for thread in tellers:
            thread.join()
        sys.setswitchinterval(before)
    assert wrong == []


def test_admission_keeps_the_order_of_a_chain() -> None:
    keeper = Gatekeeper(ruleset(Guard("g", {}, never=("mid",))))
    assert keeper.admit(reading()).keep(("large", "mid", "nobody", "small")) == ("large", "small")


def test_neither_the_caller_nor_the_conversation_gets_round_a_guard() -> None:
    router = Router(ruleset(Guard("g", {}, only=("small",))))
    with pytest.raises(NoEligibleModelError, match="'large' may not take this request; guards g hold"):
        router.route([USER], model="large")
    assert router.route([USER], previous="large").chain == ("small",)


def test_a_guard_that_begins_meanwhile_holds_for_the_rest_of_the_chain() -> None:
    at = datetime(2026, 11, 25, 7, 59, tzinfo=UTC)
    office = Guard("office", {"time": {"after": "08:00", "before": "18:00"}}, never=("mid",))
    router = Router(ruleset(office), now=lambda: at)
    decision = router.route([USER])
    assert decision.chain == NAMES
    at += timedelta(minutes=1)
    assert router.next(decision, Answer(error_kind="timeout")).chain == ("large",)


def test_a_spent_budget_makes_no_model_cheap_enough_to_be_let_in() -> None:
    router = Router(ruleset(Guard("g", {}, never=("small",)), budget=Budget(1.0)))
    router.observe("large", Answer("ok", cost_usd=2.0))
    decision = router.route([USER])
    assert (decision.rule, set(decision.chain)) == ("budget", {"mid", "large"})


def test_a_guard_that_begins_to_hold_later_holds_for_what_is_left() -> None:
    now = [datetime(2026, 6, 1, 12, tzinfo=UTC)]
    night = Guard("night", {"time": {"after": "18:00"}}, only=("large",))
    router = Router(ruleset(night), now=lambda: now[0])
    decision = router.route([{"role": "user", "content": "hi"}])
    first = decision.model
    assert first != "large"
    now[0] += timedelta(hours=8)
    with pytest.raises(NoEligibleModelError, match="night"):
        router.deployment(decision)
    # The answer that came is an answer; a failure goes on with what the guard allows by now.
    assert router.next(decision, Answer("yes")).answered_by == first
    assert router.next(decision, Answer(error_kind="server")).chain == ("large",)
    assert router.hold(decision).chain == ("large",)


def test_one_tag_is_one_tag() -> None:
    router = Router(ruleset(Guard("legal", {"tag": "legal"}, only=("large",))))
    messages = [{"role": "user", "content": "hi"}]
    assert router.route(messages, tags="legal", tools=None).chain == ("large",)  # type: ignore[arg-type]
    assert router.explain(messages, tags="legal", tools=None).chain == ("large",)
