"""The frame of a panel: nothing in it is markup that came from outside, and it can be kept as a page."""

from __future__ import annotations

import asyncio

import altair as alt
import pandas as pd
import pytest

from routebench.dash.parts import ChartView, Numbers, Panel
from routebench.errors import ConfigError

HOSTILE = "<script>alert(1)</script>"


class Trial(Panel):
    def __init__(self) -> None:
        chart = alt.Chart(alt.NamedData("points")).mark_point().encode(x="cost:Q")
        data = {"points": pd.DataFrame({"cost": [1.0]})}
        self.view = ChartView(chart, name="trial", description="one point", data=data)
        super().__init__(title=f"Trial {HOSTILE}", children=[self.view], footer=f"suite {HOSTILE}")

    def numbers(self):
        return [Numbers(f"all {HOSTILE}", ["name"], [[HOSTILE]])]

    def pictures(self):
        return [self.view]


def everything(panel: Panel) -> str:
    return " ".join(str(child.value) for child in panel.widget.children if hasattr(child, "value"))


def test_texts_are_never_markup(tmp_path) -> None:
    panel = Trial()
    panel.reading = HOSTILE
    panel.say(HOSTILE)
    panel.refuse(HOSTILE, HOSTILE)
    page = panel.save(tmp_path / "trial.html").read_text()
    for text in (everything(panel), page, panel._still_html()):
        assert "<script" not in text
        assert "&lt;script&gt;" in text


def test_the_page_needs_nothing_else(tmp_path) -> None:
    page = Trial().save(tmp_path / "trial.html").read_text()
    assert "<svg" in page
    assert "<link" not in page
    assert "src=" not in page


def test_a_refusal_is_cause_and_mend_and_goes_away() -> None:
    panel = Trial()
    panel.refuse(ConfigError("the key OPENAI_API_KEY is missing; set it in the environment"))
    assert "<div>the key OPENAI_API_KEY is missing</div>" in panel.refusal
    assert "<div class='rb-mend'>set it in the environment</div>" in panel.refusal
    panel.clear()
    assert panel.refusal == ""


def test_what_the_numbers_rest_on_can_change() -> None:
    panel = Trial()
    panel.footer = f"run r1, {HOSTILE}"
    assert panel._foot.value == "<span>run r1, &lt;script&gt;alert(1)&lt;/script&gt;</span>"
    assert "run r1" in panel._still_html()


class Shown:
    """What a notebook's output area would hold."""

    def __init__(self) -> None:
        self.updates: list[str] = []

    def update(self, html) -> None:
        self.updates.append(html.data)


@pytest.mark.parametrize("times", [1, 5])
def test_what_stays_is_brought_up_to_date_once_it_is_quiet(times: int) -> None:
    panel, shown = Trial(), Shown()
    panel._still = shown

    async def changes() -> None:
        for _ in range(times):
            panel.settled()
        assert not shown.updates
        due = panel._due
        assert due is not None
        due._run()

    asyncio.run(changes())
    assert len(shown.updates) == 1


def test_without_a_loop_it_is_brought_up_to_date_at_once() -> None:
    panel, shown = Trial(), Shown()
    panel._still = shown
    panel.settled()
    assert len(shown.updates) == 1
