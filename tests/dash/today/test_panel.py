"""The panel of the router of today, on recorded answers of the demonstration and on a small matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import routebench as rb
from routebench.dash.today import TodayPanel
from routebench.dash.today.state import Standing
from routebench.demonstration import TODAY as RECORDED
from routebench.demonstration import lay_out, recording
from routebench.evaluate import replay
from tests.dash.comparing.test_panel import states
from tests.dash.comparisons import RULES, TODAY, compared, outcomes


@pytest.fixture
def panel() -> TodayPanel:
    return TodayPanel(Standing(compared(), requests_per_month=50_000))


def test_it_shows_two_marks_an_arrow_and_both_mixes(panel: TodayPanel) -> None:
    assert panel.selection == (TODAY, RULES)
    assert len(panel._chart.frames["move"]) == 1
    assert {row["strategy"] for row in panel._mix.frames["mix"]} == {TODAY, RULES}
    assert "requests" in panel._mix.description


def test_the_money_of_a_month_is_of_as_many_requests_as_somebody_says() -> None:
    panel = TodayPanel(Standing(compared()))
    assert "a month" not in panel.reading
    assert "how many requests a month" in panel._notices.value
    panel._requests.value = 2_000_000
    assert "a month at 2,000,000 requests" in panel.reading
    assert "how many requests a month" not in panel._notices.value
    panel._requests.value = 0
    assert "a month" not in panel.reading


def test_opening_in_one_list_closes_the_other(panel: TodayPanel) -> None:
    panel._won.opened = str(panel.state.won().index[0])
    assert "rb-sides" in panel._answers.value
    panel._lost.opened = str(panel.state.lost().index[0])
    assert panel._won.opened == ""
    assert str(panel.state.lost().index[0]) in panel._answers.value


def test_nothing_untrusted_is_a_tag(panel: TodayPanel) -> None:
    panel._won.opened = str(panel.state.won().index[0])
    html = "".join(str(one["value"]) for one in states(panel.widget) if one.get("_model_name") == "HTMLModel")
    assert "<script" not in html
    assert "<script" not in panel._still_html()


def test_numbers_hold_no_prompt(panel: TodayPanel) -> None:
    text = "".join(table.html() for table in panel.numbers())
    assert "number " not in text
    assert "Won: " in text
    assert "Lost: " in text


def test_it_is_saved_with_both_pictures(panel: TodayPanel, tmp_path: Path) -> None:
    assert panel.save(tmp_path / "today.html").read_text(encoding="utf-8").count("<svg") == 2


class Asked(rb.Bench):
    """A bench that keeps what it was asked to tune for."""

    def tune(self, **asked: Any) -> rb.Tuned:
        """Tunes as ever."""
        self.asked = asked
        return super().tune(**asked)


def test_rules_are_tuned_for_the_money_that_today_costs(tmp_path: Path) -> None:
    lay_out(tmp_path)
    bench = Asked(tmp_path / "bench.yaml", recorded=recording())
    bench.run().wait()
    panel = rb.today(bench, tmp_path / RECORDED, requests_per_month=1e6)
    assert panel.result.today is not None
    assert panel.selection[1].startswith("rules:")
    assert "less a month" in panel.reading
    router = rb.Decisions(tmp_path / RECORDED)
    router.fit(train := panel.result.half.train)
    cost = 1000 * float(np.mean(replay(train, router.peek(train)[0]).cost_usd))
    assert bench.asked["max_cost_usd_per_1k"] == pytest.approx(cost)
    written = tmp_path / "rules.yaml"
    bench.tune(max_quality_drop=0.05).export(written)
    again = rb.today(bench, tmp_path / RECORDED, rules=written)
    assert again.selection[1] == f"rules:{written}"
    assert "a month" not in again.reading


def test_a_suite_without_categories_says_so() -> None:
    made = outcomes()
    bare = replace(made, cases=replace(made.cases, category=np.full(made.n, "")))
    panel = TodayPanel(Standing(compared(bare)))
    html = "".join(str(one["value"]) for one in states(panel.widget) if one.get("_model_name") == "HTMLModel")
    assert "no case has a `category`" in html
