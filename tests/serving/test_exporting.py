"""A page that may export, told by hand to write elsewhere than into the folder of its bench.yaml."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

import routebench as rb
from routebench.demonstration import lay_out, recording
from routebench.rules import RuleSet
from routebench.serving import Access, Page, open_dashboard
from tests.serving.visitor import channel, fetch, kernel_of, press, states, until, update

pytest.importorskip("voila")

TOKEN = "a-token-that-nobody-guesses"


def test_files_go_into_the_folder_of_the_bench_and_nowhere_else(tmp_path: Path) -> None:
    folder, own = tmp_path / "bench", tmp_path / "own"
    lay_out(folder)
    rb.Bench(folder / "bench.yaml", recorded=recording()).run().wait()
    own.mkdir()
    shown = {"Authorization": f"token {TOKEN}"}
    page = Page.of(folder / "bench.yaml", cap_usd=1.0)
    with open_dashboard(page, Access(port=0, token=TOKEN, cap_usd=1.0), folder=own) as served:
        _, _, body = fetch(served.address, headers=shown)
        with channel(served.address, kernel_of(body), headers=shown) as visitor:
            found = states(visitor)
            (tabs,) = [name for name, state in found.items() if "Tune" in (state.get("_options_labels") or ())]
            update(visitor, tabs, index=found[tabs]["_options_labels"].index("Tune"))
            until(visitor, "Train, out of fold", there=True)
            found = until(visitor, "learning:", there=False)
            (field,) = [name for name, state in found.items() if state.get("value") == "rules.yaml"]
            (write,) = [name for name, state in found.items() if state.get("description") == "Write rules.yaml"]
            elsewhere = [
                str(tmp_path / "absolute.yaml"),
                "../above.yaml",
                "below/file.yaml",
                "..",
                "startup.py",
                ".yaml",
            ]
            for path in elsewhere:
                update(visitor, field, value=path)
                press(visitor, write)
                until(visitor, f"{html.escape(repr(path))}: from this page files go into", there=True)
                update(visitor, field, value="rules.yaml")
            written = {path.name for path in tmp_path.rglob("*.yaml")} | {path.name for path in tmp_path.rglob("*.py")}
            assert written == {"bench.yaml"}
            # The same message with a plain name is heard.
            press(visitor, write)
            until(visitor, "routebench check", there=True)
    RuleSet.load(folder / "rules.yaml")
