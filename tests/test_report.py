"""The report, on the recorded answers of the demonstration."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from routebench.bench import Bench
from routebench.demonstration import lay_out, recording
from routebench.errors import InputError
from routebench.evaluate import Comparison
from routebench.messages import last_user_text
from routebench.report import write_report
from routebench.traffic import Traffic


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
