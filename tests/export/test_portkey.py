from __future__ import annotations

import json
from typing import Any

import pytest

from routebench.errors import RulesError
from routebench.export.capability import FEATURES
from routebench.export.portkey import PORTKEY
from routebench.rules import Budget, Default, Guard, RuleSet
from routebench.types import Model
from tests.conftest import make_model
from tests.export.policies import support


def config_of(ruleset: RuleSet, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PORTKEY.export(ruleset, **options).files[PORTKEY.main])
    return found


def target(config: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in config["targets"] if one["name"] == name)
    return found


def test_every_feature_has_a_row() -> None:
    assert {one.feature for one in PORTKEY.capabilities} == FEATURES.keys()


def test_conditions_ask_for_the_tier_alone_and_inside_and() -> None:
    config = config_of(support())
    assert config["strategy"]["mode"] == "conditional"
    names = [one["name"] for one in config["targets"]]
    for condition in config["strategy"]["conditions"]:
        assert condition["query"] == {"$and": [{"metadata.rb_tier": {"$eq": condition["then"]}}]}
        assert condition["then"] in names
    assert len(names) == len(set(names))


def test_without_metadata_a_request_goes_where_no_guard_objects() -> None:
    assert config_of(support())["strategy"]["default"] == "large"


def test_without_such_a_model_there_is_no_default_and_that_is_said() -> None:
    guards = (Guard("a", {"tag": "a"}, only=("a",)), Guard("b", {"tag": "b"}, only=("b",)))
    ruleset = RuleSet("t", {name: make_model(name) for name in "ab"}, Default(("a",)), guards=guards)
    assert "default" not in config_of(ruleset)["strategy"]
    assert [one.part for one in PORTKEY.export(ruleset).lost] == ["requests without metadata"]


def test_a_chain_is_a_fallback_that_retries_at_its_end() -> None:
    found = target(config_of(support()), "large>mid")
    assert found["strategy"]["mode"] == "fallback"
    assert {429, 500, 503, 529} <= set(found["strategy"]["on_status_codes"])
    assert [leaf.get("provider") for leaf in found["targets"]] == ["anthropic", None]
    assert "retry" not in found["targets"][0]
    assert target(config_of(support()), "large")["targets"][0]["retry"]["attempts"] == 1


def test_places_are_balanced_by_weight_and_fail_over() -> None:
    [balanced] = target(config_of(support()), "mid")["targets"]
    assert balanced["strategy"] == {"mode": "loadbalance"}
    assert [one["weight"] for one in balanced["targets"]] == [2.0, 1.0]
    hosts = [[leaf.get("custom_host") for leaf in one["targets"]] for one in balanced["targets"]]
    assert hosts == [["https://eu.example.org/v1", None], [None, "https://eu.example.org/v1"]]
    assert all(one["strategy"] == {"mode": "fallback"} for one in balanced["targets"])


def test_keys_are_variables_and_parameters_go_along() -> None:
    [leaf] = target(config_of(support()), "large")["targets"]
    assert leaf["api_key"] == "${ANTHROPIC_API_KEY}"
    assert leaf["override_params"] == {"model": "claude-sonnet-4-5", "max_tokens": 1024}


@pytest.mark.parametrize(
    ("provider", "base_url", "leaf"),
    [
        ("gemini", None, {"provider": "google", "api_key": "${GEMINI_API_KEY}"}),
        ("qwen", None, {"provider": "dashscope", "api_key": "${DASHSCOPE_API_KEY}"}),
        ("vllm", "http://10.0.0.5:8000/v1", {"provider": "openai", "custom_host": "http://10.0.0.5:8000/v1"}),
        ("openai", "https://x.example.org/v1", {"provider": "openai", "custom_host": "https://x.example.org/v1"}),
        ("embedded", None, {"provider": "openai", "custom_host": "${TINY_ONE_BASE_URL}"}),
    ],
)
def test_providers_by_their_names_there(provider: str, base_url: str | None, leaf: dict[str, str]) -> None:
    model = Model("tiny-one", provider, "m", base_url=base_url)
    config = config_of(RuleSet("t", {"tiny-one": model}, Default(("tiny-one",))))
    [found] = target(config, "tiny-one")["targets"]
    assert leaf.items() <= found.items()
    assert ("custom_host" in leaf) == ("custom_host" in found)


def test_a_model_that_runs_in_here_has_to_be_served() -> None:
    ruleset = RuleSet("t", {"tiny": Model("tiny", "embedded", "smollm2-135m")}, Default(("tiny",)))
    exported = PORTKEY.export(ruleset)
    assert [(one.part, one.how) for one in exported.lost] == [("model tiny", "approximated")]
    assert "TINY_BASE_URL" in exported.needs[1]


def test_what_shapes_the_exchange_is_the_callers_to_say() -> None:
    params = {"max_tokens": 9, "stream": True, "extra_body": {"top_k": 3}, "extra_headers": {"x-team": "env:TEAM"}}
    ruleset = RuleSet("t", {"a": Model("a", "openai", "m", params=params)}, Default(("a",)))
    [leaf] = target(config_of(ruleset), "a")["targets"]
    assert leaf["override_params"] == {"model": "m", "max_tokens": 9, "top_k": 3}
    assert [(one.part, one.how) for one in PORTKEY.export(ruleset).lost] == [("model a", "dropped")]


def test_a_name_of_the_callers_is_sent() -> None:
    assert target(config_of(support(), names={"large": "claude-x"}), "large")["targets"][0]["override_params"] == {
        "model": "claude-x",
        "max_tokens": 1024,
    }


def test_a_guard_on_spend_is_refused_unless_it_may_be_lost() -> None:
    guards = (Guard("spent", {"budget_pace": {"gt": 1}}, only=("a",)),)
    ruleset = RuleSet("t", {"a": make_model("a")}, Default(("a",)), guards=guards, budget=Budget(1.0, "cheapest"))
    with pytest.raises(RulesError, match="guard spent cannot be held by Portkey"):
        PORTKEY.export(ruleset)
    lost = PORTKEY.export(ruleset, allow_lost_guards=True).lost
    assert {one.part for one in lost} == {"budget", "guard spent"}


def test_what_is_written_passes_the_check() -> None:
    assert PORTKEY.check(PORTKEY.export(support()).files) == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strategi": {}}, "config: Portkey reads no 'strategi'"),
        ({"strategy": {"mode": "conditonal"}}, "config.strategy: Portkey has no mode 'conditonal'"),
        ({"strategy": {"mode": "single", "default": "x"}}, "config: no target is named 'x'"),
        ({"retry": {"attempt": 1}}, "config.retry: Portkey reads no 'attempt'"),
        ({"targets": [{"name": "a"}]}, "config.targets[0]: it has neither targets nor a provider"),
        (
            {"strategy": {"mode": "conditional", "conditions": [{"query": {"text": {"$eq": 1}}, "then": "a"}]}},
            "config: Portkey's conditions cannot read 'text'",
        ),
        (
            {"strategy": {"conditions": [{"query": {"$and": [], "params.x": 1}, "then": "a"}], "mode": "conditional"}},
            "config: Portkey ignores what stands beside $and",
        ),
        (
            {"strategy": {"conditions": [{"query": {"params.x": {"$is": 1}}, "then": "a"}], "mode": "conditional"}},
            "config: Portkey has no operator '$is'",
        ),
    ],
)
def test_names_that_it_does_not_read_are_told(change: dict[str, Any], sentence: str) -> None:
    config = {"targets": [{"name": "a", "provider": "openai", "api_key": "x"}], **change}
    assert sentence in PORTKEY.check({PORTKEY.main: json.dumps(config)})
