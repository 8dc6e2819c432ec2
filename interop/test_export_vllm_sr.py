"""vLLM Semantic Router's own validator on exported configs. Its router runs in containers, and is not run here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import ProviderError
from routebench.export.target import Exported
from routebench.export.verify.vllm_sr import PROGRAM
from routebench.export.vllm_sr.exporter import VLLM_SR
from routebench.rules import Default, Guard, Rule, RuleSet
from routebench.suites.starter import load_starter
from tests.conftest import make_model
from tests.export.policies import support

ROOT = Path(__file__).resolve().parents[1]
STARTER = [case.request for case in load_starter().cases]
EVERYTHING: list[dict[str, Any]] = [
    {"any_keyword": ["contract", "r\u00e9sum\u00e9", "due diligence", "\u5408\u540c"]},
    {"all_keywords": ["a", "it's"]},
    {"regex": r"(?i)\$[0-9]+ [a-z]{2,5}$"},
    {"language": ["de", "fr"]},
    {"characters": {"gt": 20, "le": 90}},
    {"words": {"ge": 3}},
    {"input_tokens": {"gt": 8000}},
    {"has_code": True},
    {"is_question": False},
    {"turns": {"ge": 2}},
    {"has_tools": True},
    {"has_images": True},
    {"metadata.team": ["a", "b"]},
    {"in": "conversation", "regex": "x"},
    {"any": [{"regex": "x"}, {"not": {"all": [{"regex": "y"}, {"words": {"lt": 9}}]}}]},
]


@pytest.fixture(autouse=True)
def product() -> Path:
    program = ROOT / PROGRAM
    if not program.exists():
        pytest.skip(f"needs {PROGRAM}: `make interop` builds it")
    return program


def changed(old: str, new: str) -> Exported:
    exported = VLLM_SR.export(support())
    text = exported.files[VLLM_SR.main]
    assert old in text
    return replace(exported, files={VLLM_SR.main: text.replace(old, new)})


def test_it_accepts_the_config_and_the_replay_goes_where_it_was_measured_to_go(product: Path) -> None:
    found = VLLM_SR.verify(VLLM_SR.export(support()), support(), STARTER, product=product)
    assert found.by == "vllm-sr 0.4.0, its validator"
    assert found.how == "validated"
    assert (found.n, found.agreement) == (len(STARTER), 1.0)


def test_it_accepts_every_condition_and_places_of_their_own(product: Path) -> None:
    models = {name: make_model(name, context_window=900, capabilities=frozenset({"tools"})) for name in ("a", "b")}
    rules = tuple(Rule(f"r{at}", when, ("b", "a")) for at, when in enumerate(EVERYTHING))
    guards = tuple(Guard(f"g{at}", when, only=("b",)) for at, when in enumerate((EVERYTHING[0], EVERYTHING[6])))
    ruleset = RuleSet("t", models, Default(("a", "b")), rules=rules, guards=guards)
    found = VLLM_SR.verify(VLLM_SR.export(ruleset), ruleset, STARTER, product=product)
    assert found.agreement is not None
    regions = Guard("residency", {"metadata.data": "eu"}, regions=("eu",))
    placed = replace(support(), guards=(regions,))
    assert VLLM_SR.verify(VLLM_SR.export(placed), placed, STARTER, product=product).agreement == 1.0


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("strategy: priority", "stratgy: priority", "stratgy"),
        ("type: structure, name: maths", "type: structure, name: math", "unknown signal 'math'"),
        ("operator: NOT", "operator: NOTT", "operator must be one of"),
        ("{model: small,", "{model: tiny,", "tiny"),
    ],
)
def test_it_refuses_what_the_check_refuses(product: Path, old: str, new: str, why: str) -> None:
    broken = changed(old, new)
    assert VLLM_SR.check(broken.files)
    with pytest.raises(ProviderError, match=why):
        VLLM_SR.verify(broken, support(), STARTER[:1], product=product)
