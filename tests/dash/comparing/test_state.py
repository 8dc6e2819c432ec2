"""What a comparison shows and what is selected in it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from routebench.dash.comparing.state import Compared
from routebench.dash.comparing.summary import figures
from routebench.dash.figures import TOO_FEW, unadjusted, verdict_text
from routebench.errors import OutcomesError
from routebench.evaluate import Comparison
from routebench.evaluate.reading import points
from routebench.evaluate.sentence import Sentence
from routebench.strategies import CostThreshold
from tests.dash.comparisons import RULES, TODAY, compared, outcomes


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared(more=[CostThreshold()])


@pytest.fixture
def state(comparison: Comparison) -> Compared:
    return Compared(comparison)


def test_one_selected_is_held_against_the_baseline(state: Compared) -> None:
    state.select([RULES])
    assert state.beside == (state.baseline, RULES)
    assert len(state.cases()) == int(
        (state.shown[RULES].first.replayed.score != state.shown["best_single"].first.replayed.score).sum()
    )


def test_of_several_the_baseline_comes_first_and_candidates_before_bars(state: Compared) -> None:
    state.select(["always:small", RULES])
    assert state.beside == (RULES, "always:small")
    state.select(["always:small", RULES, "best_single"])
    assert state.beside == ("best_single", RULES, "always:small")


def test_more_than_four_have_no_room_and_that_is_said(state: Compared) -> None:
    state.select(["always:small", "always:large", "cheapest", RULES, TODAY])
    assert len(state.beside) == 4
    assert "Of 5 selected the first 4 are listed." in state.told(state.cases())


def test_nothing_selected_says_what_to_do(state: Compared) -> None:
    state.select([])
    assert state.cases().empty
    assert state.told(state.cases()).startswith("0 selected: drag over marks, click one, or tick rows")
    state.select([state.baseline])
    assert "is the baseline: select another" in state.told(state.cases())


def test_the_sentence_about_cases_has_the_paired_difference(state: Compared) -> None:
    state.hold_against("always:small")
    state.select([RULES])
    versus = state.shown[RULES].versus_baseline
    assert versus is not None
    told = state.told(state.cases())
    assert f"{len(state.cases())} of {state.shown.n_test} cases score differently" in told
    assert f"{100 * versus.delta:+.1f} pt" in told
    assert told.endswith("▲ better.")


def test_figures_follow_the_baseline_and_the_part(state: Compared) -> None:
    state.hold_against("always:large")
    state.look_at("category=sum")
    frame = state.figures()
    row = frame.loc[RULES]
    assert (row["delta"].text, row["verdict"]) == ("same scores", "same")
    assert frame.loc["always:large", "verdict"] == "baseline"
    assert state.shown.n_test == state.size("category=sum")


def test_a_part_of_few_cases_decides_nothing(state: Compared) -> None:
    state.look_at("tag=rare")
    assert state.shown.n_test < 30
    verdicts = set(state.figures()["verdict"])
    assert verdicts <= {TOO_FEW, "baseline", "same"}
    assert "nothing can be decided" in state.reading
    assert "not adjusted for that" in state.reading


def test_verdicts_are_the_words_of_the_house(comparison: Comparison) -> None:
    versus = comparison[RULES].versus_baseline
    assert versus is not None
    apart, around = replace(versus, ci95_simultaneous=(0.01, 0.2)), replace(versus, ci95_simultaneous=(-0.1, 0.1))
    for verdict, text in (
        (replace(apart, p_adjusted=0.01, delta=0.1), "▲ better"),
        (replace(apart, p_adjusted=0.01, delta=-0.1), "▼ worse"),
        (replace(around, p_adjusted=0.5, p_noninferior_adjusted=0.01), "no worse"),
        (replace(around, p_adjusted=0.5, p_noninferior_adjusted=0.5), "cannot tell"),
        (replace(around, p_adjusted=None, p_noninferior_adjusted=None, estimate=None), TOO_FEW),
        (replace(apart, n=29), TOO_FEW),
    ):
        assert verdict_text(verdict) == text


def test_a_verdict_that_its_interval_does_not_show_names_the_test(comparison: Comparison) -> None:
    versus = comparison[RULES].versus_baseline
    assert versus is not None
    sure, unsure = replace(versus, p_adjusted=0.04, delta=0.1), replace(versus, p_adjusted=0.06)
    assert verdict_text(replace(sure, ci95_simultaneous=(-0.001, 0.2))) == "▲ better (Holm)"
    assert verdict_text(replace(sure, ci95_simultaneous=(0.001, 0.2))) == "▲ better"
    assert verdict_text(replace(unsure, p_noninferior_adjusted=0.5, ci95_simultaneous=(0.001, 0.2))) == (
        "cannot tell (Holm)"
    )
    told = points(replace(sure, ci95_simultaneous=(-0.001, 0.2)))
    assert told.endswith("] by Holm's test")
    # Of one comparison alone interval and test come from one formula.
    for one in comparison.evaluations:
        if one.versus_baseline is not None:
            assert not unadjusted(one.versus_baseline).by_test_alone


def test_unadjusted_figures_are_labelled_as_such(state: Compared) -> None:
    assert state.family == "adjusted for 2 candidates (Holm, max-T)"
    versus = state.shown[RULES].versus_baseline
    assert versus is not None
    assert unadjusted(versus).p_adjusted == versus.p_value
    state.adjusted = False
    assert state.family == "not adjusted: each of 2 as if it were the only one"


def test_a_number_sorts_as_a_number_and_is_copied_as_one(comparison: Comparison) -> None:
    frame = figures(comparison, adjusted=True, pick=RULES)
    assert frame.index[0] == RULES
    assert frame.loc[RULES, "name"] == f"{RULES} (pick)"
    by_quality = frame.sort_values("quality")["quality"].astype(float)
    assert by_quality.is_monotonic_increasing
    assert "pt" not in frame[["quality", "delta"]].to_csv()


def test_unknown_costs_are_never_zero() -> None:
    bare = Compared(compared(outcomes(costs=False)))
    row = bare.figures().loc["always:small"]
    assert pd.isna(row["cost"])
    assert row["cost"].text == "n/a (no price)"
    assert any("No cost is known" in text for text in bare.notices)
    assert bare.points()[1] == []


def test_one_model_alone_asks_for_a_second() -> None:
    alone = Compared(compared(outcomes(models=("small",)), today=False))
    assert "add a second model to compare" in alone.notices[0]
    assert not alone.points()[0].empty


def test_cases_left_out_and_a_judge_that_nobody_checked_are_told(comparison: Comparison) -> None:
    told = (Sentence("judge", "Scores rest on a judge, not checked.", grave=True), Sentence("noise", "soft"))
    state = Compared(replace(comparison, readings=told))
    assert "Scores rest on a judge, not checked." in state.notices
    assert "soft" not in state.notices


def test_an_in_sample_comparison_says_so(comparison: Comparison) -> None:
    half = comparison.half
    overlapping = replace(comparison, half=replace(half, train=half.test))
    assert Compared(overlapping).notices[0].startswith("In-sample: ")
    assert not any("In-sample" in text for text in Compared(comparison).notices)


def test_the_pick_of_the_whole_stays_the_pick_of_a_part(state: Compared) -> None:
    before = state.pick
    state.look_at("category=word")
    assert state.pick == before
    assert state.points()[0].loc[lambda frame: frame["is_pick"], "name"].tolist() == [before]


def test_the_axis_is_linear_where_something_costs_nothing(state: Compared) -> None:
    assert state.is_log
    made = outcomes()
    free = Compared(compared(replace(made, cost_usd=made.cost_usd * [[[0.0], [1.0], [1.0]]])))
    assert not free.is_log
    free.along = "p95"
    assert free.is_log


def test_wrong_names_are_refused_with_the_nearest(state: Compared) -> None:
    with pytest.raises(OutcomesError, match="no strategy 'rules:hause' was compared"):
        state.select(["rules:hause"])
    with pytest.raises(OutcomesError, match="no part 'category=sums'"):
        state.look_at("category=sums")
    assert (state.selection, state.part) == ((), "")
