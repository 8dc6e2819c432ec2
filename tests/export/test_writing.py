from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from routebench.errors import InputError, RulesError
from routebench.export.capability import capability_line
from routebench.export.litellm.document import MAIN
from routebench.export.litellm.exporter import LITELLM, export_litellm
from routebench.export.litellm.plugin import export_asking
from routebench.export.loss import Lost, refuse_lost_guards
from routebench.export.prompts import known_prompts
from routebench.export.verify.verified import Verified
from routebench.export.writing import HEADING, headed, heading, write
from routebench.rules import RuleSet

RULES = """
schema: routebench/rules/v1
name: two
models:
  small: {provider: openai, model: small}
  large: {provider: openai, model: large}
default: {route: [small, large]}
evidence:
  suite: mine
  outcomes_sha256: abcdef0123456789
  n_test: 120
  quality: {mean: 0.9, ci95: [0.85, 0.94]}
  cost_usd_per_1k: {mean: 0.41}
  created: 2026-11-23
golden: [{prompt: "hello", decision: [small, large], rule: default}]
"""


@pytest.fixture
def ruleset() -> RuleSet:
    return RuleSet.parse(RULES)


def test_the_heading_says_from_which_rules_on_what_evidence_and_that_nobody_tried_it(ruleset: RuleSet) -> None:
    said = "\n".join(heading(ruleset, export_litellm(ruleset)))
    assert f"policy sha256: {ruleset.policy_sha256}" in said
    assert "evidence: suite mine, outcomes abcdef012345, 120 held-out cases, quality 0.900 [0.850, 0.940]" in said
    assert "verified: not verified" in said
    assert "needs: callers ask for the model routebench-auto" in said


def test_a_trial_is_told_with_its_share(ruleset: RuleSet) -> None:
    tried = Verified.of("LiteLLM 1", "run", ["a", "a", "b"], ["a", "a", "a"])
    assert tried.agreement == pytest.approx(2 / 3)
    assert tried.differing == (2,)
    said = "\n".join(heading(ruleset, export_litellm(ruleset), None, tried))
    assert "verified: by LiteLLM 1: 66.7% of 3 prompts went where the rules send them" in said


def test_validated_is_not_called_run(ruleset: RuleSet) -> None:
    said = "\n".join(heading(ruleset, export_litellm(ruleset), None, Verified.of("sr", "validated", ["a"], ["a"])))
    assert "accepted by sr, which did not run" in said


def test_without_a_trial_of_any_prompt_the_share_is_unknown() -> None:
    assert Verified.of("x", "run", [], []).agreement is None


def test_yaml_and_python_get_comments_and_json_a_key() -> None:
    assert headed("a.yaml", "x: 1\n", ("one\ntwo",)) == "# one two\nx: 1\n"
    assert json.loads(headed("a.json", '{"b": 1}', ("one",))) == {HEADING: ["one"], "b": 1}


def test_what_is_written_still_loads_and_holds_no_line_of_the_heading_as_data(ruleset: RuleSet, tmp_path: Path) -> None:
    exported = export_litellm(ruleset)
    (path,) = write(exported, tmp_path / "new" / "litellm.yaml", heading(ruleset, exported))
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Written by `routebench export --to litellm`")
    assert yaml.safe_load(text) == yaml.safe_load(exported.files[MAIN])


def test_nothing_is_written_over_the_rules_or_over_another_file_of_the_export(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    exported = export_asking(RuleSet.load(rules))
    for name in ("rules.yaml", "routebench_tiers.py"):
        with pytest.raises(InputError, match="this name is taken"):
            write(exported, tmp_path / name, ())
    with pytest.raises(InputError, match="this name is taken"):
        write(export_litellm(RuleSet.load(rules)), rules, ())
    assert rules.read_text(encoding="utf-8") == RULES
    with pytest.raises(InputError, match="cannot be written"):
        write(exported, tmp_path, ())


def test_golden_prompts_stand_in_where_no_suite_is_named(ruleset: RuleSet) -> None:
    (request,) = known_prompts(ruleset)
    assert request.messages[0]["content"] == "hello"


def test_a_lost_guard_stops_the_export_unless_somebody_says_so() -> None:
    lost = [Lost("guard legal", "refused", "it reads little", "mend it"), Lost("rule x", "dropped", "no", "none")]
    with pytest.raises(RulesError, match=r"^guard legal cannot be held by T: it reads little; mend it, or --allow"):
        refuse_lost_guards(lost, "T", allow=False)
    refuse_lost_guards(lost, "T", allow=True)
    refuse_lost_guards(lost[1:], "T", allow=False)


def test_the_capability_line_names_every_feature_once() -> None:
    line = capability_line(LITELLM.capabilities)
    assert line.startswith("full: any_keyword")
    assert all(line.count(one.feature) >= 1 for one in LITELLM.capabilities)
