"""What a hand does with a panel, and what an eye waits for."""

from __future__ import annotations

from playwright.sync_api import ElementHandle, Locator, Page

# Resolves once a chart has been drawn and has not been drawn again for a while: labels find their places in a second go.
_QUIET = """
(chart) => new Promise((resolve) => {
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


def brush(page: Page, chart: Locator) -> None:
    """Drags over the whole plot of a chart that stands still."""
    chart.scroll_into_view_if_needed()
    settle(chart)
    box = chart.locator("svg g.mark-group.role-frame.root path.background").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4, steps=4)
    page.mouse.up()


def slider(panel: Locator, name: str) -> Locator:
    """The handle of a slider by its label."""
    return panel.locator(".widget-hslider", has_text=name).locator(".noUi-handle")


def handle(locator: Locator) -> ElementHandle:
    """The element itself, for a function in the page."""
    return locator.element_handle()
