from __future__ import annotations

from typing import Any

from routebench.export.unchecked import Opening, cascades_of, openings_as_written, parts_as_written, without_answers
from routebench.rules import Budget, Default, Guard, HealthPolicy, Router, Rule, RuleSet
from tests.conftest import make_model

NAMES = ("small", "mid", "large")


def ruleset(**fields: Any) -> RuleSet:
    models = {name: make_model(name) for name in NAMES}
    return RuleSet("t", models, fields.pop("default", Default(("small", "large"))), **fields)


def checked() -> RuleSet:
    return ruleset(
        checks={"json": {"json": True}},
        rules=(Rule("tables", {"any_keyword": ["table"]}, NAMES, "json"), Rule("plain", {"tag": "x"}, ("mid",))),
        default=Default(("small", "large"), cascade="json"),
    )


def test_a_cascade_begins_at_the_model_that_it_trusts() -> None:
    found, lost = without_answers(checked())
    assert found.rules[0].route == ("large", "small", "mid")
    assert found.default == Default(("large", "small"))
    assert [(one.part, one.how) for one in lost] == [("rule tables", "approximated"), ("default", "approximated")]
    Router(found)


def test_what_depends_on_calls_is_lost_and_said() -> None:
    told = ruleset(
        health=HealthPolicy(),
        budget=Budget(5.0, "cheapest"),
        explore=0.1,
        guards=(Guard("spent", {"budget_pace": {"gt": 1}}, only=("small",)),),
        rules=(Rule("pace", {"any": [{"budget_pace": {"gt": 2}}, {"tag": "x"}]}, ("small",)),),
    )
    found, lost = without_answers(told)
    assert (found.health, found.budget, found.explore) == (None, None, 0.0)
    assert {one.part: one.how for one in lost} == {
        "health": "dropped",
        "budget": "dropped",
        "explore": "dropped",
        "guard spent": "refused",
        "rule pace": "dropped",
    }


def test_a_cascade_that_was_replayed_begins_where_that_says() -> None:
    openings = (Opening("default", as_written=True, why="it is better"),)
    found, lost = without_answers(checked(), openings)
    assert (found.default.route, found.rules[0].route) == (("small", "large"), ("large", "small", "mid"))
    told = {one.part: one for one in lost}
    assert "so that small, the first of its cascade, is asked first: it is better" in told["default"].why
    assert "which is the safe side and was not replayed" in told["rule tables"].why
    assert "--store" in told["rule tables"].mend
    assert parts_as_written(openings) == ("default",)
    assert without_answers(checked(), openings_as_written(["default"]))[0] == found


def test_the_safe_side_may_be_what_was_replayed() -> None:
    [lost] = [
        one
        for one in without_answers(checked(), [Opening("default", as_written=False, why="it is better")])[1]
        if one.part == "default"
    ]
    assert "so that large, the last of its cascade, is asked first: it is better" in lost.why


def test_a_check_of_one_model_is_lost_and_no_order_is() -> None:
    told = ruleset(checks={"json": {"json": True}}, default=Default(("small",), cascade="json"))
    assert [(one.part, one.how) for one in without_answers(told)[1]] == [("default", "dropped")]


def test_parts_of_a_mix_are_told_apart() -> None:
    mix = Default(mix=((0.5, ("small", "large")), (0.5, ("mid", "large"))), cascade="json")
    told = ruleset(checks={"json": {"json": True}}, default=mix)
    assert [(one.part, one.chain) for one in cascades_of(told)] == [
        ("default, part 1", ("small", "large")),
        ("default, part 2", ("mid", "large")),
    ]
    found, _ = without_answers(told, openings_as_written(["default, part 2"]))
    assert found.default == Default(mix=((0.5, ("large", "small")), (0.5, ("mid", "large"))))
