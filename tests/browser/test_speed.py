"""How long a hand waits for the picture, in a real browser; and that long tables do not freeze it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from routebench.serving import Access, Page, open_dashboard
from tests.browser.conftest import Watched
from tests.browser.panels import settle, slider
from tests.browser.servers import Lab
from tests.browser.test_dashboard import open_tab
from tests.browser.test_lab import open_notebook, panel_of, run_all
from tests.browser.workspace import imported_workspace
from tests.conftest import SHARED_DATA

SET = "ulab_llmrouter"
_TIMES = 9
_LONG_MS = 300_000
# What is asked is 100 ms; a shared machine is noisy, so that the test fails only far above it and the table tells.
_FAILS_MS = 1_000
_DRAWN = """
(root) => {
  globalThis.__latency = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("nothing was drawn")), 15000);
    let began = null;
    const begin = () => { began ??= performance.now(); };
    for (const kind of ["keydown", "change", "click"]) root.addEventListener(kind, begin, { capture: true, once: true });
    const observer = new MutationObserver(() => {
      if (began === null) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - began));
    });
    for (const chart of root.querySelectorAll(".rb-chart")) {
      observer.observe(chart, { attributes: true, attributeFilter: ["data-drawn"] });
    }
  });
}
"""


_ROWS = """
import altair as alt
import numpy as np
import pandas as pd
from routebench.dash.parts import ChartView, Column, Grid, Panel

n = 12_000
rng = np.random.default_rng(0)
frame = pd.DataFrame({"name": [f"case {i}" for i in range(n)], "x": rng.random(n), "text": ["word " * 60] * n})
frame.index = frame.index.astype(str)
points = pd.DataFrame({"name": frame.name, "x": frame.x, "y": rng.random(n)})
"""
_PANEL = """
columns = [Column("name", "case"), Column("x", "x", "right", "{:.3f}".format), Column("text", "prompt")]
grid = Grid(columns, name="long", label="cases", ticks=True, opens=True, search=True)
grid.show(frame)
brush = alt.selection_interval(name="brush", encodings=["x", "y"])
chart = alt.Chart(alt.NamedData("points")).mark_point().encode(x="x:Q", y="y:Q").add_params(brush)
view = ChartView(chart, name="long", description="points", data={"points": points}, select="points.name")
panel = Panel(title="Long", children=[grid, view])
panel
"""


class Stopwatch:
    """Times from an event to the first picture that was drawn after it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, float]] = []

    def time(self, name: str, panel: Locator, acts: list[Callable[[], None]]) -> None:
        taken = []
        for act in acts:
            settle(panel.locator(".rb-chart").first)
            panel.evaluate(_DRAWN)
            act()
            taken.append(float(panel.page.evaluate("globalThis.__latency")))
        if taken:
            self.rows.append((name, statistics.median(taken), max(taken)))

    def __str__(self) -> str:
        lines = [f"{name:<34}{middle:>8.0f} ms {most:>8.0f} ms" for name, middle, most in self.rows]
        return "\n".join([f"{'control':<34}{'median':>11} {'longest':>11}", *lines])


@pytest.fixture
def stopwatch(capfd: pytest.CaptureFixture[str]) -> Iterator[Stopwatch]:
    made = Stopwatch()
    yield made
    with capfd.disabled():
        print(f"\nfrom the key or click to the picture, {SET}:\n{made}")


def test_controls_answer_at_once(watched: Watched, tmp_path: Path, stopwatch: Stopwatch) -> None:
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder with the public outcome data is not beside this checkout")
    folder = imported_workspace(tmp_path, SHARED_DATA, SET)
    page = watched.page
    with open_dashboard(Page(str(folder / "bench.yaml")), Access(port=0)) as served:
        page.goto(served.address, timeout=_LONG_MS)
        compared = open_tab(watched, "Compare")
        compared.locator(".rb-chart[data-drawn]").first.wait_for(timeout=_LONG_MS)
        for label in ("quality against", "baseline", "slice"):
            field = compared.get_by_label(label).first
            options = field.locator("option").all_inner_texts()[1:5]
            stopwatch.time(f"compare: {label}", compared, [partial(field.select_option, one) for one in options])
        box = compared.get_by_label("log axis")
        if box.is_enabled():
            stopwatch.time("compare: log axis", compared, [box.click] * 4)

        tuner = open_tab(watched, "Tune")
        expect(tuner.locator(".rb-reading").first).to_contain_text("Train, out of fold", timeout=_LONG_MS)
        expect(tuner).not_to_contain_text("learning:", timeout=_LONG_MS)
        handle = slider(tuner, "operating point")
        stopwatch.time("tune: operating point", tuner, [lambda: handle.press("ArrowRight")] * _TIMES)
        floor = tuner.get_by_label("floor")
        stopwatch.time("tune: floor", tuner, [partial(_type, floor, one) for one in "2345"])
        watched.picture(f"speed-tune-{SET}")

        browsed = open_tab(watched, "Browse")
        settle(browsed.locator(".rb-chart").first)
        watched.picture(f"speed-browse-{SET}")
    assert all(middle < _FAILS_MS for _, middle, _ in stopwatch.rows), str(stopwatch)
    watched.check()


def _type(field: Locator, text: str) -> None:
    field.fill(text)
    field.press("Enter")


def test_twelve_thousand_rows_do_not_freeze_the_page(watched: Watched, lab: Lab) -> None:
    page = watched.page
    address = lab.notebook("long.ipynb", [_ROWS, _PANEL])
    open_notebook(page, address)
    # The longest time for which the page answered nothing.
    page.evaluate(
        "() => { globalThis.__longest = 0; let last = performance.now();"
        " setInterval(() => { const now = performance.now(); __longest = Math.max(__longest, now - last); last = now; }, 20); }"
    )
    run_all(page)
    panel = panel_of(page, 1)
    grid = panel.locator(".rb-grid")
    expect(grid.locator("tbody tr").first).to_be_visible()
    assert grid.locator("tbody tr").count() <= 200
    settle(panel.locator(".rb-chart"))
    first = grid.locator("tbody tr").first.inner_text()
    grid.get_by_role("button", name="Next").click()
    expect(grid.locator("tbody tr").first).not_to_have_text(first)
    grid.get_by_role("searchbox").fill("case 11999")
    grid.get_by_role("searchbox").press("Enter")
    expect(grid.locator("tbody tr")).to_have_count(1)
    longest_ms = float(page.evaluate("__longest"))
    print(f"12,000 points and rows: the page answered nothing for {longest_ms:.0f} ms at the most")
    assert longest_ms < 4_000
    watched.check()
