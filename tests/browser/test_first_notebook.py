"""The first notebook in JupyterLab, cell by cell as somebody reads it, on the embedded models themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from routebench.cli import main
from tests.browser.conftest import Watched
from tests.browser.panels import brush, cell, handle, open_notebook, panel_of, settle, slider
from tests.browser.servers import Lab
from tests.browser.workspace import answered_workspace

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01-first-run.ipynb"
_MINUTES_MS = 150_000


def our_copy(lab: Lab) -> tuple[str, dict[str, int]]:
    """A copy whose models answer themselves, in a folder where most is answered; and where its panels are, by name."""
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    sources = ["".join(one["source"]) for one in book["cells"]]
    place = {
        name: next(number for number, source in enumerate(sources) if f"{name}(" in source)
        for name in ("rb.starter", "rb.live", "panel.start", "rb.compare", "rb.tuner")
    }
    changed = sources[place["rb.starter"]]
    for old, new in (
        ("Path(tempfile.mkdtemp())", "Path('first')"),
        ("rb.starter(folder)", "rb.starter(folder, live=True)"),
    ):
        assert old in changed
        changed = changed.replace(old, new)
    book["cells"][place["rb.starter"]]["source"] = changed
    place["the last"] = len(sources) - 1
    (lab.folder / "first.ipynb").write_text(json.dumps(book), encoding="utf-8")
    return lab.of("first.ipynb"), place


def run_to(page: Page, number: int, last: int) -> None:
    """Runs cells with Shift and Enter, the first and the last included, and waits for the last."""
    cell(page, number).locator(".jp-InputPrompt, .jp-Cell-inputCollapser").first.click()
    for _ in range(number, last + 1):
        page.keyboard.press("Shift+Enter")
    if cell(page, last).locator(".jp-InputArea-prompt").count():
        expect(cell(page, last).locator(".jp-InputArea-prompt").first).not_to_have_text("[*]:", timeout=_MINUTES_MS)


@pytest.mark.embedded
def test_from_prompts_to_a_rule_set(watched: Watched, lab: Lab) -> None:
    folder = answered_workspace(lab.folder / "first", left=5)
    page = watched.page
    address, place = our_copy(lab)
    open_notebook(page, address)

    run_to(page, 0, place["rb.live"])
    panel = panel_of(page, place["rb.live"])
    expect(panel).to_contain_text("20 calls")
    watched.picture("first-plan")
    panel.get_by_role("button", name="Start").click()
    expect(panel.get_by_role("button", name="Pause")).to_be_enabled()
    bar = panel.locator(".progress-bar").first
    widths: set[str | None] = set()
    while len(widths) < 4:
        widths.add(bar.get_attribute("style"))
        page.wait_for_timeout(200)
    watched.picture("first-going")
    expect(panel).to_contain_text("20 of 20", timeout=_MINUTES_MS)
    assert settle(panel.locator(".rb-chart").first) > 0
    watched.picture("first-done")

    run_to(page, place["panel.start"], place["rb.compare"])
    expect(cell(page, place["panel.start"])).to_contain_text("20 of 20 calls, 0 failed")
    compared = panel_of(page, place["rb.compare"])
    table, cases = compared.locator(".rb-grid").nth(0), compared.locator(".rb-grid").nth(1)
    settle(compared.locator(".rb-chart").first)
    before = cases.inner_text()
    brush(page, compared.locator(".rb-chart").first)
    for name in ("rules", "similarity"):
        expect(table.locator(f"tr.ticked[data-key='{name}']")).to_be_visible()
    page.wait_for_function("([grid, before]) => grid.innerText !== before", arg=[handle(cases), before])
    watched.picture("first-compare")

    run_to(page, place["rb.compare"] + 1, place["rb.tuner"])
    tuner = panel_of(page, place["rb.tuner"])
    chart = tuner.locator(".rb-chart").first
    expect(tuner.locator(".rb-reading")).to_contain_text("Train, out of fold", timeout=_MINUTES_MS)
    expect(tuner).not_to_contain_text("learning:", timeout=_MINUTES_MS)
    reading, n_drawn = tuner.locator(".rb-reading").inner_text(), settle(chart)
    slider(tuner, "operating point").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(tuner.locator(".rb-reading")).not_to_have_text(reading)
    assert settle(chart) > n_drawn
    watched.picture("first-tuner")
    tuner.get_by_text("Export to YAML").click()
    field = tuner.get_by_label("file")
    field.fill(str(folder / "mine.yaml"))
    field.press("Enter")
    tuner.get_by_role("button", name="Write rules.yaml").click()
    expect(tuner).to_contain_text("routebench check", timeout=_MINUTES_MS)
    watched.picture("first-exported")
    assert main(["check", str(folder / "mine.yaml")]) == 0

    # What is left runs to the end, and writes what the notebook itself chose.
    run_to(page, place["rb.tuner"] + 1, place["the last"])
    expect(cell(page, place["the last"])).to_contain_text("guards legal hold")
    assert main(["check", str(folder / "rules.yaml")]) == 0
    watched.check()
