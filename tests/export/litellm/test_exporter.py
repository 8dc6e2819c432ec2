from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from routebench.errors import RulesError
from routebench.export import find_target
from routebench.export.capability import FEATURES
from routebench.export.classifying import Classifier
from routebench.export.effect import agreement
from routebench.export.litellm.asking import REFUSED, LiteLLMTiers
from routebench.export.litellm.exporter import LITELLM, MAIN, export_asking, export_litellm
from routebench.export.litellm.service import ROUTER
from routebench.rules import RuleSet
from routebench.types import Request
from tests.export.policies import support

PLAIN = """
schema: routebench/rules/v1
name: plain
models:
  small: {provider: deepseek, model: deepseek-chat, key_env: DEEPSEEK_API_KEY}
  local: {provider: vllm, model: qwen, context_window: 8000}
  large:
    provider: anthropic
    model: claude-sonnet-4-5
    deployments: [{key_env: ONE, weight: 3}, {key_env: TWO}]
rules:
  - {name: legal, when: {any_keyword: [contract, indemnity]}, route: [large]}
  - {name: long, when: {characters: {gt: 400}}, route: [local, large]}
default: {route: [small, large]}
health: {min_errors: 4, cooldown_s: 12}
"""


def config_of(text: str) -> dict[str, Any]:
    return next(
        entry["litellm_params"]["complexity_router_config"]
        for entry in yaml.safe_load(text)["model_list"]
        if entry["model_name"] == ROUTER
    )


def asked(*texts: str) -> list[Request]:
    return [Request(messages=({"role": "user", "content": text},)) for text in texts]


@pytest.fixture
def plain() -> RuleSet:
    return RuleSet.parse(PLAIN)


def test_rules_become_tiers_and_chains_groups_with_fallbacks(plain: RuleSet) -> None:
    exported = export_litellm(plain)
    document = yaml.safe_load(exported.files[MAIN])
    config = config_of(exported.files[MAIN])
    assert config["tiers"] == {
        "SIMPLE": "small-then-large",
        "MEDIUM": "local-then-large",
        "COMPLEX": "large",
        "REASONING": "large",
    }
    assert config["keyword_tier_rules"] == [{"keywords": ["contract", "indemnity"], "tier": "COMPLEX"}]
    assert document["router_settings"] == {
        "routing_strategy": "simple-shuffle",
        "num_retries": 1,
        "fallbacks": [{"small-then-large": ["large"]}, {"local-then-large": ["large"]}],
        "allowed_fails": 4,
        "cooldown_time": 12.0,
    }


def test_keys_are_references_and_deployments_have_their_weights(plain: RuleSet) -> None:
    document = yaml.safe_load(export_litellm(plain).files[MAIN])
    large = [entry["litellm_params"] for entry in document["model_list"] if entry["model_name"] == "large"]
    assert [(one["api_key"], one.get("weight", 1.0)) for one in large] == [
        ("os.environ/ONE", 3.0),
        ("os.environ/TWO", 1.0),
    ]
    assert {one["model"] for one in large} == {"anthropic/claude-sonnet-4-5"}
    local = next(entry for entry in document["model_list"] if entry["model_name"] == "local")
    assert local["litellm_params"]["model"] == "hosted_vllm/qwen"
    assert local["model_info"]["max_input_tokens"] == 8000
    assert config_of(export_litellm(plain).files[MAIN])["enable_context_window_escalation"]


def test_what_litellm_does_by_itself_is_switched_off(plain: RuleSet) -> None:
    config = config_of(export_litellm(plain).files[MAIN])
    assert config["escalation_keywords"] == []
    assert config["max_tokens_from_tier_model"] is False
    assert config["context_compaction"] is False
    assert config["route_housekeeping_to_cheapest_tier"] is False
    assert config["reasoning_override_min_score"] > 1


def test_the_reduced_rules_decide_alike_where_nothing_is_lost(plain: RuleSet) -> None:
    exported = export_litellm(plain)
    prompts = asked("hello", "a contract", "x" * 401, "indemnity " * 100, "x" * 400)
    every, *rules = agreement(plain, exported.ruleset, prompts)
    assert (every.n, every.first, every.chain) == (5, 1.0, 1.0)
    assert {one.rule for one in rules} == {"default", "legal", "long"}


def test_every_name_is_one_that_litellm_knows(plain: RuleSet) -> None:
    exported = export_litellm(plain)
    assert LITELLM.check(exported.files) == ()
    wrong = exported.files[MAIN].replace("keyword_tier_rules", "keyword_tier_rule")
    assert LITELLM.check({MAIN: wrong}) == (
        "config.yaml: complexity_router_config has no key 'keyword_tier_rule' (did you mean 'keyword_tier_rules'?)",
    )


def test_a_guard_on_the_conversation_is_refused_with_the_mend() -> None:
    with pytest.raises(RulesError, match="guard legal cannot be held by LiteLLM") as caught:
        export_litellm(support())
    assert "--classifier" in str(caught.value)
    assert "--allow-lost-guards" in str(caught.value)


def test_a_guard_that_may_be_lost_is_held_for_the_last_message_and_first_of_all() -> None:
    exported = export_litellm(support(), allow_lost_guards=True)
    config = config_of(exported.files[MAIN])
    assert config["tiers"]["REASONING"] == "large"
    told = {one.part: one.how for one in exported.lost}
    assert told["guard legal"] == "approximated"
    assert told["guard residency"] == "dropped"


def test_a_guard_on_the_last_message_is_held_in_full() -> None:
    guard = "guards: [{name: legal, when: {any_keyword: [contract], in: user}, at_least: large}]\nrules:"
    ruleset = RuleSet.parse(PLAIN.replace("rules:\n", f"{guard}\n", 1))
    exported = export_litellm(ruleset)
    assert not [one for one in exported.lost if one.part.startswith("guard")]
    every = agreement(ruleset, exported.ruleset, asked("a contract " + "x" * 400, "a contract", "hello"))[0]
    assert every.first == 1.0
    assert any("keys for routebench-auto alone" in one for one in exported.needs)


def test_a_condition_that_litellm_lacks_is_dropped_loudly() -> None:
    text = PLAIN.replace("{characters: {gt: 400}}", "{language: de}")
    exported = export_litellm(RuleSet.parse(text))
    (gone,) = [one for one in exported.lost if one.part == "rule long"]
    assert (gone.how, gone.why) == ("dropped", "it knows no languages")
    assert [rule.name for rule in exported.ruleset.rules] == ["legal"]


def test_a_cascade_goes_to_its_last_model_at_once() -> None:
    text = PLAIN.replace(
        "default: {route: [small, large]}", "cascade: {c: {json: true}}\ndefault: {route: [small, large], cascade: c}"
    )
    exported = export_litellm(RuleSet.parse(text))
    assert exported.ruleset.default.route == ("large", "small")
    assert any(one.how == "approximated" and one.part == "default" for one in exported.lost)


def test_asked_for_a_classifier_it_holds_guards_and_fails_closed() -> None:
    exported = export_asking(support())
    document = yaml.safe_load(exported.files[MAIN])
    config = config_of(exported.files[MAIN])
    assert config["classifier_plugin"] == "routebench_tiers.classifier"
    assert config["fallback_tier"] == "refused"
    assert config["tiers"]["refused"] == "routebench-refused"
    assert len(config["tier_definitions"]) <= 8
    groups = {entry["model_name"] for entry in document["model_list"]}
    assert set(config["tiers"].values()) <= groups
    assert LITELLM.check(exported.files) == ()
    assert not [one for one in exported.lost if one.how == "refused"]
    compile(exported.files["routebench_tiers.py"], "routebench_tiers.py", "exec")


def test_without_guards_a_fault_of_the_classifier_goes_to_the_default(plain: RuleSet) -> None:
    config = config_of(export_asking(plain).files[MAIN])
    assert config["tiers"][config["fallback_tier"]] == "small-then-large"


def test_the_table_has_a_row_for_every_feature() -> None:
    for name in ("litellm", "portkey", "vllm-sr", "openrouter"):
        assert {one.feature for one in find_target(name).capabilities} == set(FEATURES)


def test_a_classifier_names_tiers_and_survives_a_deep_copy_of_the_settings() -> None:
    ruleset = support()
    chains = {("large", "mid"): "rb1", ("mid",): "rb2"}
    tiers = LiteLLMTiers(Classifier(ruleset), chains)
    assert copy.deepcopy({"plugin": tiers})["plugin"] is tiers

    def named(text: str, **said: object) -> str:
        messages = ({"role": "user", "content": text},)
        return asyncio.run(tiers.classify(SimpleNamespace(structured_messages=messages, metadata=said)))

    assert named("x" * 200) == "rb1"
    # With a guard only a part of the chain itself may stand for it.
    assert named("hello") == "rb2"
    assert named("the contract") == REFUSED
    assert named("1 + 1", requester_metadata={"data_class": "eu_personal"}) == "rb2"
