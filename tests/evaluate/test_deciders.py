"""Which rule decided a request stays with the decision, through taking, mixing and merging."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from routebench.evaluate import Choices, Deciders
from routebench.evaluate.sweep import LambdaSweep
from routebench.rules import Default, Guard, Rule, RuleSet
from routebench.strategies import RulesFile
from routebench.types import Request
from tests.conftest import make_model
from tests.dash.comparisons import RULES, TODAY, compared, house_rules, outcomes


def test_names_are_kept_once_and_unknown_stays_unknown() -> None:
    told = Deciders.of(["b", None, "a", "b"])
    assert told.names == ("b", "a")
    assert [told.name(row) for row in range(4)] == ["b", None, "a", "b"]
    assert told.take(np.array([2, 1])).name(1) is None


def test_two_times_of_the_day_are_both_told() -> None:
    day, night = Deciders.of(["rule", "default", None]), Deciders.of(["rule", "night", "night"])
    assert [day.beside(night).name(row) for row in range(3)] == ["rule", "default or night", "night"]


def test_a_rule_set_tells_which_rule_decided() -> None:
    made = outcomes(40)
    (choices,) = house_rules().fit(made).curve(made.requests)
    told = [choices.decided_by(row) for row in range(made.n)]
    assert told == ["sums" if kind == "sum" else "default" for kind in made.cases.category]
    assert choices.take(np.array([1])).decided_by(0) == "sums"


def test_guards_that_leave_no_model_are_told() -> None:
    models = {name: make_model(name) for name in ("small", "large")}
    guard = Guard("nobody", {"any_keyword": ["secret"]}, only=())
    rules = RuleSet(name="r", models=models, guards=(guard,), default=Default(route=("small",)))
    request = Request(messages=({"role": "user", "content": "a secret"},))
    strategy = RulesFile(rules)
    strategy.models_ = ("small", "large")
    assert strategy.curve([request])[0].decided_by(0) == "guards, which leave no model"


def test_rules_of_the_time_that_agree_are_both_told() -> None:
    models = {name: make_model(name) for name in ("small", "large")}
    night = Rule("night", {"time": {"after": "22:00", "before": "06:00"}}, ("small",))
    rules = RuleSet(name="r", models=models, rules=(night,), default=Default(route=("small",)))
    strategy = RulesFile(rules)
    strategy.models_ = ("small", "large")
    request = Request(messages=({"role": "user", "content": "hi"},))
    (choices,) = strategy.curve([request])
    assert len(choices.parts) == 1
    assert choices.decided_by(0) in ("default or night", "night or default")
    at = replace(request, metadata={"at": datetime(2026, 1, 1, 23, tzinfo=UTC).isoformat()})
    assert strategy.curve([at])[0].decided_by(0) == "night"


def test_of_a_mix_the_likeliest_part_tells() -> None:
    one = replace(Choices.same(("a", "b"), ("a",), 2), deciders=(Deciders.of(["x", None]),))
    other = Choices.same(("a", "b"), ("b",), 2)
    mix = Choices.mix([0.7, 0.3], [one, other], label="a mix")
    assert (mix.decided_by(0), mix.decided_by(1)) == ("x", "a mix")
    assert Choices.mix([0.3, 0.7], [one, other], label="a mix").decided_by(0) == "a mix"
    assert Choices.mix([1.0], [other]).decided_by(0) is None


def test_a_sweep_tells_its_operating_point() -> None:
    sweep = LambdaSweep(("a", "b"), np.ones((2, 2)), np.array([1.0, 2.0]), np.array([0.0, 0.5]))
    assert sweep[1].decided_by(0) == "lambda=0.5"


def test_a_comparison_keeps_the_decisions_of_its_first_split() -> None:
    comparison = compared()
    test = comparison.half.test
    for name in (RULES, TODAY):
        choices = comparison[name].choices
        assert choices is not None
        assert len(choices.parts[0][1]) == test.n
    rules, old = comparison[RULES].choices, comparison[TODAY].choices
    assert rules is not None
    assert old is not None
    row = int(np.flatnonzero(test.cases.category == "sum")[0])
    assert rules.decided_by(row) == "sums"
    assert old.decided_by(row) == "tier SIMPLE"
