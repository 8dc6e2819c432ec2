from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.errors import NoEligibleModelError
from routebench.rules import Condition, Default, Guard, Router, Rule, RuleSet
from routebench.types import Request
from tests.conftest import make_model

MODELS = {name: make_model(name) for name in ("small", "middle", "large")}


def make(**fields: Any) -> Router:
    defaults: dict[str, Any] = {"name": "t", "models": MODELS, "default": Default(route=("small", "large"))}
    return Router(RuleSet(**{**defaults, **fields}))


def user(text: str, **known: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **known}


def test_the_first_rule_that_matches_decides_and_says_why() -> None:
    router = make(rules=(Rule("a", {"regex": "x"}, ("middle",)), Rule("b", {"regex": "x|y"}, ("large",))))
    assert router.route(**user("x")).chain == ("middle",)
    decision = router.explain(**user("x"))
    assert (decision.rule, decision.why) == ("a", "pattern x")
    assert decision.counterfactuals == ("without rule a: large by b",)
    assert router.route(**user("z")).rule == "default"


def test_a_guard_wins_over_rules_and_names_directly() -> None:
    guards = (Guard("legal", {"any_keyword": ["contract"]}, at_least="large"),)
    router = make(guards=guards, rules=(Rule("all", {"words": {"ge": 1}}, ("small",)),))
    assert router.route(**user("a contract")).chain == ("large",)
    assert router.route(**user("hello")).chain == ("small",)
    # Guards read the whole conversation, and not what the operator wrote.
    history = [
        {"role": "user", "content": "the contract"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "go on"},
    ]
    assert router.route(history).chain == ("large",)
    assert router.route([{"role": "system", "content": "contract"}, {"role": "user", "content": "go"}]).chain == (
        "small",
    )


def test_when_guards_leave_nothing_the_request_fails() -> None:
    guards = (Guard("a", {"regex": "x"}, only=("small",)), Guard("b", {"regex": "x"}, never=("small",)))
    with pytest.raises(NoEligibleModelError, match="guards a, b"):
        make(guards=guards).route(**user("x"))


def test_limits_and_capabilities_of_models_are_kept_and_unknown_is_not_refused() -> None:
    models = {"small": make_model("small", context_window=10, capabilities=frozenset()), "large": make_model("large")}
    router = make(models=models)
    assert router.route(**user("hi")).chain == ("small", "large")
    assert router.route(**user("x" * 100)).chain == ("large",)
    assert router.route(**user("hi", tools=[{"type": "function"}])).chain == ("large",)
    assert router.route(**user("hi", params={"max_tokens": 20})).chain == ("large",)
    with pytest.raises(NoEligibleModelError, match="its context holds 10 tokens"):
        make(models={"small": models["small"]}, default=Default(route=("small",))).route(**user("x" * 100))


def test_a_conversation_stays_with_its_model_until_a_guard_moves_it() -> None:
    router = make(guards=(Guard("legal", {"any_keyword": ["contract"]}, at_least="large"),))
    assert router.route(**user("hi", previous="middle")).chain == ("middle", "small", "large")
    assert router.route(**user("a contract", previous="small")).chain == ("large",)
    free = make(sticky="none")
    assert free.route(**user("hi", previous="middle")).chain == ("small", "large")
    assert (
        free.route([{"role": "user", "content": "hi"}, {"role": "tool", "content": "42"}], previous="middle").chain[0]
        == "middle"
    )


def test_a_mix_is_drawn_once_for_a_conversation_and_keeps_its_shares() -> None:
    router = make(default=Default(mix=((0.3, ("small",)), (0.7, ("large",)))))
    first = [router.route(**user(f"question {number}")).chain for number in range(2000)]
    assert first.count(("small",)) / 2000 == pytest.approx(0.3, abs=0.04)
    longer = [
        {"role": "user", "content": "question 7"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "more"},
    ]
    assert router.route(longer).chain == first[7]


whens = st.sampled_from([{"regex": "a"}, {"words": {"gt": 3}}, {"is_question": True}, {"any_keyword": ["b"]}])
chains = st.lists(st.sampled_from(sorted(MODELS)), min_size=1, max_size=3, unique=True).map(tuple)


@given(
    guards=st.lists(st.tuples(whens, st.sampled_from(["only", "never"]), chains), max_size=3),
    rules=st.lists(st.tuples(whens, chains), max_size=3),
    default=chains,
    text=st.text(alphabet="ab? ", max_size=12),
    previous=st.sampled_from([None, *sorted(MODELS)]),
)
def test_no_decision_ever_breaks_a_guard(
    guards: Any, rules: Any, default: Any, text: str, previous: str | None
) -> None:
    made = tuple(Guard(f"g{n}", when, **{kind: chain}) for n, (when, kind, chain) in enumerate(guards))
    router = make(
        guards=made,
        rules=tuple(Rule(f"r{n}", when, chain) for n, (when, chain) in enumerate(rules)),
        default=Default(route=default),
    )
    request = Request(({"role": "user", "content": text},))
    held = [guard for guard in made if Condition.parse(guard.when).matches(request)]
    allowed = set(MODELS)
    for guard in held:
        allowed &= set(guard.only) if guard.only is not None else set(MODELS) - set(guard.never or ())
    if not allowed:
        with pytest.raises(NoEligibleModelError):
            router.decide(request, previous)
        return
    chain = router.decide(request, previous).chain
    assert chain
    assert set(chain) <= allowed
