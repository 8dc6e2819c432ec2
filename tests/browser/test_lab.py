"""JupyterLab, as somebody uses it for the first time: run, look, choose, tune, export."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from routebench.cli import main
from tests.browser.conftest import Watched
from tests.browser.servers import Lab
from tests.browser.workspace import answered_workspace

_MINUTES_MS = 150_000


def open_notebook(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    # What is run before the kernel is there is forgotten.
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()


def run_all(page: Page) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(cell(page, 0).locator(".jp-InputArea-prompt")).not_to_have_text("[ ]:")


def cell(page: Page, number: int) -> Locator:
    return page.locator(".jp-Notebook .jp-Cell").nth(number)


def panel_of(page: Page, number: int) -> Locator:
    """The panel that a cell displays, or what went wrong in the cell instead."""
    output = cell(page, number).locator(".rb-panel, [data-mime-type='application/vnd.jupyter.error']").first
    output.wait_for()
    assert "rb-panel" in (output.get_attribute("class") or ""), output.inner_text()
    return output


def drawn(chart: Locator) -> int:
    return int(chart.get_attribute("data-drawn") or 0)


def brush(page: Page, chart: Locator) -> None:
    """Drags over the whole plot of a chart."""
    chart.scroll_into_view_if_needed()
    box = chart.locator("svg g.mark-group.role-frame.root path.background").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4, steps=4)
    page.mouse.up()


@pytest.mark.embedded
def test_a_run_is_started_watched_and_finished(watched: Watched, lab: Lab) -> None:
    answered_workspace(lab.folder / "run", left=8)
    page = watched.page
    address = lab.notebook(
        "run.ipynb", ["import routebench as rb\nbench = rb.starter('run', live=True)", "panel = rb.live(bench)\npanel"]
    )
    open_notebook(page, address)
    run_all(page)
    panel = panel_of(page, 1)
    expect(panel.get_by_role("button", name="Start")).to_be_enabled()
    # What it costs stands there before anything is sent.
    expect(panel).to_contain_text("32")
    watched.picture("lab-run-plan")
    panel.get_by_role("button", name="Start").click()
    expect(panel.get_by_role("button", name="Pause")).to_be_enabled()
    bar = panel.locator(".progress-bar").first
    widths: set[str | None] = set()
    while len(widths) < 4:
        widths.add(bar.get_attribute("style"))
        page.wait_for_timeout(200)
    watched.picture("lab-run-going")
    expect(panel).to_contain_text("32 of 32", timeout=_MINUTES_MS)
    chart = panel.locator(".rb-chart").first
    assert drawn(chart) > 0
    watched.picture("lab-run-done")
    watched.check()


def test_strategies_are_compared_and_rules_tuned_and_exported(watched: Watched, lab: Lab) -> None:
    folder = answered_workspace(lab.folder / "look")
    page = watched.page
    address = lab.notebook(
        "look.ipynb",
        [
            "import routebench as rb\nbench = rb.starter('look')",
            "compared = rb.compare(bench.compare(['rules', 'similarity'], seeds=[42]))\ncompared",
            "tuner = rb.tuner(bench)\ntuner",
        ],
    )
    open_notebook(page, address)
    run_all(page)

    compared = panel_of(page, 1)
    chart = compared.locator(".rb-chart").first
    table, cases = compared.locator(".rb-grid").nth(0), compared.locator(".rb-grid").nth(1)
    expect(chart).to_have_attribute("data-drawn", "1")
    before = keys(cases)
    brush(page, chart)
    expect(table.locator("tr.ticked")).not_to_have_count(1)
    ticked = keys(table, "tr.ticked")
    assert {"rules", "similarity"} <= ticked
    expect(cases.locator("tbody tr").first).to_be_visible()
    assert keys(cases) != before
    watched.picture("lab-compare")

    tuner = panel_of(page, 2)
    slider = tuner.locator(".widget-hslider", has_text="operating point").locator(".noUi-handle")
    expect(tuner.locator(".rb-reading")).to_contain_text("Train, out of fold", timeout=_MINUTES_MS)
    expect(tuner).not_to_contain_text("learning:", timeout=_MINUTES_MS)
    reading, place = tuner.locator(".rb-reading").inner_text(), drawn(tuner.locator(".rb-chart").first)
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(tuner.locator(".rb-reading")).not_to_have_text(reading)
    expect(tuner.locator(".rb-chart").first).not_to_have_attribute("data-drawn", str(place))
    watched.picture("lab-tuner")

    field = tuner.get_by_label("file")
    field.fill(str(folder / "rules.yaml"))
    field.press("Enter")
    tuner.get_by_role("button", name="Write rules.yaml").click()
    expect(tuner).to_contain_text("routebench check", timeout=_MINUTES_MS)
    watched.picture("lab-exported")
    assert main(["check", str(folder / "rules.yaml")]) == 0
    watched.check()


def keys(grid: Locator, rows: str = "tbody tr") -> set[str | None]:
    """The keys of the rows that a table shows."""
    return {row.get_attribute("data-key") for row in grid.locator(rows).all()}
