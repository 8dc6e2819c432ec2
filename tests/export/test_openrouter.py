from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from routebench.errors import RulesError
from routebench.export.capability import FEATURES
from routebench.export.openrouter import OPENROUTER
from routebench.rules import Default, Guard, RuleSet
from routebench.types import Model, Price
from tests.export.policies import support


def templates(ruleset: RuleSet, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(OPENROUTER.export(ruleset, **options).files[OPENROUTER.main])["templates"]
    return found


def alone(model: Model) -> RuleSet:
    return RuleSet("t", {model.name: model}, Default((model.name,)))


def test_every_feature_has_a_row() -> None:
    assert {one.feature for one in OPENROUTER.capabilities} == FEATURES.keys()


def test_a_template_a_chain() -> None:
    found = templates(support())["small>mid>large"]
    assert found["models"] == ["deepseek/deepseek-chat", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5"]
    assert found["provider"]["order"] == ["deepseek", "openai", "anthropic"]
    assert found["provider"]["allow_fallbacks"] is True


def test_the_bound_on_prices_is_the_dearest_of_the_chain_in_texts() -> None:
    priced = replace(support().models["large"], price=Price(input_usd_per_mtok=4.0, output_usd_per_mtok=20.5))
    ruleset = support()
    ruleset = replace(ruleset, models={**ruleset.models, "large": priced})
    assert templates(ruleset)["large>mid"]["provider"]["max_price"] == {"prompt": "4", "completion": "20.5"}


def test_the_bound_is_never_below_what_openrouter_asks() -> None:
    # At its own price or above, or every request would be refused.
    cheap = Model("a", "anthropic", "claude-sonnet-4-5", price=Price(input_usd_per_mtok=0.1, output_usd_per_mtok=0.1))
    assert float(templates(alone(cheap))["a"]["provider"]["max_price"]["completion"]) >= 1.0


def test_a_price_that_nobody_knows_bounds_nothing() -> None:
    found = templates(alone(Model("a", "vllm", "x")), names={"a": "nobody/knows-this"})["a"]
    assert "max_price" not in found["provider"]
    assert found["models"] == ["nobody/knows-this"]


@pytest.mark.parametrize(
    ("provider", "model", "model_id"),
    [
        ("anthropic", "claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
        ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
        ("openai", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("gemini", "gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("mistral", "mistral-large-latest", "mistralai/mistral-large"),
        ("openrouter", "some/thing:free", "some/thing:free"),
    ],
)
def test_ids(provider: str, model: str, model_id: str) -> None:
    assert templates(alone(Model("a", provider, model)))["a"]["models"] == [model_id]


def test_an_id_that_nobody_knows_is_never_guessed() -> None:
    ruleset = support()
    unknown = replace(ruleset.models["small"], model="deepseek-of-tomorrow")
    ruleset = replace(ruleset, models={**ruleset.models, "small": unknown})
    exported = OPENROUTER.export(ruleset)
    lost = next(one for one in exported.lost if one.part == "model small")
    assert lost.how == "dropped"
    assert "--map small=" in lost.mend
    assert all("small" not in name.split(">") for name in templates(ruleset))
    with pytest.raises(RulesError, match="--map a=AUTHOR/MODEL"):
        OPENROUTER.export(alone(Model("a", "anthropic", "claude-of-tomorrow")))


def test_a_model_that_was_measured_elsewhere_is_not_taken_for_its_namesake() -> None:
    elsewhere = Model("a", "openai", "gpt-4o-mini", base_url="http://10.0.0.5/v1")
    with pytest.raises(RulesError, match="--map a=AUTHOR/MODEL"):
        OPENROUTER.export(alone(elsewhere))
    assert templates(alone(elsewhere), names={"a": "openai/gpt-4o-mini"})["a"]["models"] == ["openai/gpt-4o-mini"]


def test_regions_cannot_be_held() -> None:
    ruleset = replace(support(), guards=(Guard("residency", {"tag": "eu"}, regions=("eu",)),))
    with pytest.raises(RulesError, match="guard residency cannot be held by OpenRouter"):
        OPENROUTER.export(ruleset)
    assert OPENROUTER.export(ruleset, allow_lost_guards=True).files


def test_more_than_three_models_are_cut_off_and_said() -> None:
    names = ["claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5", "claude-3-haiku"]
    models = {name: Model(name, "anthropic", name) for name in names}
    ruleset = RuleSet("t", models, Default(tuple(names)))
    assert all(len(one["models"]) <= 3 for one in templates(ruleset).values())
    assert any(one.part.startswith("chain ") for one in OPENROUTER.export(ruleset).lost)


def test_parameters_of_the_first_model_hold_for_the_others_and_that_is_said() -> None:
    ruleset = support()
    strange = replace(ruleset.models["large"], params={"max_tokens": 9, "thinking": {"type": "enabled"}})
    ruleset = replace(ruleset, models={**ruleset.models, "large": strange})
    assert templates(ruleset)["large>mid"]["max_tokens"] == 9
    assert "thinking" not in templates(ruleset)["large>mid"]
    parts = [one.part for one in OPENROUTER.export(ruleset).lost]
    assert "model large" in parts
    assert any(part.startswith("parameters in") for part in parts)


def test_what_is_written_passes_the_check() -> None:
    assert OPENROUTER.check(OPENROUTER.export(support()).files) == ()


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ({"models": ["a/b"], "modells": []}, "template x: OpenRouter reads no 'modells'"),
        ({"models": []}, "template x: `models` needs 1 to 3 ids, and has 0"),
        ({"models": ["a"]}, "template x: 'a' is no id; write AUTHOR/MODEL"),
        ({"models": ["a/b"], "provider": {"oder": []}}, "template x.provider: OpenRouter reads no 'oder'"),
        (
            {"models": ["a/b"], "provider": {"max_price": {"prompt": 1.5}}},
            "template x.provider.max_price.prompt: OpenRouter takes a string, such as '1.5'",
        ),
    ],
)
def test_names_that_it_does_not_read_are_told(template: dict[str, Any], sentence: str) -> None:
    assert sentence in OPENROUTER.check({OPENROUTER.main: json.dumps({"templates": {"x": template}})})
