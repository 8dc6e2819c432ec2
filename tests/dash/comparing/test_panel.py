"""The compare panel: controls and Python reach the same state, and the page gets no more than it should."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routebench.dash.comparing import ComparePanel, compare
from routebench.errors import OutcomesError
from routebench.evaluate import Comparison
from tests.dash.comparisons import EVIL, RULES, TODAY, compared, outcomes


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared()


@pytest.fixture
def panel(comparison: Comparison) -> ComparePanel:
    return compare(comparison)


def states(widget: Any) -> Iterator[Any]:
    yield widget.get_state()
    for child in getattr(widget, "children", ()):
        yield from states(child)


def htmls(panel: ComparePanel) -> str:
    """Everything that the page takes as HTML."""
    found = list(states(panel.widget))
    return "".join(str(one["value"]) for one in found if one.get("_model_name") == "HTMLModel")


def test_it_opens_with_the_pick_and_its_cases(panel: ComparePanel, comparison: Comparison) -> None:
    assert panel.result is comparison
    assert panel.selection == (RULES,)
    assert panel.reading == comparison.reading
    assert len(panel.cases) > 0
    assert panel._table.ticked == panel._chart.selected == (RULES,)


def test_marks_and_rows_select_the_same(panel: ComparePanel) -> None:
    panel._chart.selected = (RULES, "always:small")
    assert panel.selection == (RULES, "always:small")
    assert set(panel._table.ticked) == {RULES, "always:small"}
    panel._table.ticked = (TODAY,)
    assert panel._chart.selected == (TODAY,)
    assert "against best_single" in panel._told.value
    panel.selection = ()
    assert panel._table.ticked == ()
    assert "0 selected" in panel._told.value


def test_a_control_and_its_method_do_the_same(panel: ComparePanel) -> None:
    panel._controls.baseline.value = "always:small"
    assert panel.state.baseline == "always:small"
    panel.hold_against("always:large")
    assert panel._controls.baseline.value == "always:large"
    panel.look_at("category=sum")
    assert panel._controls.part.value == "category=sum"
    assert panel._table.frame.loc[RULES, "verdict"] == "same"
    panel._controls.part.value = ""
    assert panel.state.part == ""


def test_sliding_data_keeps_the_spec_and_another_axis_changes_it(panel: ComparePanel) -> None:
    before = panel._chart.spec
    panel._controls.baseline.value = "always:small"
    panel._controls.part.value = "category=word"
    assert panel._chart.spec == before
    panel._controls.log.value = False
    assert panel._chart.spec != before
    panel._controls.along.value = "p95"
    assert "seconds" in json.dumps(panel._chart.spec)
    assert panel._chart.frames["hull"] == []


def test_an_opened_case_shows_answers_and_what_decided(panel: ComparePanel) -> None:
    panel.select([TODAY, RULES])
    panel.hold_against(TODAY)
    panel.opened = str(panel.cases.index[0])
    assert "decided by tier SIMPLE" in panel._answers.value
    assert "decided by sums" in panel._answers.value
    panel._diff.value = True
    assert "<ins>" in panel._answers.value
    panel.opened = ""
    assert "Open a case" in panel._answers.value


def test_nothing_from_a_suite_or_a_model_is_a_tag(panel: ComparePanel) -> None:
    panel.select([TODAY, RULES, "always:odd<b"])
    panel.opened = str(panel.cases.index[0])
    text = htmls(panel)
    assert "<script" not in text
    assert "odd<b" not in text
    assert "&lt;script&gt;" in text


def test_one_page_of_cases_is_in_the_browser_and_no_answer_before_it_is_opened() -> None:
    big = compare(compared(outcomes(1_200)))
    big._controls.which.value = "all"
    assert len(big.cases) == 600
    shown = json.dumps([one for one in states(big.widget) if "rows" in one], default=str)
    assert len(re.findall(r"number \d+", shown)) == 200
    assert "I say" not in json.dumps(list(states(big.widget)), default=str)


def test_what_stays_without_a_kernel_has_numbers_and_no_prompt(panel: ComparePanel) -> None:
    text = panel._still_html()
    assert "quality [95% CI]" in text
    assert RULES in text
    assert EVIL not in text
    assert "number " not in text


def test_it_is_saved_as_a_page_that_asks_nothing(panel: ComparePanel, tmp_path: Path) -> None:
    text = panel.save(tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<svg" in text
    assert "<script" not in text
    assert not re.search(r'(src|href)="(?!#)', text)


def test_the_copied_code_gives_the_same_panel(panel: ComparePanel, comparison: Comparison) -> None:
    panel.hold_against("always:small")
    panel.look_at("category=sum")
    panel.select([RULES])
    code = panel.code()
    lines = [line for line in code.splitlines() if line.startswith("panel.") and "=" not in line.split("(")[0]]
    again = compare(comparison)
    for line in lines:
        eval(line, {"panel": again})
    assert (again.state.baseline, again.state.part, again.selection) == ("always:small", "category=sum", (RULES,))
    assert f"bench.compare({[RULES, TODAY]!r}, seeds=[42], baseline='best_single')" in code


def test_a_refusal_is_a_cause_and_a_mend_and_changes_nothing(panel: ComparePanel) -> None:
    panel._try(panel.state.look_at, "category=nothing")
    assert "no part &#x27;category=nothing&#x27;" in panel.refusal
    assert panel.state.part == ""
    panel._controls.baseline.value = "cheapest"
    assert panel.refusal == ""
    with pytest.raises(OutcomesError):
        panel.select(["nobody"])


def test_a_control_goes_back_where_nobody_kept_the_decisions(comparison: Comparison) -> None:
    bare = replace(comparison, evaluations=tuple(replace(one, choices=None) for one in comparison.evaluations))
    panel = compare(bare)
    before = panel.reading
    panel._controls.baseline.value = "cheapest"
    assert "were not kept" in panel.refusal
    assert (panel.state.baseline, panel._controls.baseline.value) == ("best_single", "best_single")
    panel._controls.log.value = False
    assert (panel.refusal, panel.reading) == ("", before)


def test_a_case_that_another_part_has_not_is_closed(panel: ComparePanel, comparison: Comparison) -> None:
    test = comparison.half.test
    panel._controls.which.value = "all"
    panel.opened = str(test.cases.ids[test.cases.category == "sum"][0])
    panel.look_at("category=word")
    assert (panel.opened, panel.refusal) == ("", "")


def test_only_axes_that_are_known_are_offered() -> None:
    made = outcomes()
    made.latency_s[:] = float("nan")
    bare = compare(compared(made))
    assert [value for _, value in bare._controls.along.options] == ["cost"]


def test_without_costs_quality_alone_is_drawn_and_selected() -> None:
    bare = compare(compared(outcomes(costs=False)))
    assert "cost per 1,000 requests (USD" not in json.dumps(bare._chart.spec)
    bare._chart.selected = (TODAY,)
    assert bare.selection == (TODAY,)
    assert bare._controls.log.disabled
    assert "No cost is known" in bare._badges.value


def test_a_demo_is_marked(comparison: Comparison) -> None:
    demo = ComparePanel(comparison, demo=True)
    assert "(DEMO)" in demo.title
    assert demo.reading.startswith("DEMO: ")
