"""The pictures of the README, taken of the real pages: `python -m tests.browser.screenshots FOLDER`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

from routebench.demonstration import TODAY, lay_out, recording
from routebench.serving import Access, open_dashboard
from routebench.serving import Page as Served
from routebench.traces import TraceWriter
from tests.browser.conftest import FLAGS, VARIABLE, chromium
from tests.browser.panels import settle
from tests.browser.workspace import answered_workspace
from tests.dash.production.traffic import traces, traffic

TOKEN = "only-for-these-pictures"
WIDTH, HEIGHT = 1280, 2400
_LONG_MS = 150_000
_MARGIN = 6


def main(out: Path) -> None:
    """Takes every picture and says where it is."""
    path = chromium()
    if path is None:
        sys.exit(f"no Chromium here: apt-get install chromium, or name one in {VARIABLE}")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(_LONG_MS)
        answered = answered_workspace(Path(name) / "answered")
        _look(page, Served(str(answered / "bench.yaml"), today=str(answered / TODAY), demo=True), out)
        _follow(page, answered / "bench.yaml", Path(name) / "traces", out)
        lay_out(Path(name) / "fresh")
        _do(
            page,
            Served(str(Path(name) / "fresh" / "bench.yaml"), recorded=str(recording()), cap_usd=1.0, demo=True),
            out,
        )
        browser.close()


def _look(page: Page, served: Served, out: Path) -> None:
    with open_dashboard(served, Access(port=0)) as dashboard:
        page.goto(dashboard.address)
        compared = _tab(page, "Compare")
        _still(compared)
        _take(page, page.locator(".rb-cockpit"), out / "cockpit.png", height=960)
        _take(page, compared, out / "compare.png", height=1412)
        today = _tab(page, "Today")
        _still(today)
        _take(page, today, out / "today.png", height=800)
        tuner = _tab(page, "Tune")
        tuner.get_by_text("Train, out of fold").first.wait_for()
        page.wait_for_function("(panel) => !panel.innerText.includes('learning:')", arg=tuner.element_handle())
        _still(tuner)
        _take(page, tuner, out / "tuner.png", height=1000)


def _follow(page: Page, config: Path, folder: Path, out: Path) -> None:
    writer = TraceWriter(folder)
    writer.start()
    for one in traces(traffic(2_000, every_s=20.0)):
        writer.put(one)
    writer.close()
    with open_dashboard(Served(str(config), traces=str(folder)), Access(port=0)) as dashboard:
        page.goto(dashboard.address)
        production = _tab(page, "Production")
        _still(production)
        _take(page, production, out / "production.png", height=1180)


def _do(page: Page, served: Served, out: Path) -> None:
    with open_dashboard(served, Access(port=0, token=TOKEN, cap_usd=1.0)) as dashboard:
        page.goto(dashboard.url)
        run = _tab(page, "Run")
        run.get_by_role("button", name="Start").click()
        run.get_by_text("600 / 600").first.wait_for()
        _still(run)
        # With the line above it that says that it is no real one.
        _take(page, page.locator(".rb-cockpit > .widget-vbox:has(.rb-played)"), out / "live.png", height=940)
        grade = _tab(page, "Grade")
        grade.get_by_label("Who grades").fill("anna")
        grade.get_by_label("Who grades").press("Enter")
        grade.get_by_role("button", name="Begin").click()
        grade.get_by_text("pair 1 / 60").first.wait_for()
        _take(page, grade, out / "grader.png", height=536)


def _tab(page: Page, name: str) -> Locator:
    page.locator(".rb-cockpit .widget-toggle-buttons").first.get_by_role("button", name=name, exact=True).click()
    panel = page.locator(".rb-cockpit .rb-panel:visible").first
    panel.wait_for()
    # Not the button that was pressed is to be looked at.
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur()")
    return panel


def _still(panel: Locator) -> None:
    for chart in panel.locator(".rb-chart:visible").all():
        settle(chart)


def _take(page: Page, what: Locator, path: Path, *, height: int) -> None:
    box = what.bounding_box()
    assert box is not None
    top = max(0.0, box["y"] - _MARGIN)
    tall = min(height, box["height"] + 2 * _MARGIN, HEIGHT - top)
    page.screenshot(path=path, clip={"x": 0, "y": top, "width": WIDTH, "height": tall})
    print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
