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
from routebench.export.litellm.asking import REFUSED, LiteLLMTiers, stands_for
from routebench.export.litellm.document import MAIN
from routebench.export.litellm.exporter import LITELLM, export_litellm
from routebench.export.litellm.plugin import export_asking
from routebench.export.litellm.service import ROUTER
from routebench.export.unchecked import openings_as_written
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


def guarded(guards: str, text: str = PLAIN) -> RuleSet:
    return RuleSet.parse(text.replace("rules:\n", f"guards: [{guards}]\nrules:\n", 1))


def refusal(ruleset: RuleSet) -> str:
    with pytest.raises(RulesError) as caught:
        export_litellm(ruleset)
    return str(caught.value)


def test_a_guard_on_the_length_of_the_last_message_is_held_in_full() -> None:
    ruleset = guarded("{name: much, when: {characters: {gt: 900}, in: user}, at_least: large}")
    exported = export_litellm(ruleset)
    assert not [one for one in exported.lost if one.part.startswith("guard")]
    every = agreement(ruleset, exported.ruleset, asked("x" * 901, "x" * 401, "a contract", "hello"))[0]
    assert every.first == 1.0
    assert any("keys for routebench-auto alone" in one for one in exported.needs)


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("{any_keyword: [contract], in: user}", "it does not see words in unusual forms of letters"),
        ("{any_keyword: [due diligence], in: user}", "only with single spaces"),
        ("{regex: 'pass(word|port)', in: user}", "patterns read the first 2,048 characters"),
        ("{has_code: true, in: user}", "code is looked for in the first 2,048 characters"),
        ("{words: {gt: 90}, in: user}", "words are counted as 5.7 characters each"),
        ("{characters: {lt: 90}, in: user}", "a request without a user message goes to the default"),
    ],
)
def test_a_guard_that_holds_for_less_there_is_refused(when: str, why: str) -> None:
    ruleset = guarded(f"{{name: legal, when: {when}, at_least: large}}")
    assert why in refusal(ruleset)
    told = [one for one in export_litellm(ruleset, allow_lost_guards=True).lost if one.part == "guard legal"]
    assert told[0].how == "approximated"
    assert why in told[0].why


def test_of_two_guards_that_hold_together_the_second_must_allow_where_the_first_leads() -> None:
    first = "{name: a, when: {characters: {gt: 900}, in: user}, only: [local, large]}"
    second = "{name: b, when: {characters: {gt: 500}, in: user}, only: [local]}"
    assert "guard b cannot be held" in refusal(guarded(f"{first}, {second}"))
    assert "a request that an earlier guard holds for too goes where this one forbids" in refusal(
        guarded(f"{first}, {second}")
    )


def test_a_guard_that_no_chain_breaks_must_allow_where_the_others_lead() -> None:
    kept = "{name: kept, when: {tag: x}, never: [spare]}"
    other = "{name: other, when: {characters: {gt: 900}, in: user}, only: [spare]}"
    text = PLAIN.replace("models:\n", "models:\n  spare: {provider: openai, model: x}\n")
    assert "guard kept cannot be held" in refusal(guarded(f"{kept}, {other}", text))
    assert export_litellm(guarded(kept, text)).ruleset.guards


def test_a_guard_on_regions_is_refused_where_a_model_has_places_elsewhere_too() -> None:
    text = PLAIN.replace("{key_env: ONE, weight: 3}, {key_env: TWO}", "{region: eu}, {region: us}").replace(
        "model: deepseek-chat,", "model: deepseek-chat, region: eu,"
    )
    text = text.replace("model: qwen,", "model: qwen, region: eu,")
    guard = "{name: home, when: {tag: eu}, regions: [eu]}"
    assert "guard home cannot be held" in refusal(guarded(guard, text))
    assert export_litellm(guarded(guard, text.replace(", {region: us}", ""))).ruleset.guards


def test_a_guard_that_leaves_no_model_is_refused() -> None:
    guard = "{name: none, when: {characters: {gt: 900}, in: user}, never: [small, local, large]}"
    assert "it leaves no model, and LiteLLM cannot refuse what it routes" in refusal(guarded(guard))


def test_guards_that_need_more_tiers_than_there_are_end_with_one_message() -> None:
    lengths = (900, 800, 700, 600)
    sets = ("[large]", "[small, large]", "[local, large]", "[small, local]")
    guards = ", ".join(
        f"{{name: g{at}, when: {{characters: {{gt: {length}}}, in: user}}, only: {some}}}"
        for at, (length, some) in enumerate(zip(lengths, sets, strict=True))
    )
    with pytest.raises(RulesError, match="its guards need more than the 4 tiers"):
        export_litellm(guarded(guards), allow_lost_guards=True)


def test_nothing_is_moved_past_a_guard_by_its_size_or_images() -> None:
    text = PLAIN.replace("context_window: 8000", "context_window: 8000, capabilities: [tools]")
    free = config_of(export_litellm(RuleSet.parse(text)).files[MAIN])
    assert (free["enable_context_window_escalation"], free["modality_routing"]) == (True, True)
    exported = export_litellm(guarded("{name: g, when: {characters: {gt: 900}, in: user}, only: [large]}", text))
    held = config_of(exported.files[MAIN])
    assert (held["enable_context_window_escalation"], held["modality_routing"]) == (False, False)
    assert {one.part: one.how for one in exported.lost}["limits"] == "dropped"


def test_a_providers_key_goes_to_its_own_address_alone() -> None:
    text = PLAIN.replace("key_env: DEEPSEEK_API_KEY", "base_url: 'http://10.0.0.5/v1'").replace(
        "provider: vllm, model: qwen", "provider: embedded, model: qwen"
    )
    listed = yaml.safe_load(export_litellm(RuleSet.parse(text)).files[MAIN])["model_list"]
    params = {one["model_name"]: one["litellm_params"] for one in listed}
    assert (params["small"]["api_base"], params["small"]["api_key"]) == ("http://10.0.0.5/v1", "none")
    assert (params["local"]["api_base"], params["local"]["api_key"]) == ("os.environ/LOCAL_BASE_URL", "none")
    assert "api_base" not in params["large"]


def test_a_model_that_the_caller_names_needs_no_address() -> None:
    text = PLAIN.replace("provider: vllm, model: qwen", "provider: imported, model: qwen")
    lost = [one.part for one in export_litellm(RuleSet.parse(text)).lost]
    assert "model local" in lost
    exported = export_litellm(RuleSet.parse(text), names={"local": "together_ai/qwen"})
    [params] = [
        one["litellm_params"]
        for one in yaml.safe_load(exported.files[MAIN])["model_list"]
        if one["model_name"] == "local"
    ]
    assert params == {"model": "together_ai/qwen"}
    assert "model local" not in [one.part for one in exported.lost]


def test_headers_that_name_variables_do_so_in_its_words() -> None:
    text = PLAIN.replace("context_window: 8000", "params: {stream: true, extra_headers: {x-team: 'env:TEAM', x-a: b}}")
    listed = yaml.safe_load(export_litellm(RuleSet.parse(text)).files[MAIN])["model_list"]
    [params] = [one["litellm_params"] for one in listed if one["model_name"] == "local"]
    assert params["extra_headers"] == {"x-team": "os.environ/TEAM", "x-a": "b"}
    assert "stream" not in params


def test_a_group_never_takes_the_name_of_a_model() -> None:
    text = PLAIN.replace("  local: {", "  small-then-large: {").replace("[local, large]", "[small-then-large, large]")
    document = yaml.safe_load(export_litellm(RuleSet.parse(text)).files[MAIN])
    tiers = config_of(export_litellm(RuleSet.parse(text)).files[MAIN])["tiers"]
    assert (tiers["SIMPLE"], tiers["MEDIUM"]) == ("small-then-large-2", "small-then-large-then-large")
    named = [one["model_name"] for one in document["model_list"]]
    assert named.count("small-then-large") == 1
    with pytest.raises(RulesError, match="model routebench-auto: a group of the export has this name"):
        export_litellm(RuleSet.parse(PLAIN.replace("local", "routebench-auto")))


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


def test_a_cascade_that_was_replayed_stays_as_it_is_written() -> None:
    text = PLAIN.replace(
        "default: {route: [small, large]}", "cascade: {c: {json: true}}\ndefault: {route: [small, large], cascade: c}"
    )
    openings = openings_as_written(["default"])
    assert export_litellm(RuleSet.parse(text), openings=openings).ruleset.default.route == ("small", "large")
    exported = export_asking(RuleSet.parse(text), openings=openings)
    assert exported.ruleset.default.route == ("small", "large")
    assert "AS_WRITTEN = ('default',)" in exported.files["routebench_tiers.py"]


def test_a_chain_without_a_tier_is_held_as_a_part_of_it() -> None:
    holds = export_asking(support()).holds
    assert holds is not None
    assert holds(("small", "mid", "large")) == ("small", "mid", "large")
    tiers = (("large", "mid"), ("mid",))
    assert stands_for(("large", "small"), tiers, is_guarded=True) is None
    assert stands_for(("large", "small"), tiers, is_guarded=False) == ("large", "mid")
    assert stands_for(("small", "mid"), tiers, is_guarded=True) == ("mid",)


def test_a_rule_on_tools_is_not_replayed_where_nobody_shows_them() -> None:
    text = PLAIN.replace("{characters: {gt: 400}}", "{has_tools: true}")
    exported = export_asking(RuleSet.parse(text))
    assert [rule.name for rule in exported.ruleset.rules] == ["legal"]
    assert {one.part: one.how for one in exported.lost}["rule long"] == "dropped"


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
