from __future__ import annotations

import pytest

from routebench.export.addresses import Address, address_of, unserved, variables_of
from routebench.rules import Default, RuleSet
from routebench.rules.deployments import only_place
from routebench.types import Model


@pytest.mark.parametrize(
    ("model", "address"),
    [
        (Model("a", "openai", "x"), Address("https://api.openai.com/v1", "OPENAI_API_KEY")),
        (Model("a", "openai", "x", key_env="MINE"), Address("https://api.openai.com/v1", "MINE")),
        # Elsewhere the provider's own key is nobody's business.
        (Model("a", "openai", "x", base_url="http://10.0.0.5/v1"), Address("http://10.0.0.5/v1", None)),
        (Model("a", "imported", "x"), Address(None, None, "A_BASE_URL")),
        (Model("tiny-1", "embedded", "x"), Address(None, None, "TINY_1_BASE_URL")),
    ],
)
def test_addresses(model: Model, address: Address) -> None:
    assert address_of(model, only_place(model)[0]) == address


def test_places_of_one_model_have_their_own_variables() -> None:
    model = Model("tiny", "embedded", "x")
    places = RuleSet.parse(
        "schema: routebench/rules/v1\nname: t\ndefault: {route: [tiny]}\n"
        "models: {tiny: {provider: embedded, model: x, deployments: [{region: a}, {region: b}]}}"
    ).deployments_of("tiny")
    assert [address_of(model, one).url_env for one in places] == ["TINY_1_BASE_URL", "TINY_2_BASE_URL"]


def test_variables_and_what_is_to_be_served() -> None:
    models = {
        "a": Model("a", "openai", "x", key_env="MINE"),
        "b": Model("b", "embedded", "x"),
        "c": Model("c", "imported", "x"),
    }
    ruleset = RuleSet("t", models, Default(("a",)))
    assert variables_of(ruleset, "abc") == ["B_BASE_URL", "C_BASE_URL", "MINE"]
    assert variables_of(ruleset, "b", str.lower) == ["b_base_url"]
    inside, nobody = unserved(ruleset, "abc", str.lower)
    assert (inside.part, "set b_base_url" in inside.mend) == ("model b", True)
    assert "nobody knows where provider 'imported' listens" in nobody.why
