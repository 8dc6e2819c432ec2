from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.errors import NoEligibleModelError, RulesError
from routebench.export.capability import FEATURES
from routebench.export.verify.verified import NOBODY
from routebench.export.verify.vllm_sr import SignalReplay
from routebench.export.vllm_sr.exporter import AUTO, VLLM_SR
from routebench.export.vllm_sr.nearest import of_guard, of_rule
from routebench.rules import Budget, Default, Deployment, Guard, Learned, Router, Rule, RuleSet
from routebench.suites.starter import load_starter
from routebench.types import Model, Request
from tests.conftest import make_model
from tests.export.policies import support
from tests.export.vllm_sr.test_nearest import conditions, requests

NAMES = ("small", "mid", "large")


def ruleset(**fields: Any) -> RuleSet:
    models = {name: replace(make_model(name), params={}) for name in NAMES}
    return RuleSet("t", models, fields.pop("default", Default(NAMES)), sticky="none", **fields)


def config_of(told: RuleSet, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(VLLM_SR.export(told, **options).files[VLLM_SR.main])
    return found


def decisions(told: RuleSet) -> dict[str, list[str]]:
    """Name -> the models, by falling priority."""
    found = sorted(config_of(told)["routing"]["decisions"], key=lambda one: -one["priority"])
    return {one["name"]: [ref["model"] for ref in one["modelRefs"]] for one in found}


def first(told: RuleSet, request: Request) -> str:
    try:
        return Router(told).decide(request).chain[0]
    except NoEligibleModelError:
        return NOBODY


def test_every_feature_has_a_row() -> None:
    assert {one.feature for one in VLLM_SR.capabilities} == FEATURES.keys()


def test_rules_are_decisions_in_their_order_and_the_default_is_the_last() -> None:
    rules = (Rule("a", {"regex": "a"}, ("small",)), Rule("b-2", {"regex": "b"}, ("large", "mid")))
    assert decisions(ruleset(rules=rules)) == {"a": ["small"], "b_2": ["large", "mid"], "default": list(NAMES)}


def test_guards_have_decisions_of_their_own_before_the_others() -> None:
    guards = (Guard("legal", {"in": "user", "regex": "law"}, at_least="large"),)
    rules = (Rule("a", {"regex": "a"}, ("small", "mid")), Rule("b", {"regex": "b"}, ("mid", "large")))
    assert decisions(ruleset(guards=guards, rules=rules)) == {
        # Of the rules under a guard those that say what the default says are left out.
        "default__legal": ["large"],
        "a": ["small", "mid"],
        "b": ["mid", "large"],
        "default": list(NAMES),
    }


def test_where_guards_leave_nobody_no_model_is_asked() -> None:
    guards = (
        Guard("a", {"in": "user", "regex": "a"}, only=("small",)),
        Guard("b", {"in": "user", "regex": "b"}, only=("large",)),
    )
    config = config_of(ruleset(guards=guards))
    nobody = next(one for one in config["routing"]["decisions"] if one["name"] == "nobody__a__b")
    assert nobody["plugins"][0]["type"] == "fast_response"
    assert SignalReplay(config).decide(Request(({"role": "user", "content": "ab"},))) == NOBODY


def test_a_guard_on_every_request_is_held_everywhere() -> None:
    guards = (Guard("always", {}, never=("small",)), Guard("a", {"in": "user", "regex": "a"}, only=("large",)))
    assert decisions(ruleset(guards=guards)) == {"default__a": ["large"], "default": ["mid", "large"]}


def test_a_guard_that_cannot_be_held_is_refused() -> None:
    guards = (Guard("vip", {"tag": "vip"}, only=("large",)),)
    with pytest.raises(RulesError, match="guard vip cannot be held by vLLM Semantic Router"):
        VLLM_SR.export(ruleset(guards=guards))
    exported = VLLM_SR.export(ruleset(guards=guards), allow_lost_guards=True)
    assert exported.ruleset.guards == ()
    assert [one.how for one in exported.lost] == ["refused"]


def test_many_guards_are_held_together() -> None:
    guards = tuple(Guard(f"g{at}", {"in": "user", "regex": f"g{at}"}, never=("small",)) for at in range(5))
    exported = VLLM_SR.export(ruleset(guards=guards))
    assert [(one.name, one.only) for one in exported.ruleset.guards] == [("any-guard", ("mid", "large"))]
    assert [one.part for one in exported.lost] == ["guards"]


def test_many_guards_that_leave_nobody_together_are_refused() -> None:
    guards = tuple(Guard(f"g{at}", {"in": "user", "regex": f"g{at}"}, only=(NAMES[at % 2],)) for at in range(5))
    with pytest.raises(RulesError, match="guard g0"):
        VLLM_SR.export(ruleset(guards=guards))


def test_places_are_models_of_their_own_and_regions_choose_among_them() -> None:
    places = {
        "mid": (
            Deployment("mid#1", "mid", "http://us/v1", "US", 1.0, "us"),
            Deployment("mid#2", "mid", "http://eu/v1", "EU", 2.0, "eu"),
        )
    }
    guards = (Guard("residency", {"metadata.data": "eu"}, regions=("us",)),)
    told = ruleset(guards=guards, deployments=places)
    assert decisions(told) == {"default__residency": ["mid-2"], "default": ["small", "mid", "mid-2", "large"]}
    models = {one["name"]: one["backend_refs"] for one in config_of(told)["providers"]["models"]}
    assert models["mid"][0]["base_url"] == "http://eu/v1"
    assert models["mid-2"][0]["api_key_env"] == "US"


def test_models_keys_and_formats() -> None:
    config = config_of(support())
    [large] = [one for one in config["providers"]["models"] if one["name"] == "large"]
    assert large["api_format"] == "anthropic"
    assert large["backend_refs"] == [
        {
            "name": "large",
            "provider": "anthropic",
            "base_url": "https://api.anthropic.com/v1",
            "api_key_env": "ANTHROPIC_API_KEY",
        }
    ]
    assert config["global"]["router"]["auto_model_name"] == AUTO
    assert "secret" not in str(config)


def test_a_model_that_runs_in_here_has_an_address_by_a_variable() -> None:
    told = RuleSet("t", {"tiny": Model("tiny", "embedded", "x")}, Default(("tiny",)), sticky="none")
    assert config_of(told)["providers"]["models"][0]["backend_refs"][0]["base_url"] == "http://${TINY_HOST}/v1"


def test_dollars_are_no_variables() -> None:
    rules = (Rule("cost", {"regex": r"\$USD end$"}, ("small",)),)
    config = config_of(ruleset(rules=rules))
    [signal] = config["routing"]["signals"]["structure"]
    assert signal["feature"]["source"]["pattern"] == r"\$$USD end$$"
    assert SignalReplay(config).decide(Request(({"role": "user", "content": "1 $USD end"},))) == "small"


def test_dollars_of_metadata_are_no_variables_either() -> None:
    rules = (Rule("dear", {"metadata.price": ["$HIGH", "$5"]}, ("small",)), Rule("one", {"metadata.p": "$X"}, ("mid",)))
    config = config_of(ruleset(rules=rules))
    predicates = [one["predicate"] for one in config["routing"]["signals"]["metadata"]]
    assert predicates == [{"in": ["$$HIGH", "$$5"]}, {"equals": "$$X"}]
    asked = Request(({"role": "user", "content": "x"},), metadata={"p": "$X"})
    assert SignalReplay(config).decide(asked) == "mid"


def test_limits_stand_on_the_cards() -> None:
    models = {"a": make_model("a", context_window=900, capabilities=frozenset({"tools", "json_schema"}))}
    config = config_of(RuleSet("t", models, Default(("a",)), sticky="none"))
    assert config["routing"]["candidate_requirements"] == {"capabilities": "declared", "context": "known_limits"}
    assert config["routing"]["modelCards"] == [
        {"name": "a", "context_window_size": 900, "capabilities": ["structured_output", "tools"]}
    ]


def test_a_mix_goes_to_its_strongest_part() -> None:
    exported = VLLM_SR.export(ruleset(default=Default(mix=((0.9, ("small",)), (0.1, ("large",))))))
    assert exported.ruleset.default == Default(("large",))
    assert [one.part for one in exported.lost] == ["mix"]


def test_what_was_learned_goes_to_the_strongest() -> None:
    learned: Any = Learned({}, head=None)  # type: ignore[arg-type]
    exported = VLLM_SR.export(ruleset(learned=learned, budget=Budget(1.0, "cheapest")))
    assert exported.ruleset.default.route == ("large", "mid", "small")
    assert {one.part for one in exported.lost} == {"learned", "budget"}


LEARNED_PHASE = """
schema: routebench/rules/v1
name: t
models:
  small: {provider: vllm, model: s, base_url: "http://s/v1"}
  large: {provider: vllm, model: l, base_url: "http://l/v1"}
complexity:
  classifier: {kind: heuristic, weights: {log_words: 1.0}, bias: -2.5}
  tiers: [{below: 0.5, route: [small, large]}, {route: [large, small]}]
default: {route: [small, large]}
sticky: none
"""


def test_rules_are_learned_in_place_of_a_learned_phase_where_there_are_prompts() -> None:
    told = RuleSet.parse(LEARNED_PHASE)
    prompts = [case.request for case in load_starter().cases]
    blind, learned = VLLM_SR.export(told), VLLM_SR.export(told, requests=prompts)
    assert (blind.ruleset.rules, blind.ruleset.default.route) == ((), ("large", "small"))
    assert "name a store" in blind.lost[0].mend
    assert "learned from its decisions on 150 prompts" in learned.lost[0].why
    agreed = [first(learned.ruleset, one) == first(told, one) for one in prompts]
    assert sum(agreed) / len(agreed) > 0.95
    replay = SignalReplay(yaml.safe_load(learned.files[VLLM_SR.main]))
    assert all(replay.decide(one) == first(learned.ruleset, one) for one in prompts)


def test_of_a_handful_of_prompts_nothing_is_learned() -> None:
    prompts = [case.request for case in load_starter().cases][:9]
    assert VLLM_SR.export(RuleSet.parse(LEARNED_PHASE), requests=prompts).ruleset.rules == ()


def test_what_is_written_passes_the_check() -> None:
    assert VLLM_SR.check(VLLM_SR.export(support()).files) == ()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("strategy: priority", "stratgy: priority", "routing: the router reads no 'stratgy'"),
        ("type: keyword", "type: keywordd", "there is no signal of type 'keywordd'"),
        ("operator: NOT", "operator: NOTT", "there is no operator 'NOTT'"),
        ("{model: small,", "{model: tiny,", "there is no model 'tiny'"),
        ("type: structure, name: maths", "type: structure, name: math", "there is no structure signal 'math'"),
    ],
)
def test_names_that_it_does_not_read_are_told(old: str, new: str, sentence: str) -> None:
    text = VLLM_SR.export(support()).files[VLLM_SR.main]
    assert old in text
    assert any(sentence in one for one in VLLM_SR.check({VLLM_SR.main: text.replace(old, new)}))


def test_the_written_config_decides_the_starter_suite_as_its_rule_set() -> None:
    told = replace(support(), deployments={})
    exported = VLLM_SR.export(told)
    replay = SignalReplay(yaml.safe_load(exported.files[VLLM_SR.main]))
    for case in load_starter().cases:
        assert replay.decide(case.request) == first(exported.ruleset, case.request) == first(told, case.request)


@settings(max_examples=60, deadline=None)
@given(st.lists(conditions, max_size=2), st.lists(conditions, max_size=3), requests)
def test_the_written_config_decides_as_its_rule_set(
    guarding: list[dict[str, Any]], ruling: list[dict[str, Any]], request: Request
) -> None:
    sets: list[dict[str, Any]] = [{"at_least": "mid"}, {"only": ("small", "large")}]
    guards = tuple(Guard(f"g{at}", when, **sets[at]) for at, when in enumerate(guarding))
    routes = (("small", "mid"), ("large", "small"), ("mid",))
    rules = tuple(Rule(f"r{at}", when, routes[at]) for at, when in enumerate(ruling))
    told = ruleset(guards=guards, rules=rules, default=Default(("small", "large")))
    # Tokens are counted another way, and so are characters that it does not fold.
    notes = [note for one in (*map(of_guard, guarding), *map(of_rule, ruling)) for note in one.notes]
    if any("tokens" in note for note in notes):
        return
    exported = VLLM_SR.export(told, allow_lost_guards=True)
    replay = SignalReplay(yaml.safe_load(exported.files[VLLM_SR.main]))
    found = replay.decide(request)
    expected = first(exported.ruleset, request)
    if found != expected:
        # A keyword in a rule is not folded there: what it does not see goes on to a later rule.
        assert any("any_keyword" in str(rule.when) or "all_keywords" in str(rule.when) for rule in rules)
    for guard in guards:
        kept = guard.name in {one.name for one in exported.ruleset.guards}
        if kept and found != NOBODY:
            alone = ruleset(guards=(guard,), default=Default(NAMES))
            assert found in Router(alone).decide(request).chain
