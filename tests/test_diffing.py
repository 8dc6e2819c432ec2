"""`routebench diff` on the recorded answers of the demonstration."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.bench import Bench
from routebench.cli import main
from routebench.demonstration import lay_out, recording
from routebench.diffing import RulesDiff, diff_rules
from routebench.errors import OutcomesError
from routebench.evaluate import Outcomes
from routebench.report.diff import diff_markdown
from routebench.rules import Default, Guard, Rule, RuleSet

FEW, ZERO, CALC = "smollm2-few", "smollm2-zero", "calculator"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("diff")
    lay_out(folder)
    made = Bench(folder / "bench.yaml", recorded=recording())
    made.run().wait()
    made.grade()
    return made


@pytest.fixture(scope="module")
def outcomes(bench: Bench) -> Outcomes:
    return bench.outcomes()


@pytest.fixture
def rules(bench: Bench) -> RuleSet:
    return RuleSet(
        "starter",
        {model.name: model for model in bench.models},
        Default(route=(CALC, ZERO)),
        rules=(Rule("json", {"any_keyword": ["json"]}, ("smollm2-json", ZERO)),),
        guards=(Guard("legal", {"tag": "legal"}, at_least=FEW),),
    )


def looser(rules: RuleSet) -> RuleSet:
    return replace(rules, guards=(Guard("legal", {"tag": "legal"}, at_least=ZERO),))


def texts(diff: RulesDiff, topic: str) -> list[str]:
    return [one.text for one in diff.readings if one.topic == topic]


def test_the_same_rules_move_nothing(rules: RuleSet, outcomes: Outcomes) -> None:
    diff = diff_rules(rules, rules, outcomes)
    assert (diff.moved.n_chain, diff.moved.scores.delta, diff.loosened, diff.changes) == (0, 0.0, (), ())
    assert texts(diff, "moves") == ["None of 150 cases moves."]
    assert texts(diff, "guards") == ["No guard was loosened."]
    assert texts(diff, "file") == ["the files decide alike."]
    assert not any(one.grave for one in diff.readings)


def test_figures_agree_with_a_replay_by_hand(rules: RuleSet, outcomes: Outcomes) -> None:
    new = replace(rules, default=Default(route=(FEW,)))
    diff = diff_rules(rules, new, outcomes)
    few = outcomes.models.index(FEW)
    held = np.array(
        ["json" in "".join(m["content"] for m in case.request.messages).casefold() for case in outcomes.cases]
    )
    legal = np.array(["legal" in tags for tags in outcomes.cases.tags])
    plain = ~held & ~legal
    assert diff.moved.n_first == plain.sum()
    assert diff.moved.quality is not None
    by_hand = outcomes.expected_scores()[plain, few].mean()
    whole = diff_rules(new, new, outcomes.take(plain)).moved.quality
    assert whole is not None
    assert whole[1] == pytest.approx(by_hand)
    assert diff.moved.scores.verdict == "worse"
    assert texts(diff, "moves")[0].startswith(
        f"{plain.sum()} of 150 cases move: {plain.sum()} from calculator to {FEW}"
    )
    assert diff.moved.harmed[0].model == FEW
    assert texts(diff, "cases") == ["All 150 cases count: no evidence says that a rule set was tuned on this suite."]


def test_cases_that_rules_were_tuned_on_do_not_count(rules: RuleSet, outcomes: Outcomes) -> None:
    def tuned(seed: int, suite: str = "starter") -> RuleSet:
        written = {"suite": suite, "split": {"seed": seed}, "outcomes_sha256": outcomes.sha256()}
        return replace(rules, evidence=written)

    one = diff_rules(tuned(42), rules, outcomes)
    assert (one.used.n, one.used.seeds, one.moved.n) == (74, (42,), 74)
    assert not one.used.outcomes_changed
    both = diff_rules(tuned(42), tuned(43), outcomes)
    assert both.used.n < 74
    assert both.used.seeds == (42, 43)
    assert diff_rules(tuned(42, "other"), rules, outcomes).used.n == 150
    stale = replace(rules, evidence={**tuned(42).evidence, "outcomes_sha256": "0"})
    assert any(
        "not those that a rule set was tuned on" in text for text in texts(diff_rules(rules, stale, outcomes), "cases")
    )


def test_a_loosened_guard_is_told_with_the_cases_that_show_it(rules: RuleSet, outcomes: Outcomes) -> None:
    diff = diff_rules(rules, looser(rules), outcomes)
    (one,) = diff.loosened
    assert one.guard == "legal"
    n_legal = sum("legal" in tags for tags in outcomes.cases.tags)
    assert (diff.opened.n, diff.opened.models, len(diff.opened.cases)) == (n_legal, (ZERO,), 2)
    assert all(case.startswith("legal") for case in diff.opened.cases)
    back = diff_rules(looser(rules), rules, outcomes)
    assert (back.loosened, back.opened.n) == ((), 0)


def test_requests_that_guards_refuse_score_nothing(rules: RuleSet, outcomes: Outcomes) -> None:
    strict = replace(rules, guards=(*rules.guards, Guard("none", {"tag": "legal"}, only=(CALC,))))
    diff = diff_rules(rules, strict, outcomes)
    n_legal = sum("legal" in tags for tags in outcomes.cases.tags)
    assert diff.moved.refused == (0, n_legal)
    assert any("without a model" in one.text and one.grave for one in diff.readings)
    assert diff.as_dict()["moved"]["flows"][0]["to"] is None


def test_a_model_without_outcomes_is_named(rules: RuleSet, outcomes: Outcomes) -> None:
    with pytest.raises(OutcomesError, match=f"no outcomes of {FEW}"):
        diff_rules(rules, replace(rules, default=Default(route=(FEW,))), outcomes.select([CALC, ZERO, "smollm2-json"]))


def test_the_pull_request_text_holds_prompts_of_public_cases_only(rules: RuleSet, outcomes: Outcomes) -> None:
    diff = diff_rules(rules, replace(looser(rules), default=Default(route=(FEW,))), outcomes)
    page = diff_markdown(diff)
    assert page.count("> [!CAUTION]") == 1
    assert "Guards were loosened." in page
    assert "as asked for" in diff_markdown(diff, allowed=True)
    assert re.search(r"Asked: \w+", page)
    private = [replace(one.case, request=replace(one.case.request, tags=())) for one in diff.moved.harmed]
    harmed = tuple(replace(one, case=case) for one, case in zip(diff.moved.harmed, private, strict=True))
    assert "Asked:" not in diff_markdown(replace(diff, moved=replace(diff.moved, harmed=harmed)))
    assert "CAUTION" not in diff_markdown(diff_rules(rules, rules, outcomes))


def test_the_command(bench: Bench, rules: RuleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, page = tmp_path / "old.yaml", tmp_path / "new.yaml", tmp_path / "out" / "pr.md"
    old.write_text(rules.to_yaml())
    new.write_text(looser(rules).to_yaml())
    where = ["--store", str(bench.store.path), "--suite", "starter"]

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["diff", *arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    code, out, _ = run(str(old), str(new), *where, "--markdown", str(page))
    assert code == 1
    assert "Loosened: guard 'legal' now admits smollm2-zero" in out
    assert "--allow-guard-change" in out
    assert "[!CAUTION]" in page.read_text()
    assert run(str(old), str(new), *where, "--allow-guard-change")[0] == 0
    assert run(str(new), str(old), *where)[0] == 0
    code, out, _ = run(str(old), str(new), *where, "--json")
    document: dict[str, Any] = json.loads(out)
    assert (code, document["ok"], document["schema"]) == (1, False, "routebench/diff/v1")
    assert document["loosened"][0]["guard"] == "legal"
    assert document["cases"]["n"] == document["quality"]["n"] == 150
    assert run(str(old), str(tmp_path / "none.yaml"), *where)[0] == 2
    assert run(str(old), str(new), "--store", str(tmp_path / "none.duckdb"), "--suite", "starter")[0] == 2
    code, _, err = run(str(old), str(new), *where[:3], "startr")
    assert code == 2
    assert "did you mean 'starter'" in err
    (tmp_path / "file").write_text("")
    assert run(str(old), str(new), *where, "--markdown", str(tmp_path / "file" / "pr.md"))[0] == 2
