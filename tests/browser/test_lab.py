"""JupyterLab, as somebody uses it for the first time: run, look, choose, tune, export."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from routebench.cli import main
from tests.browser.conftest import Watched
from tests.browser.panels import brush, handle, settle, slider
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


@pytest.mark.embedded
def test_a_run_is_started_watched_and_finished(watched: Watched, lab: Lab) -> None:
    answered_workspace(lab.folder / "run", left=5)
    page = watched.page
    address = lab.notebook(
        "run.ipynb", ["import routebench as rb\nbench = rb.starter('run', live=True)", "panel = rb.live(bench)\npanel"]
    )
    open_notebook(page, address)
    run_all(page)
    panel = panel_of(page, 1)
    expect(panel.get_by_role("button", name="Start")).to_be_enabled()
    # What it costs stands there before anything is sent.
    expect(panel).to_contain_text("20 calls")
    watched.picture("lab-run-plan")
    panel.get_by_role("button", name="Start").click()
    expect(panel.get_by_role("button", name="Pause")).to_be_enabled()
    bar = panel.locator(".progress-bar").first
    widths: set[str | None] = set()
    while len(widths) < 4:
        widths.add(bar.get_attribute("style"))
        page.wait_for_timeout(200)
    watched.picture("lab-run-going")
    expect(panel).to_contain_text("20 of 20", timeout=_MINUTES_MS)
    chart = panel.locator(".rb-chart").first
    assert settle(chart) > 0
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
    settle(chart)
    before = cases.inner_text()
    brush(page, chart)
    for name in ("rules", "similarity"):
        expect(table.locator(f"tr.ticked[data-key='{name}']")).to_be_visible()
    page.wait_for_function("([grid, before]) => grid.innerText !== before", arg=[handle(cases), before])
    expect(cases.locator("tbody tr").first).to_be_visible()
    watched.picture("lab-compare")

    tuner = panel_of(page, 2)
    chart = tuner.locator(".rb-chart").first
    expect(tuner.locator(".rb-reading")).to_contain_text("Train, out of fold", timeout=_MINUTES_MS)
    expect(tuner).not_to_contain_text("learning:", timeout=_MINUTES_MS)
    reading, n_drawn = tuner.locator(".rb-reading").inner_text(), settle(chart)
    slider(tuner, "operating point").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(tuner.locator(".rb-reading")).not_to_have_text(reading)
    assert settle(chart) > n_drawn
    watched.picture("lab-tuner")

    tuner.get_by_text("Export to YAML").click()
    field = tuner.get_by_label("file")
    field.fill(str(folder / "rules.yaml"))
    field.press("Enter")
    tuner.get_by_role("button", name="Write rules.yaml").click()
    expect(tuner).to_contain_text("routebench check", timeout=_MINUTES_MS)
    watched.picture("lab-exported")
    assert main(["check", str(folder / "rules.yaml")]) == 0
    watched.check()
