"""The report, on the recorded answers of the demonstration."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from routebench.bench import Bench
from routebench.classes import Protection
from routebench.cli import main
from routebench.demonstration import lay_out, recording
from routebench.errors import InputError
from routebench.evaluate import Comparison
from routebench.evaluate.splits import split
from routebench.messages import last_user_text
from routebench.report import write_report
from routebench.rules import Default, Guard, RuleSet
from routebench.strategies import RulesFile
from routebench.traffic import Traffic
from routebench.tune import insure, protect, with_guards


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("demo")
    lay_out(folder)
    made = Bench(folder / "bench.yaml", recorded=recording())
    made.run().wait()
    return made


@pytest.fixture(scope="module")
def comparison(bench: Bench) -> Comparison:
    return bench.compare(["similarity", "knn_tfidf"], seeds=(42, 43))


class Outline(HTMLParser):
    """Tags that are open, and every address that a browser would follow by itself."""

    VOID = frozenset({"meta", "br", "link", "img", "path", "rect", "line"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.heads: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.addresses += [found[name] or "" for name in ("src", "href", "xlink:href") if name in found]
        if tag == "th":
            self.heads.append(found)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_opens_offline_and_is_well_formed(bench: Bench, comparison: Comparison, tmp_path: Path) -> None:
    page = write_report(tmp_path / "r.html", comparison, store=bench.store).read_text()
    outline = Outline()
    outline.feed(page)
    assert not outline.open
    assert [one for one in outline.addresses if not one.startswith("#")] == []
    assert "@import" not in page
    assert "url(http" not in page
    assert all(head.get("scope") in ("col", "row") for head in outline.heads)


def test_findings_come_before_the_picture_and_the_picture_before_the_table(
    bench: Bench, comparison: Comparison, tmp_path: Path
) -> None:
    text = write_report(tmp_path / "r.md", comparison, store=bench.store).read_text()
    places = [text.index(f"## {title}") for title in ("Cost and quality", "The numbers", "Provenance and method")]
    assert text.index("> ") < places[0] < places[1] < places[2]
    assert comparison.outcomes_sha256 in text


def test_a_shared_report_holds_no_text_of_prompts_and_answers(
    bench: Bench, comparison: Comparison, tmp_path: Path
) -> None:
    answers = bench.sql("SELECT text FROM answers WHERE text IS NOT NULL AND length(text) > 12")["text"]
    prompts = [last_user_text(case.request.messages) for case in bench.suite]
    tuned = bench.tune(max_quality_drop=0.05)
    for name in ("r.html", "r.md"):
        page = write_report(tmp_path / name, comparison, store=bench.store, tuned=tuned, share=True).read_text()
        assert not [prompt for prompt in prompts if prompt in page]
        assert not [answer for answer in set(answers) if answer.strip() in page]
        assert "any_keyword" not in page
    whole = write_report(tmp_path / "w.html", comparison, store=bench.store, tuned=tuned).read_text()
    assert "<article" in whole


def test_the_bill_is_requests_times_cost_with_its_interval(
    bench: Bench, comparison: Comparison, tmp_path: Path
) -> None:
    text = write_report(tmp_path / "r.md", comparison, store=bench.store, traffic=Traffic(2_000_000)).read_text()
    interval = comparison["best_single"].cost_ci95
    assert interval is not None
    row = next(line for line in text.splitlines() if line.startswith("| best\\_single | $"))
    assert float(re.findall(r"\$([\d.]+)", row)[0]) == pytest.approx(2_000_000 * interval.mean, rel=0.01)
    assert "if your traffic looks like this suite" in text


def test_hostile_names_and_prompts_stay_text(comparison: Comparison, tmp_path: Path) -> None:
    named = replace(comparison, suite="<script>alert(1)</script>|`x`")
    assert "<script>" not in write_report(tmp_path / "r.html", named).read_text()
    assert "<script>" not in write_report(tmp_path / "r.md", named).read_text()


def test_a_report_without_prices_shows_quality_alone(bench: Bench, tmp_path: Path) -> None:
    from routebench.evaluate import compare
    from routebench.strategies import with_baselines

    outcomes = bench.outcomes()
    unpriced = replace(outcomes, cost_usd=outcomes.cost_usd * float("nan"))
    found = compare(unpriced, with_baselines(["similarity"], outcomes.models), seeds=(42,))
    page = write_report(tmp_path / "r.html", found, traffic=Traffic(1000)).read_text()
    assert "n/a" in page
    assert "$0" not in page


def test_other_formats_are_refused_with_the_mend(comparison: Comparison, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"report\.html or report\.md"):
        write_report(tmp_path / "r.pdf", comparison)


def test_what_the_guards_cost_stands_beside_what_they_save(bench: Bench, tmp_path: Path) -> None:
    outcomes = bench.outcomes()
    inside, outside = split(outcomes, 42)
    train, test = outcomes.take(inside), outcomes.take(outside)
    category = Protection("sums", category="arithmetic", at_least="smollm2-few", min_recall=0.9)
    protected = protect(train, [*bench.config.protect, category])
    ruleset = RuleSet(
        "r",
        {model.name: model for model in bench.models},
        Default(route=("calculator", "smollm2-zero")),
        guards=with_guards((), protected),
    )
    found = bench.compare([RulesFile(ruleset)], seeds=(42,))
    insurance = insure(ruleset, train, test, protected)
    text = write_report(tmp_path / "r.md", found, store=bench.store, insurance=insurance).read_text()
    section = text[text.index("## What insurance costs") : text.index("## What wrong answers cost")]
    assert "| legal (tag=legal) |" in section
    assert "| sums (category=arithmetic) |" in section
    assert "| all guards |" in section
    # Five cases of a class in the training half cannot show a recall of nine in ten.
    assert "29 independent cases" in section
    damage = text[text.index("## What wrong answers cost") :]
    score = found["always:calculator"].first.replayed.score
    legal = ~np.isnan(found.half.test.cases.stakes_usd)
    assert f"| always:calculator | ${1000 * 50 * (1 - score[legal]).mean():,.0f} |" in damage
    assert f"Of {(~legal).sum()} held-out cases nobody said" in damage


def test_the_guards_of_a_rule_set_in_a_file_are_told_of(bench: Bench, tmp_path: Path) -> None:
    ruleset = RuleSet(
        "r",
        {model.name: model for model in bench.models},
        Default(route=("smollm2-zero",)),
        guards=(Guard("legal", {"tag": "legal"}, at_least="smollm2-few"),),
    )
    (tmp_path / "rules.yaml").write_text(ruleset.to_yaml())
    bench.grade()
    for strategies, there in ((f"rules:{tmp_path / 'rules.yaml'}", True), ("similarity", False)):
        out = tmp_path / "r.md"
        arguments = ["--store", str(bench.store.path), "--suite", bench.suite.name, "--strategies", strategies]
        assert main(["report", *arguments, "--seeds", "42", "--out", str(out)]) == 0
        assert ("## What insurance costs" in out.read_text()) is there
