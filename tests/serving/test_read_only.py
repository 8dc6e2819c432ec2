"""Every button of a page that only shows, pressed by hand, whether it is disabled or not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import routebench as rb
from routebench.demonstration import TODAY, lay_out, recording
from routebench.serving import Access, Page, open_dashboard
from tests.serving.visitor import channel, fetch, kernel_of, press, states, until, update

pytest.importorskip("voila")


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder by the hash of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_no_button_of_a_page_that_only_shows_writes_sends_or_unseals(tmp_path: Path) -> None:
    folder, own = tmp_path / "bench", tmp_path / "own"
    lay_out(folder)
    rb.Bench(folder / "bench.yaml", recorded=recording()).run().wait()
    own.mkdir()
    before = contents(folder)
    page = Page(str(folder / "bench.yaml"), today=str(folder / TODAY), recorded=str(recording()))
    with open_dashboard(page, Access(port=0), folder=own) as served:
        _, _, body = fetch(served.address)
        with channel(served.address, kernel_of(body)) as visitor:
            found = states(visitor)
            (tabs,) = [name for name, state in found.items() if "Browse" in (state.get("_options_labels") or ())]
            labels = found[tabs]["_options_labels"]
            assert "Grade" not in labels
            for label in ("Tune", "Run", "Browse", "Today"):
                update(visitor, tabs, index=labels.index(label))
            until(visitor, "Train, out of fold", there=True)
            found = until(visitor, "learning:", there=False)

            pressed = set()
            # Twice: a first press may lay a second button open.
            for _ in range(2):
                for name, state in found.items():
                    if state.get("_model_name") == "TextModel" and "yaml" in str(state.get("value", "")):
                        update(visitor, name, value=str(folder / "stolen.yaml"))
                    if state.get("_model_name") == "ButtonModel" and "Stop" not in state["description"]:
                        update(visitor, name, disabled=False)
                        press(visitor, name)
                        pressed.add(state["description"])
                found = states(visitor)
            assert {"Write rules.yaml", "Check once on test", "Start"} <= pressed
            said = " ".join(str(state.get("value", "")) for state in states(visitor).values())
            assert "look 1" not in said
        assert contents(folder) == before
        assert not [path for path in own.rglob("*.yaml") if "ipython" not in str(path)]
