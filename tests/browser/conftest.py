"""A real browser on real servers: everything on this machine, and nothing asked of any other.

Not part of a plain `pytest`: `make browser` runs it, with the Chromium that is installed or the one that the environment
variable ROUTEBENCH_CHROMIUM names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.servers import Lab, open_lab
from tests.browser.workspace import answered_workspace

pytest.importorskip("playwright")

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Route, WebSocket, expect, sync_playwright

VARIABLE = "ROUTEBENCH_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURES = Path(__file__).resolve().parents[2] / "results" / "screenshots"
_PATIENCE_MS = 60_000
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = report.when == "call" and report.failed
    return report


def chromium() -> str | None:
    """The browser's path, or None."""
    named = os.environ.get(VARIABLE)
    if named:
        return named
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip(f"no Chromium here: `apt-get install chromium`, or name one in {VARIABLE}")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@dataclass
class Watched:
    """A page, and what a page of ours must never do."""

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def picture(self, name: str) -> None:
        """Saves what is seen now, to be looked at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def check(self) -> None:
        """Fails where something was asked of another machine, or went wrong in the page."""
        assert not self.outside, f"asked of other machines: {sorted(set(self.outside))}"
        assert not self.errors, self.errors


@pytest.fixture
def watched(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page of 1280 by 1600 pixels, light; `indirect` parameters are further options of the browser's context."""
    options = {"viewport": {"width": 1280, "height": 1600}, "color_scheme": "light", **getattr(request, "param", {})}
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    seen = Watched(page)

    def guard(route: Route, asked: Request) -> None:
        if is_ours(asked.url):
            route.continue_()
        else:
            seen.outside.append(asked.url)
            route.abort()

    def listen(socket: WebSocket) -> None:
        if not is_ours(socket.url):
            seen.outside.append(socket.url)

    def read(message: ConsoleMessage) -> None:
        if message.type == "error":
            seen.errors.append(message.text)

    def fail(error: Error) -> None:
        seen.errors.append(str(error))

    context.route("**/*", guard)
    page.on("websocket", listen)
    page.on("console", read)
    page.on("pageerror", fail)
    yield seen
    if request.node.stash.get(FAILED, False):
        seen.picture(f"failed-{request.node.name}")
    context.close()


def is_ours(address: str) -> bool:
    """Whether an address is on this machine, or inside the page."""
    place = urlsplit(address)
    return place.scheme in ("data", "blob", "about") or place.hostname in ("127.0.0.1", "localhost", "::1")


@pytest.fixture(scope="session")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's folder with every answer, from its recording."""
    return answered_workspace(tmp_path_factory.mktemp("answered"))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(tmp_path_factory.mktemp("lab")) as opened:
        yield opened
