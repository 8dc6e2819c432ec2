"""The rows of terminal and report: the words for differences, and where the test says other than its interval."""

from __future__ import annotations

from dataclasses import replace

from routebench.dash.tables import COMPARISON_COLUMNS, comparison_rows
from tests.dash.comparisons import RULES, compared

_VERDICT = COMPARISON_COLUMNS.index("verdict")


def test_a_verdict_that_its_interval_does_not_show_names_the_test_and_few_cases_decide_nothing() -> None:
    comparison = compared()
    versus = comparison[RULES].versus_baseline
    assert versus is not None
    sure = replace(versus, delta=0.1, p_adjusted=0.04)
    for one, word in (
        (replace(sure, ci95_simultaneous=(0.01, 0.2)), "better"),
        (replace(sure, ci95_simultaneous=(-0.01, 0.2)), "better (Holm)"),
        (replace(sure, ci95_simultaneous=(0.01, 0.2), n=29), "too few"),
    ):
        shown = replace(comparison, evaluations=(replace(comparison[RULES], versus_baseline=one),))
        (row,) = comparison_rows(shown)
        assert row[_VERDICT] == word
