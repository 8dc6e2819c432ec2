"""The cockpit as Voila serves it, for people who open no notebook."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from routebench.demonstration import TODAY
from routebench.serving import Access, Dashboard, Page, open_dashboard
from routebench.serving.access import Theme
from routebench.store import Store
from tests.browser.conftest import Watched
from tests.browser.panels import brush, settle, slider
from tests.browser.workspace import answered_workspace

TOKEN = "a-token-that-nobody-guesses"
_MINUTES_MS = 150_000


@pytest.fixture(scope="module")
def page_of_demo(answered: Path) -> Page:
    return Page(str(answered / "bench.yaml"), today=str(answered / TODAY))


def open_tab(watched: Watched, name: str) -> Locator:
    """Shows a panel of the cockpit and returns it once it is there."""
    cockpit = watched.page.locator(".rb-cockpit")
    cockpit.locator(".widget-toggle-buttons").first.get_by_role("button", name=name, exact=True).click()
    panel = cockpit.locator(".rb-panel:visible").first
    panel.wait_for(timeout=_MINUTES_MS)
    return panel


@pytest.mark.parametrize(
    ("theme", "watched"),
    [("light", {}), ("dark", {"viewport": {"width": 800, "height": 1600}})],
    indirect=["watched"],
    ids=["light-1280", "dark-800"],
)
def test_every_panel_opens_and_nothing_can_be_written(watched: Watched, theme: Theme, page_of_demo: Page) -> None:
    with open_dashboard(page_of_demo, Access(port=0, theme=theme)) as served:
        look_at_every_panel(watched, theme, served)
    watched.check()


def look_at_every_panel(watched: Watched, theme: Theme, served: Dashboard) -> None:
    page = watched.page
    width = page.viewport_size["width"] if page.viewport_size else 0
    page.goto(served.address)
    expect(page.locator(".rb-cockpit")).to_contain_text("This page only shows")
    # With keys alone: every panel is a button.
    while page.evaluate("document.activeElement.textContent.trim()") != "Browse":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".rb-cockpit .rb-panel:visible .rb-title").first).to_have_text("Browse")

    compared = open_tab(watched, "Compare")
    settle(compared.locator(".rb-chart").first)
    watched.picture(f"dashboard-compare-{theme}-{width}")
    brush(page, compared.locator(".rb-chart").first)
    expect(compared.locator(".rb-grid").first.locator("tr.ticked[data-key='rules']")).to_be_visible()

    settle(open_tab(watched, "Today").locator(".rb-chart").first)
    watched.picture(f"dashboard-today-{theme}-{width}")

    tuner = open_tab(watched, "Tune")
    expect(tuner.locator(".rb-reading").first).to_contain_text("Train, out of fold", timeout=_MINUTES_MS)
    expect(tuner).not_to_contain_text("learning:", timeout=_MINUTES_MS)
    n_drawn = settle(tuner.locator(".rb-chart").first)
    slider(tuner, "operating point").press("ArrowRight")
    expect(tuner.locator(".rb-chart").first).not_to_have_attribute("data-drawn", str(n_drawn))
    for name in ("Check once on test", "Write rules.yaml"):
        for button in tuner.get_by_role("button", name=name).all():
            expect(button).to_be_disabled()
    watched.picture(f"dashboard-tune-{theme}-{width}")

    run = open_tab(watched, "Run")
    expect(run).to_contain_text("Nothing to run")
    assert not [one for one in run.get_by_role("button", name="Start").all() if one.is_enabled() and one.is_visible()]
    watched.picture(f"dashboard-run-{theme}-{width}")

    browsed = open_tab(watched, "Browse")
    settle(browsed.locator(".rb-chart").first)
    watched.picture(f"dashboard-browse-{theme}-{width}")
    expect(page.get_by_role("button", name="Grade", exact=True)).to_have_count(0)


def test_with_a_token_people_run_and_grade(watched: Watched, tmp_path: Path) -> None:
    folder = answered_workspace(tmp_path / "bench", left=1)
    served_page = Page(str(folder / "bench.yaml"), cap_usd=0.01)
    page = watched.page
    with open_dashboard(served_page, Access(port=0, token=TOKEN, cap_usd=0.01)) as served:
        page.goto(served.address)
        expect(page).to_have_url(f"{served.address}login?next=%2F")
        page.goto(served.url)
        # The token is not left in the address.
        expect(page).to_have_url(served.address)
        expect(page.locator(".rb-cockpit")).to_contain_text("at most $0.01")
        run = open_tab(watched, "Run")
        expect(run.get_by_role("button", name="Start")).to_be_enabled()
        grade = open_tab(watched, "Grade")
        grade.get_by_role("button", name="Begin").click()
        expect(grade).to_contain_text("Nobody is named")
        grade.get_by_label("Who grades").fill("anna")
        grade.get_by_label("Who grades").press("Enter")
        grade.get_by_role("button", name="Begin").click()
        expect(grade).to_contain_text("pair 1 / 60")
        pad = grade.locator(".rb-pad")
        pad.focus()
        for key, place in (("ArrowLeft", 2), ("t", 3), ("z", 2)):
            # A second key within a fifth of a second would be the same press.
            page.wait_for_timeout(300)
            page.keyboard.press(key)
            expect(pad).to_contain_text(f"pair {place} / 60")
        watched.picture("dashboard-grade")
    # The tie was taken back, which is kept too.
    with Store(folder / "demo.duckdb").connect() as con:
        kept = con.execute("SELECT rater, verdict FROM blind_verdicts ORDER BY number").fetchall()
    assert kept == [("anna", "left"), ("anna", "tie"), ("anna", None)]
    watched.check()
