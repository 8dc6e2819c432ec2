"""Stakes and protected classes in a bench.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from routebench.bench import Bench
from routebench.classes import Protection
from routebench.config import bench_json_schema, load_config
from routebench.demonstration import lay_out, recording
from routebench.errors import ConfigError, NoEligibleModelError
from routebench.rules import Router

MODELS = """
models:
  - {name: small, provider: openai, model: s}
  - {name: large, provider: openai, model: l}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "bench.yaml"
    path.write_text(f"suite: suite.jsonl\n{MODELS.lstrip()}{text}")
    return path


def with_suite(folder: Path) -> Path:
    rows = [
        {"id": "a", "prompt": "x", "category": "law"},
        {"id": "b", "prompt": "y", "category": "chat", "tags": ["vip"], "stakes_usd": 2},
    ]
    (folder / "suite.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def test_protected_tags_are_guards_and_categories_are_kept_for_tuning(tmp_path: Path) -> None:
    config = load_config(
        written(
            tmp_path,
            "stakes_usd: {law: 5, vip: 1.5}\n"
            "protect:\n"
            "  - {category: law, at_least: large, min_recall: 0.9}\n"
            "  - {tag: vip, only: [large], name: guests}\n"
            "guards:\n"
            "  - {name: own, when: {has_tools: true}, never: [small]}\n",
        )
    )
    assert config.stakes_usd == {"law": 5.0, "vip": 1.5}
    assert config.protect == (
        Protection("law", category="law", at_least="large", min_recall=0.9),
        Protection("guests", tag="vip", only=("large",)),
    )
    assert [guard["name"] for guard in config.guards] == ["own", "guests"]
    assert config.guards[1] == {"name": "guests", "when": {"tag": "vip"}, "only": ["large"]}
    assert config.protect[0].where.endswith("bench.yaml:7:5")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("protect:\n  - {category: law, at_least: larg}\n", "6:21", "no model 'larg' (did you mean 'large'?)"),
        ("protect:\n  - {category: law, only: [small, tiny]}\n", "6:21", "no model 'tiny'"),
        ("protect:\n  - {category: law}\n", "6:5", "either `at_least` or `only`"),
        ("protect:\n  - {at_least: large}\n", "6:5", "either a `category` or a `tag`"),
        ("protect:\n  - {tag: vip, at_least: large, min_recall: 0.9}\n", "6:5", "leave `min_recall` out"),
        ("protect:\n  - {category: law, at_least: large, min_recall: 1}\n", "6:38", "less than 1"),
        ("protect:\n  - {categori: law, at_least: large}\n", "6:6", "did you mean 'category'?"),
        ("stakes_usd: {law: -1}\n", "5:14", "greater than or equal to 0"),
        (
            "guards:\n  - {name: law, when: {}, only: [large]}\nprotect:\n  - {category: law, at_least: large}\n",
            "8:5",
            "a guard is called 'law' already",
        ),
    ],
)
def test_mistakes_have_their_line_and_the_mend(tmp_path: Path, text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert words in str(caught.value)
    assert f"bench.yaml:{place}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stakes_usd: {lwa: 5}\n", "bench.yaml:5:14: no case has the category or tag 'lwa' (did you mean 'law'?)"),
        (
            "protect:\n  - {category: vip, at_least: large}\n",
            "6:5: no case has the category 'vip'; there are chat, law",
        ),
        ("protect:\n  - {tag: law, at_least: large}\n", "6:5: no case has the tag 'law'; there are vip"),
    ],
)
def test_a_class_that_no_case_has_is_an_error_once_the_suite_is_known(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Bench(written(with_suite(tmp_path), text), store=tmp_path / "s.duckdb")
    assert words in str(caught.value)


def test_the_demonstration_protects_its_legal_cases(tmp_path: Path) -> None:
    lay_out(tmp_path)
    bench = Bench(tmp_path / "bench.yaml", recorded=recording())
    bench.run().wait()
    cases = bench.outcomes().cases
    legal = np.array(["legal" in tags for tags in cases.tags])
    assert legal.sum() == 10
    assert (cases.stakes_usd[legal] == 50).all()
    assert np.isnan(cases.stakes_usd[~legal]).all()
    assert [guard["name"] for guard in bench.config.guards] == ["legal"]


@pytest.mark.parametrize("constraint", [{"max_cost_usd_per_1k": 1e-6}, {"max_quality_drop": 1.0}])
def test_legal_cases_never_go_below_the_model_that_was_named(tmp_path: Path, constraint: dict[str, float]) -> None:
    lay_out(tmp_path)
    bench = Bench(tmp_path / "bench.yaml", recorded=recording())
    bench.run().wait()
    router = Router(bench.tune(**constraint).ruleset)
    legal = [case for case in bench.suite if "legal" in case.tags]
    others = [case for case in bench.suite if "legal" not in case.tags]
    assert {router.decide(case.request).chain for case in legal} == {("smollm2-few",)}
    # The tuner does go lower where it may.
    assert any(router.decide(case.request).chain[0] != "smollm2-few" for case in others)
    for model in ("calculator", "smollm2-json", "smollm2-zero"):
        with pytest.raises(NoEligibleModelError, match="guards legal hold"):
            router.route(legal[0].request.messages, tags=legal[0].request.tags, model=model)


def test_the_demonstration_with_another_model_reads_as_one(tmp_path: Path) -> None:
    lay_out(tmp_path, gemma=True)
    config = load_config(tmp_path / "bench.yaml")
    assert len(config.models) == 5
    assert [one.label for one in config.protect] == ["tag=legal"]


def test_editors_are_told_of_both_keys() -> None:
    schema = bench_json_schema()
    assert schema["properties"]["stakes_usd"]["description"]
    assert schema["$defs"]["ProtectSettings"]["properties"]["min_recall"]["description"]
