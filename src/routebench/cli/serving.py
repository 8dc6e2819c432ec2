"""The command that serves the cockpit as a web page."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from routebench.cli.arguments import positive
from routebench.cli.output import BAD, DONE, Add, print_json
from routebench.errors import ConfigError

if TYPE_CHECKING:
    from routebench.serving import Page

_GENERATED = ""
_BY_SIGNAL = 128
"""What a shell adds to the number of the signal that ended a command."""


def _dashboard(arguments: argparse.Namespace) -> int:
    from routebench.serving import Access, new_token, open_dashboard

    if arguments.allow_run and arguments.cap_usd is None:
        raise ConfigError("--allow-run: say how much all runs together may cost: --cap-usd X")
    if arguments.cap_usd is not None and not arguments.allow_run:
        raise ConfigError("--cap-usd: nothing is spent without --allow-run; give both, or neither")
    access = Access(
        host=arguments.host,
        port=arguments.port,
        theme=arguments.theme,
        token=new_token() if arguments.token == _GENERATED else arguments.token,
        cap_usd=arguments.cap_usd,
    )
    access.check_free()
    # Not to stdout, which is for the JSON.
    what = "the demonstration" if arguments.config is None else arguments.config
    print(f"opening {what}, one moment …", file=sys.stderr, flush=True)
    with _ended_in_order(), _page(arguments) as page, open_dashboard(page, access, keys=page.key_names()) as dashboard:
        if arguments.json:
            print_json({"url": dashboard.url, "read_only": page.read_only, "cap_usd": page.cap_usd})
        else:
            print(f"the cockpit is at {dashboard.url}")
            print(f"{page.reading}; Ctrl-C ends it", flush=True)
        try:
            code = dashboard.wait()
        except KeyboardInterrupt:
            code = 0
    return DONE if code == 0 else BAD


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Turns the signals that end a service into an exit that shuts down and tidies up, as Ctrl-C does."""
    from routebench.serving import ENDING

    def end(number: int, _frame: object) -> None:
        for one in before:
            # A second one must not interrupt the tidying.
            signal.signal(one, signal.SIG_IGN)
        sys.exit(_BY_SIGNAL + number)

    before = {one: signal.getsignal(one) for one in ENDING}
    for one in before:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _page(arguments: argparse.Namespace) -> Iterator[Page]:
    from routebench.serving import Page, demonstration_page

    if arguments.config is not None:
        yield Page.of(
            arguments.config,
            rules=arguments.rules,
            today=arguments.today,
            traces=arguments.traces,
            cap_usd=arguments.cap_usd,
        )
        return
    for name in ("rules", "today", "traces", "cap_usd"):
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')}: say which bench.yaml it belongs to")
    with tempfile.TemporaryDirectory(prefix="routebench-demo-") as folder:
        yield demonstration_page(Path(folder))


def add_serving(add: Add) -> None:
    """Adds `dashboard`."""
    made = add("dashboard", _dashboard, "serve the cockpit as a web page, for people who open no notebook")
    made.add_argument(
        "config", type=Path, nargs="?", metavar="bench.yaml", help="default: the demonstration, on recorded answers"
    )
    made.add_argument("--rules", type=Path, metavar="rules.yaml", help="its coverage is shown")
    made.add_argument("--today", type=Path, metavar="FILE", help="decisions of the router that runs today (.jsonl)")
    made.add_argument("--traces", type=Path, metavar="DIR", help="what a gateway writes there is shown while it does")
    made.add_argument("--host", default="127.0.0.1", help="the interface (default this machine only)")
    made.add_argument("--port", type=int, default=8866, help="0 for any that is free (default 8866)")
    made.add_argument("--theme", choices=("light", "dark"), default="light")
    made.add_argument("--allow-run", action="store_true", help="let pages run and export; needs --cap-usd and --token")
    made.add_argument("--cap-usd", type=positive, metavar="X", help="the most that all its runs may cost together")
    made.add_argument(
        "--token",
        nargs="?",
        const=_GENERATED,
        metavar="TOKEN",
        help="what a visitor must show; without a value one is made, and printed once",
    )
