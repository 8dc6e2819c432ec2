from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

import routebench as rb
from routebench.dash.browsing.opened import folded, opened_html
from routebench.dash.browsing.panel import BrowsePanel
from routebench.dash.browsing.sources import open_source
from routebench.dash.browsing.state import Browse
from routebench.errors import StoreError, SuiteError
from routebench.rules import RuleSet
from routebench.suites import Suite
from routebench.types import Case, Request
from tests.conftest import make_case
from tests.dash.browsing.test_state import CASES, RULES, SUITE, answered_store

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def opened(suite: Suite = SUITE, **settings: object) -> BrowsePanel:
    return BrowsePanel(Browse(suite), follow=False, **settings)  # type: ignore[arg-type]


def test_a_bar_filters_the_table_and_python_reads_it_back() -> None:
    panel = opened()
    assert panel.selection == ("a", "b", "c", "d")
    panel._bars.selected = ("math",)
    assert panel.selection == ("b", "c")
    assert list(panel.result.index) == ["b", "c"]
    assert list(panel._cases.frame.index) == ["b", "c"]
    assert panel.reading.endswith("2 are shown.")
    # The table beside the picture follows, and chooses as well.
    assert panel._values.ticked == ("math",)
    panel._values.ticked = ("code",)
    assert (panel.selection, panel._bars.selected) == (("a",), ("code",))
    panel._cases.ticked = ("a",)
    panel._all.click()
    assert panel.selection == ("a",), "what is ticked stays ticked"
    assert len(panel.result) == 4


def test_lengths_and_another_facet_hold_together() -> None:
    panel = opened()
    panel._lengths.selected = ("0–49",)
    panel._facet.value = "tag"
    panel._bars.selected = ("en",)
    assert panel.selection == ("a", "b")
    assert panel.code().splitlines()[2:] == [
        "",
        "panel.choose('length', ['0–49'])",
        "panel.choose('tag', ['en'])",
        "panel.result",
    ]
    panel._measure.value = "requests"
    assert panel._bars.frames["counts"][0]["all"] == pytest.approx(60.0)


def test_near_duplicates_open_to_their_cases() -> None:
    suite = Suite(
        "s",
        (
            *CASES,
            make_case("e", "write PYTHON, for me!", split="train"),
            make_case("f", CASES[3].request.messages[0]["content"], split="train"),
        ),
    )
    panel = opened(suite)
    assert "Looking" in panel._twins.told.value
    panel.look_for_duplicates()
    assert "LEAK: " in panel._twins.warnings.value
    assert "rb-leak" in panel._twins.warnings.value
    assert len(panel._twins.table.frame) == 2
    panel._twins.table.opened = "1"
    assert len(panel.selection) == 2
    panel._twins.table.opened = ""
    assert len(panel.selection) == 6
    panel._facet.value = "duplicates"
    assert "Near-duplicates" in [table.caption for table in panel.numbers()]


def test_what_a_person_counts_by_stays_when_near_duplicates_arrive() -> None:
    panel = opened()
    panel._facet.value = "tag"
    panel._bars.selected = ("en",)
    panel.look_for_duplicates()
    assert panel.facet == "tag"
    assert panel._bars.selected == ("en",)
    assert panel.selection == ("a", "b")
    assert [row["name"] for row in panel._bars.frames["counts"]] == ["en", "short", "de", "none"]
    assert "No two cases ask nearly the same." in panel._twins.told.value


def test_near_duplicates_are_looked_for_on_a_thread_and_told_when_found() -> None:
    twins = (make_case("x", "one two three four five"), make_case("y", "One two three four five!"))
    panel = BrowsePanel(Browse(Suite("s", twins)))
    for thread in threading.enumerate():
        if thread.name == "routebench-browse":
            thread.join(20)
    assert "1 group, 2 cases in all" in panel._twins.told.value


def test_rules_are_covered_and_open_to_their_cases() -> None:
    panel = opened(rules=RuleSet.parse(RULES))
    assert panel._tabs.titles[2] == "Rules"
    panel._rules.opened = "numbers"
    assert panel.selection == ("b", "c")
    assert panel._tabs.selected_index == 0
    panel._cases.opened = "b"
    assert "numbers → cheap" in panel._opened.value
    refused = opened(rules="nowhere.yaml")
    assert "nowhere.yaml: no such file" in refused.refusal
    assert len(refused.result) == 4


def test_a_case_opens_with_its_answers(tmp_path: Path) -> None:
    store = answered_store(tmp_path)
    panel = rb.browse(SUITE, store=store)
    panel._cases.opened = "b"
    assert "How much is 12 times 12?" in panel._opened.value
    assert "<td>small</td><td>n/a</td>" in panel._opened.value
    panel._cases.opened = "a"
    assert "abstained: no" in panel._opened.value
    panel._cases.opened = ""
    assert panel._opened.value == ""
    assert panel._gaps is not None
    panel._gaps.heat.selected = ("large / math",)
    assert panel.selection == ("b", "c")
    panel._gaps.table.opened = "large / code"
    assert panel.selection == ("a",)
    panel._all.click()
    assert panel._gaps.table.opened == ""
    assert len(panel.selection) == 4


def test_texts_are_never_markup(tmp_path: Path) -> None:
    evil = make_case(EVIL, EVIL, target=EVIL, category=EVIL, tags=[EVIL], group=EVIL)
    suite = Suite(EVIL, (evil, make_case("twin", EVIL)))
    panel = opened(suite)
    panel.look_for_duplicates()
    panel._cases.opened = EVIL
    panel._bars.selected = (EVIL,)
    saved = panel.save(tmp_path / "b.html").read_text()
    texts = [
        panel._opened.value,
        panel._twins.warnings.value,
        panel._chosen.value,
        panel._reading.value,
        panel._still_html(),
    ]
    for text in (*texts, saved):
        assert "<script>" not in text
        assert "<img" not in text


def test_long_texts_are_folded_and_very_long_ones_cut() -> None:
    assert folded("short", "a") == "<pre>short</pre>"
    long = folded("x" * 3000, "a")
    assert "1,000 more characters" in long
    huge = folded("x" * 25_000, "a<b")
    assert huge.count("x") == 20_000
    assert "5,000 more characters are not shown" in huge
    assert "a&lt;b" in huge
    assert "Its text is not kept here." in opened_html(Case("a", Request(())))


def test_where_a_suite_can_come_from(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"prompt": "hello", "category": "x"}) + "\n")
    assert rb.browse(path).code().splitlines()[2] == f"panel = rb.browse({str(path)!r})"
    store = answered_store(tmp_path)
    named = open_source("s", store.path)
    assert [case.id for case in named.suite] == ["a", "b", "c", "d"]
    assert named.cells is not None
    assert named.cells.models == ("small", "large")
    with pytest.raises(StoreError, match="has no suite 'other'; it holds s"):
        open_source("other", store)
    with pytest.raises(SuiteError, match="no such suite file"):
        open_source(tmp_path / "nowhere.jsonl")


def test_twelve_thousand_cases_send_a_page_to_the_browser() -> None:
    suite = Suite("big", tuple(make_case(f"c{i}", f"question {i}", category=f"k{i % 40}") for i in range(12_000)))
    panel = opened(suite)
    state = json.dumps(panel._cases._page.get_state(), default=str)
    assert len(panel._cases.frame) == 12_000
    assert len(state) < 50_000
    panel._bars.selected = ("k7",)
    assert len(panel.selection) == 300
