from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from routebench.dash.browsing.cells import Cells
from routebench.dash.browsing.coverage import cover
from routebench.dash.browsing.dangers import dangers
from routebench.dash.browsing.pictures import MOST_BARS, bar_rows, bars, described_gaps, gaps, lengths_rows
from routebench.dash.browsing.state import LENGTHS, Browse
from routebench.errors import RulesError
from routebench.providers import model_key
from routebench.providers.base import failed
from routebench.redact import Secrets
from routebench.rules import RuleSet
from routebench.run import Limits, Run, make_plan
from routebench.store import Store, register
from routebench.suites import Suite, content_hash
from routebench.suites.duplicates import find_duplicates
from tests.conftest import make_case, make_model
from tests.run.test_runner import AT, Scripted, no_sleep, ok

CASES = (
    make_case("a", "Write python for me", category="code", tags=["en"], weight=5.0),
    make_case("b", "How much is 12 times 12?", category="math", tags=["en", "short"]),
    make_case("c", "Wie viel ist 12 mal 12?", category="math", tags=["de"], grader="numeric", target=144),
    make_case("d", "A story. " * 40, category=None, group="g", split="test", weight=3.0),
)
SUITE = Suite("s", CASES)
RULES = """
schema: routebench/rules/v1
name: mine
models:
  cheap: {provider: openai, model: a}
  strong: {provider: openai, model: b}
order: [cheap, strong]
rules:
  - {name: code, when: {any_keyword: [python]}, route: [strong]}
  - {name: never, when: {any_keyword: [zebra]}, route: [strong]}
  - {name: numbers, when: {regex: "[0-9]+"}, route: [cheap]}
default: {route: [strong, cheap]}
"""


def told(browse: Browse, facet: str) -> dict[str, tuple[int, int]]:
    return {one.value: (one.n, one.shown) for one in browse.counts(facet)}  # type: ignore[arg-type]


def test_facets_count_cases_and_the_requests_they_stand_for() -> None:
    browse = Browse(SUITE)
    assert told(browse, "category") == {"math": (2, 2), "code": (1, 1), "none": (1, 1)}
    assert told(browse, "tag") == {"en": (2, 2), "short": (1, 1), "de": (1, 1), "none": (1, 1)}
    assert [one.weight for one in browse.counts("category")] == pytest.approx([0.2, 0.5, 0.3])
    assert told(browse, "grader") == {"exact": (3, 3), "numeric": (1, 1)}
    assert told(browse, "split") == {"not fixed": (3, 3), "test": (1, 1)}
    assert browse.facets == ("category", "tag", "length", "grader", "split")
    assert browse.reading == "s: 4 cases, standing for 10 requests, 2 categories, middle length 24 characters."


def test_every_length_has_its_bin() -> None:
    suite = Suite("s", tuple(make_case(f"{n}", "x" * n) for n in (0, 49, 50, 99, 100, 49_999, 50_000, 200_000)))
    counts = Browse(suite).counts("length")
    assert [one.value for one in counts] == list(LENGTHS)
    assert {one.value: one.n for one in counts if one.n} == {
        "0–49": 2,
        "50–99": 2,
        "100–199": 1,
        "20,000–49,999": 1,
        "50,000 and more": 2,
    }
    assert len(lengths_rows(counts, by_weight=False)) == len(LENGTHS)
    # Empty bins before the shortest and behind the longest are not drawn; those between are.
    few = Browse(Suite("s", (make_case("a", "x" * 60), make_case("b", "x" * 300)))).counts("length")
    assert list(lengths_rows(few, by_weight=False)["name"]) == ["50–99", "100–199", "200–499"]


def test_the_length_of_a_text_that_is_not_kept_is_unknown() -> None:
    silent = replace(CASES[0], request=replace(CASES[0].request, messages=()))
    browse = Browse(Suite("s", (silent, CASES[1])))
    assert browse.frame["characters"].isna().tolist() == [True, False]
    assert {one.value: one.n for one in browse.counts("length") if one.n} == {"text not kept": 1, "0–49": 1}
    assert Browse(Suite("s", (silent,))).reading == "s: 1 case, 1 category, no text is kept."


def test_choices_of_several_facets_hold_together_and_each_counts_without_its_own() -> None:
    browse = Browse(SUITE)
    browse.choose("category", ["math", "code"])
    browse.choose("tag", ["en"])
    assert list(browse.shown.index) == ["a", "b"]
    assert told(browse, "category") == {"math": (2, 1), "code": (1, 1), "none": (1, 0)}
    assert told(browse, "tag")["de"] == (1, 1)
    assert browse.choices == "category: code or math; tag: en"
    browse.choose("tag", [])
    assert list(browse.shown.index) == ["a", "b", "c"]
    browse.choose("category", ["there is no such"])
    assert len(browse.shown) == 4
    browse.only = frozenset({"d"})
    assert list(browse.shown.index) == ["d"]
    browse.clear()
    assert len(browse.shown) == 4
    assert browse.choices == ""


def test_near_duplicates_are_a_facet_and_leaks_are_told_loudly() -> None:
    twins = (
        make_case("x", "one two three four five", split="train"),
        make_case("y", "One two three four five!", split="test"),
    )
    suite = Suite("s", (*CASES, *twins))
    browse = Browse(suite)
    assert "duplicates" not in browse.facets
    browse.note_duplicates(find_duplicates(suite.cases))
    assert told(browse, "duplicates")["on both sides of the split"] == (2, 2)
    assert browse.frame["duplicates"].tolist() == [0, 0, 0, 0, 1, 1]
    assert browse.of_duplicates("x") is browse.of_duplicates("y")
    assert browse.of_duplicates("a") is None
    (danger,) = dangers(browse.duplicates or ())
    assert danger.is_leak
    assert danger.what.startswith("LEAK: 1 group of near-duplicates (2 cases) is on both sides of the suite's split")
    assert dangers(()) == []


def test_coverage_names_idle_rules_and_what_only_the_default_takes() -> None:
    coverage = cover(CASES, RuleSet.parse(RULES))
    assert coverage.rules == ("code", "numbers", "numbers", "default")
    assert coverage.models == ("strong", "cheap", "cheap", "strong")
    assert [(row.rule, row.n, row.weight) for row in coverage.rows] == [
        ("code", 1, 0.5),
        ("never", 0, 0.0),
        ("numbers", 2, 0.2),
        ("default", 1, pytest.approx(0.3)),
    ]
    assert coverage.idle == ("never",)
    assert coverage.reading == (
        "mine: 1 case (30% of the requests) is left to the default. Rules that take no case: never."
    )
    browse = Browse(SUITE)
    browse.note_coverage(coverage)
    assert told(browse, "rule") == {"code": (1, 1), "never": (0, 0), "numbers": (2, 2), "default": (1, 1)}
    assert browse.decided("b") == ("numbers", "cheap")


def test_a_case_without_text_is_decided_by_nobody() -> None:
    silent = replace(CASES[0], request=replace(CASES[0].request, messages=()))
    assert cover([silent], RuleSet.parse(RULES)).rules == ("(text not kept)",)
    with pytest.raises(RulesError, match="no such file"):
        cover(CASES, "nowhere.yaml")


def answered_store(tmp_path: Path, suite: Suite = SUITE) -> Store:
    store = Store(tmp_path / "s.duckdb")
    models = [make_model("small"), make_model("large")]
    provider = Scripted(lambda call, _n: failed("abstained", "no") if "python" in str(call.request.messages) else ok())
    plan = make_plan(suite, models[:1], store)
    register(
        store,
        suite=suite.name,
        run_id="r",
        cases=[(case, content_hash(case)) for case in suite],
        models=[(model, model_key(model)) for model in models],
        cells=make_plan(suite, models, store).cells(),
        at=AT,
    )
    run = Run(
        plan,
        store,
        run_id="r",
        open_provider=lambda _name: provider,
        limits=Limits(max_attempts=1),
        secrets=Secrets([]),
        now=lambda: AT,
        sleep=no_sleep,
    )
    run.start().wait(20)
    return store


def test_cells_are_there_failed_or_missing(tmp_path: Path) -> None:
    store = answered_store(tmp_path)
    cells = Cells.read(store, SUITE, ["small", "large"])
    assert cells.answered.tolist() == [[0, 0], [1, 0], [1, 0], [1, 0]]
    assert cells.failed.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert cells.missing.tolist() == [[0, 1], [0, 1], [0, 1], [0, 1]]
    assert np.isnan(cells.score).all(), "nothing is graded, and that is not zero"
    frame = cells.gaps(["code", "math", "math", "none"]).set_index("name")
    assert frame.loc["small / code", ["cells", "missing", "failed"]].tolist() == [1, 0, 1]
    assert frame.loc["large / math", ["cells", "missing", "failed"]].tolist() == [2, 2, 0]
    assert described_gaps(frame.reset_index()) == (
        "4 of 8 answers are missing, most of them: large / math 2, large / code 1, large / none 1."
    )
    browse = Browse(SUITE, cells)
    assert told(browse, "answers") == {"of every model": (0, 0), "of some models": (3, 3), "of no model": (1, 1)}
    browse.choose("gap", ["large / math"])
    assert list(browse.shown.index) == ["b", "c"]


def test_a_case_that_has_changed_has_no_answer_any_more(tmp_path: Path) -> None:
    store = answered_store(tmp_path)
    changed = Suite("s", (*CASES[:2], make_case("c", "Something else?", category="math"), CASES[3]))
    cells = Cells.read(store, changed, ["small"])
    assert cells.answered[:, 0].tolist() == [0, 1, 0, 1]
    never = Cells.read(Store(tmp_path / "empty.duckdb"), SUITE, ["small"], n_samples=3)
    assert never.missing.tolist() == [[1.0]] * 4


def test_pictures_are_valid_and_hold_what_is_chosen() -> None:
    many = Suite("s", tuple(make_case(f"c{i}", category=f"k{i}") for i in range(MOST_BARS + 5)))
    counts = Browse(many).counts("category")
    rows = bar_rows(counts, by_weight=False, chosen={counts[-1].value})
    assert len(rows) == MOST_BARS + 1
    assert rows["name"].iloc[-1] == counts[-1].value
    assert bar_rows(counts, by_weight=True)["all"].iloc[0] == pytest.approx(100 / len(many))
    for spec in (bars(by_weight=True), bars(by_weight=False, title="length"), gaps(3)):
        assert spec.to_dict()["$schema"]
