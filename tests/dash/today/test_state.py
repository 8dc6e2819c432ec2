"""The router of today beside rules: the sentence, the money, where it gains and loses, what would change it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from routebench.dash.figures import TOO_FEW
from routebench.dash.today.state import Standing
from routebench.errors import OutcomesError
from routebench.evaluate import Comparison
from tests.dash.comparisons import RULES, TODAY, compared, outcomes


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compared()


@pytest.fixture
def standing(comparison: Comparison) -> Standing:
    return Standing(comparison, requests_per_month=1_000_000)


def test_the_sentence_has_quality_and_money_with_intervals(standing: Standing, comparison: Comparison) -> None:
    reading, versus = standing.reading, standing.versus
    assert standing.names == (TODAY, RULES)
    assert versus.delta == pytest.approx(comparison[RULES].first.quality - comparison[TODAY].first.quality)
    assert f"{100 * versus.delta:+.1f} pt [" in reading
    assert "▲ better" in reading
    cost = 1e6 * (comparison[RULES].first.cost_usd or 0) - 1e6 * (comparison[TODAY].first.cost_usd or 0)
    assert cost > 0
    saving = standing.own.saving_usd
    assert saving is not None
    assert saving.ci95 is not None
    # What is lost is told as more, and its interval likewise.
    low, high = sorted(-1e6 * bound for bound in saving.ci95)
    assert f"${cost:,.0f} [{low:,.0f}, {high:,.0f}] more" in reading
    assert "more a month at 1,000,000 requests" in reading


def test_without_requests_there_is_no_month_and_that_is_said(comparison: Comparison) -> None:
    bare = Standing(comparison)
    assert "a month" not in bare.reading
    assert any("how many requests a month" in text for text in bare.notices)


def test_unknown_costs_are_said_and_no_money_is_told() -> None:
    bare = Standing(compared(outcomes(costs=False)), requests_per_month=1000)
    assert bare.reading.endswith("what it costs is not known.")
    assert bare.saving_a_month() is None
    assert bare.rivals().loc[RULES, "cost"].text == "n/a"
    assert np.isnan(bare.by_category()["change"].astype(float)).all()


def test_losses_are_as_visible_as_gains(standing: Standing) -> None:
    own, today = standing.own.first.replayed.score, standing.today.first.replayed.score
    assert len(standing.won()) == int((own > today).sum()) > 0
    assert len(standing.lost()) == int((own < today).sum()) > 0
    assert (standing.won()["score_1"] > standing.won()["score_0"]).all()
    assert (standing.lost()["harm"].diff().dropna() <= 0).all()
    assert (standing.won()["harm"].diff().dropna() >= 0).all()


def test_categories_are_judged_together_and_small_ones_not_at_all(standing: Standing) -> None:
    frame = standing.by_category()
    assert set(frame.index) == {"sum", "word"}
    assert frame.loc["sum", "verdict"] == "▲ better"
    assert frame.loc["sum", "n"] == int((standing.against.half.test.cases.category == "sum").sum())
    assert frame.loc["word", "verdict"] not in ("▲ better", "▼ worse")
    dear = Standing(standing.comparison, "always:large").by_category()
    assert (dear.loc["sum", "verdict"], dear.loc["word", "verdict"]) == ("▲ better", "▼ worse")
    small = Standing(compared(outcomes(90)))
    assert set(small.by_category()["verdict"]) == {TOO_FEW}
    assert any("2 of 2 categories have fewer than 30 held-out cases (" in text for text in small.doubts)


def test_rivals_are_the_bars_that_embarrass_routers(standing: Standing) -> None:
    frame = standing.rivals()
    assert list(frame.index) == [TODAY, RULES, "best_single", "cheapest", "fixed_mix"]
    assert frame.loc[TODAY, "verdict"] == "today"


def test_it_says_how_many_cases_would_settle_an_open_question(comparison: Comparison) -> None:
    open_ = Standing(comparison, "random_mix")
    versus = open_.versus
    assert versus.mde is not None
    unsure = replace(versus, p_adjusted=0.6, p_noninferior_adjusted=0.6, delta=versus.mde / 3)
    open_.own = replace(open_.own, versus_baseline=unsure)
    needed = int(np.ceil(versus.n * 9))
    assert any(f"About {needed:,} held-out cases" in text for text in open_.doubts)
    open_.own = replace(open_.own, versus_baseline=replace(unsure, delta=0.0001))
    assert any("no number of cases" in text for text in open_.doubts)


def test_a_comparison_without_today_says_how_to_record_it() -> None:
    with pytest.raises(OutcomesError, match="record its decisions with `routebench decisions`"):
        Standing(compared(today=False))


def test_a_case_opens_with_both_answers(standing: Standing) -> None:
    opened = standing.open(str(standing.won().index[0]))
    assert [side.ways[0].name for side in opened.sides] == [TODAY, RULES]
