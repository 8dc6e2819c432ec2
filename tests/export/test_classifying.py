from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import InputError, NoEligibleModelError, RulesError
from routebench.export.classifying import TIER, Classifier, OpenRouterTemplates, PortkeyHeaders
from routebench.export.openrouter import OPENROUTER
from routebench.export.portkey import PORTKEY
from routebench.export.unchecked import Opening, openings_as_written
from routebench.export.writing import heading, write
from routebench.rules import Default, Deployment, Guard, Router, RuleSet
from routebench.types import Model
from tests.conftest import make_model
from tests.export.policies import SUPPORT, support

KEYS = {name: f"secret-{name}" for name in ("DEEPSEEK_API_KEY", "EU_KEY", "US_KEY", "ANTHROPIC_API_KEY")}


def says(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("text", "known", "tier"),
    [
        ("Hello", {}, "mid>large"),
        ("What is 3 + 4?", {}, "small>mid>large"),
        ("What is 3 + 4?", {"metadata": {"data_class": "eu_personal"}}, "mid>large"),
        ("Is this contract valid?", {}, "large"),
        ("x" * 121, {}, "large>mid"),
        ("Hello", {"previous": "large"}, "large>mid"),
    ],
)
def test_a_request_takes_the_tier_of_its_chain(text: str, known: dict[str, Any], tier: str) -> None:
    assert Classifier(support()).tier(says(text), **known).name == tier


def test_it_decides_as_the_router_does() -> None:
    ruleset = support()
    router = Router(ruleset)
    for text in ("Hello", "3 * 4", "a contract", "y" * 200, "json " * 60):
        assert Classifier(ruleset).tier(says(text)).chain == router.route(says(text)).chain


def test_a_chain_without_a_tier_is_cut_to_the_models_that_have_one() -> None:
    models = {name: make_model(name, context_window=window) for name, window in (("a", 900), ("b", 300), ("c", 900))}
    ruleset = RuleSet("t", models, Default(("a", "b", "c")))
    # The window of b is too small: a>c is left, which nobody wrote down.
    assert Classifier(ruleset).tier(says("x" * 1600)).name == "a"


def test_regions_choose_the_places() -> None:
    places = {"a": (Deployment("a#1", "a", region="eu"), Deployment("a#2", "a", region="us"))}
    guards = (Guard("residency", {"tag": "eu"}, regions=("eu",)),)
    ruleset = RuleSet("t", {"a": make_model("a")}, Default(("a",)), guards=guards, deployments=places)
    assert Classifier(ruleset).tier(says("Hi"), tags=["eu"]).name == "a@eu"
    assert Classifier(ruleset).tier(says("Hi")).name == "a"


def test_nobody_may_take_it() -> None:
    guards = (Guard("a", {"tag": "x"}, only=("a",)), Guard("b", {"tag": "x"}, only=("b",)))
    ruleset = RuleSet("t", {name: make_model(name) for name in "ab"}, Default(("a",)), guards=guards)
    with pytest.raises(NoEligibleModelError):
        Classifier(ruleset).tier(says("Hi"), tags=["x"])


def test_portkeys_headers_name_the_tier_and_bring_the_keys() -> None:
    exported = PORTKEY.export(support())
    sending = PortkeyHeaders(Classifier(support()), json.loads(exported.files[PORTKEY.main]), KEYS.get)
    headers = sending(says("Is this contract valid?"))
    assert json.loads(headers["x-portkey-metadata"]) == {TIER: "large"}
    config = json.loads(headers["x-portkey-config"])
    assert config["strategy"]["mode"] == "conditional"
    assert "secret-ANTHROPIC_API_KEY" in headers["x-portkey-config"]
    assert "${" not in headers["x-portkey-config"]


def test_a_config_that_is_too_long_for_a_header_is_sent_as_its_target() -> None:
    exported = PORTKEY.export(support())
    config = json.loads(exported.files[PORTKEY.main])
    config["targets"] += [{**config["targets"][0], "name": f"more-{at}"} for at in range(40)]
    headers = PortkeyHeaders(Classifier(support()), config, KEYS.get)(says("Hello"))
    assert json.loads(headers["x-portkey-config"])["name"] == "mid>large"
    assert len(headers["x-portkey-config"]) < PortkeyHeaders.most


def test_a_variable_that_is_not_set_is_named() -> None:
    exported = PORTKEY.export(support())
    with pytest.raises(InputError, match="EU_KEY is not set"):
        PortkeyHeaders(Classifier(support()), json.loads(exported.files[PORTKEY.main]), (KEYS | {"EU_KEY": None}).get)


def test_variables_of_any_name_are_filled_and_parameters_are_not() -> None:
    model = Model("a", "openai", "m", key_env="my_key", params={"user": "${HOME}"})
    ruleset = RuleSet("t", {"a": model}, Default(("a",)))
    config = json.loads(PORTKEY.export(ruleset).files[PORTKEY.main])
    sent = json.loads(PortkeyHeaders(Classifier(ruleset), config, {"my_key": "k"}.get)(says("Hi"))["x-portkey-config"])
    [leaf] = sent["targets"][0]["targets"]
    assert (leaf["api_key"], leaf["override_params"]["user"]) == ("k", "${HOME}")


def test_cascades_begin_where_the_export_says() -> None:
    ruleset = RuleSet.parse(CHECKED)
    assert Classifier(ruleset).tier(says("Hello")).name == "large>mid"
    assert Classifier(ruleset, as_written=["default"]).tier(says("Hello")).name == "mid>large"


def test_a_key_with_quotes_is_still_json() -> None:
    exported = PORTKEY.export(support())
    keys = KEYS | {"US_KEY": 'a"b\\c'}
    sending = PortkeyHeaders(Classifier(support()), json.loads(exported.files[PORTKEY.main]), keys.get)
    assert 'a"b\\c' in json.dumps(json.loads(sending(says("Hello"))["x-portkey-config"])).replace('\\"', '"').replace(
        "\\\\", "\\"
    )


CHECKED = SUPPORT.replace(
    "default: {route: [mid, large]}", "cascade: {c: {json: true}}\ndefault: {route: [mid, large], cascade: c}"
)


@pytest.mark.parametrize("openings", [(), openings_as_written(["default"])])
def test_the_generated_modules_work_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, openings: tuple[Opening, ...]
) -> None:
    rules = tmp_path / "rules 'of' \U0001f600.yaml"
    rules.write_text(CHECKED)
    ruleset = RuleSet.load(rules)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    found: dict[str, dict[str, Any]] = {}
    for target in (PORTKEY, OPENROUTER):
        exported = target.export(ruleset, openings=openings)
        out = tmp_path / f"{target.name} \"mine'.json"
        _, module = write(exported, out, heading(ruleset, exported))
        found[target.name] = {"__file__": str(module)}
        exec(compile(module.read_text(), module.name, "exec"), found[target.name])
    headers = found["portkey"]["headers"](says("Hello"))
    assert json.loads(headers["x-portkey-metadata"]) == {TIER: "mid>large" if openings else "large>mid"}
    template = found["openrouter"]["template"](says("Is this contract valid?"))
    assert template["models"] == ["anthropic/claude-sonnet-4.5"]


def test_the_heading_of_a_config_is_not_sent() -> None:
    exported = PORTKEY.export(support())
    config = {"_routebench": ["caf\u00e9"], **json.loads(exported.files[PORTKEY.main])}
    headers = PortkeyHeaders(Classifier(support()), config, KEYS.get)(says("Hello"))
    assert "_routebench" not in headers["x-portkey-config"]
    assert headers["x-portkey-config"].isascii()


def test_a_model_that_has_a_say_is_named() -> None:
    text = (
        SUPPORT
        + "complexity: {classifier: {kind: llm, model: small}, tiers: [{below: 0.5, route: [small]}, {route: [large]}]}"
    )
    assert PORTKEY.export(RuleSet.parse(text)).needs[0].startswith("give `load` an `ask` that asks small")


def test_tiers_of_another_policy_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(SUPPORT.replace("gt: 120", "gt: 130"))
    with pytest.raises(RulesError, match="run `routebench export` again"):
        Classifier.load(tmp_path / "rules.yaml", policy_sha256=support().policy_sha256)


def test_templates_leave_out_models_that_are_unknown_there(tmp_path: Path) -> None:
    text = SUPPORT.replace(
        "provider: deepseek, model: deepseek-chat, key_env: DEEPSEEK_API_KEY", "provider: vllm, model: x"
    )
    ruleset = RuleSet.parse(text)
    (tmp_path / "rules.yaml").write_text(text)
    exported = OPENROUTER.export(ruleset)
    (tmp_path / OPENROUTER.main).write_text(exported.files[OPENROUTER.main])
    template = OpenRouterTemplates.load(
        tmp_path / "rules.yaml", tmp_path / OPENROUTER.main, policy_sha256=ruleset.policy_sha256
    )
    assert template(says("3 + 4"))["models"] == ["openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"]
