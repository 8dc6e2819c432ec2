from __future__ import annotations

from typing import Any

from routebench.rules import Default, HealthPolicy, Router, RuleSet
from routebench.rules.health.kinds import kind_of
from routebench.types import Answer, Decision, Request
from tests.conftest import make_model


def decision(prompt: str, rule: str = "default", **request: Any) -> Decision:
    return Decision(("small",), rule, "", request=Request(({"role": "user", "content": prompt},), **request))


def test_a_kind_is_a_rule_a_length_to_a_factor_of_two_and_a_form() -> None:
    short = kind_of(decision("x" * 200))
    assert kind_of(decision("y" * 240)) == short
    told_apart = [
        decision("x" * 600),
        decision("x" * 200, rule="other"),
        decision("x" * 200, tools=({"type": "function"},)),
        decision("x" * 200, response_format={"type": "json_object"}),
    ]
    assert len({short, *map(kind_of, told_apart)}) == 5
    assert kind_of(Decision(("small",), "default", "")) == "default"


def test_the_router_holds_long_requests_to_what_long_ones_take() -> None:
    """A burst of long requests, slower by nature, passes nobody over; the same times for short ones do."""

    def state_after(burst: str) -> str:
        at = [0.0]
        models = {name: make_model(name) for name in ("small", "large")}
        rules = RuleSet("line", models, Default(route=("small", "large")), health=HealthPolicy())
        router = Router(rules, clock=lambda: at[0])

        def ask(prompt: str, latency_s: float) -> None:
            asked = router.route([{"role": "user", "content": prompt}])
            at[0] += 0.5
            router.next(asked, Answer("yes", latency_s=latency_s))

        for number in range(1_000):
            ask("long " * 800 if number % 10 == 0 else "short", 9.0 if number % 10 == 0 else 0.2)
        for _ in range(40):
            ask(burst, 9.0)
        assert router.health is not None
        return router.health.state("small")

    assert state_after("long " * 800) == "closed"
    assert state_after("short") != "closed"
