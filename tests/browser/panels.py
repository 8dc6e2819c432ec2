"""What a hand does with a notebook and its panels, and what an eye waits for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from playwright.sync_api import ElementHandle, Locator, Page, expect

# Resolves once a chart has been drawn and has not been drawn again for a while: labels find their places in a second go.
_QUIET = """
(chart) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error("the chart was never drawn, or never stood still")), 60000);
  let timer = chart.dataset.drawn ? setTimeout(resolve, 500) : null;
  new MutationObserver((_, observer) => {
    clearTimeout(timer);
    timer = setTimeout(() => { observer.disconnect(); resolve(); }, 500);
  }).observe(chart, { attributes: true, attributeFilter: ["data-drawn"] });
})
"""


def settle(chart: Locator) -> int:
    """Waits until a chart stands still, and returns how often it was drawn so far."""
    chart.evaluate(_QUIET)
    return int(chart.get_attribute("data-drawn") or 0)


def begin_brush(page: Page, chart: Locator) -> Callable[[], None]:
    """Presses in a corner of a chart that stands still, and returns what drags over the whole plot."""
    chart.scroll_into_view_if_needed()
    settle(chart)
    box = chart.locator("svg g.mark-group.role-frame.root path.background").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 6, box["y"] + 6)
    return partial(page.mouse.move, box["x"] + box["width"] - 4, box["y"] + box["height"] - 4)


def brush(page: Page, chart: Locator) -> None:
    """Drags over the whole plot of a chart that stands still."""
    begin_brush(page, chart)()
    page.mouse.up()


def slider(panel: Locator, name: str) -> Locator:
    """The handle of a slider by its label."""
    return panel.locator(".widget-hslider", has_text=name).locator(".noUi-handle")


def handle(locator: Locator) -> ElementHandle:
    """The element itself, for a function in the page."""
    return locator.element_handle()


def open_notebook(page: Page, address: str) -> None:
    """Opens a notebook and waits for its kernel."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    # What is run before the kernel is there is forgotten.
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()


def run_all(page: Page) -> None:
    """Runs every cell by the menu, and waits until the first has begun."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(cell(page, 0).locator(".jp-InputArea-prompt")).not_to_have_text("[ ]:")


def cell(page: Page, number: int) -> Locator:
    """A cell of the notebook by its place."""
    return page.locator(".jp-Notebook .jp-Cell").nth(number)


def panel_of(page: Page, number: int) -> Locator:
    """The panel that a cell displays, or what went wrong in the cell instead."""
    output = cell(page, number).locator(".rb-panel, [data-mime-type='application/vnd.jupyter.error']").first
    output.wait_for()
    assert "rb-panel" in (output.get_attribute("class") or ""), output.inner_text()
    return output
