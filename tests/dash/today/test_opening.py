"""While rules are tuned a notebook says so, and a thread or a script says nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from routebench.dash.today.opening import waiting


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[CapturingDisplayPublisher]:
    """What the cells of a notebook show."""
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=config, ipython_dir=str(tmp_path))
    shell.display_pub = CapturingDisplayPublisher()
    yield shell.display_pub
    InteractiveShell.clear_instance()


def test_the_line_goes_when_it_is_done(shown: CapturingDisplayPublisher) -> None:
    with waiting("tuning <rules>"):
        (said,) = shown.outputs
        assert "tuning &lt;rules&gt;" in said["data"]["text/html"]
    _, gone = shown.outputs
    assert gone["data"]["text/html"] == ""
    assert gone["transient"] == said["transient"]


def test_the_line_goes_when_it_fails(shown: CapturingDisplayPublisher) -> None:
    with pytest.raises(ValueError, match="no"), waiting("tuning"):
        raise ValueError("no")
    assert shown.outputs[-1]["data"]["text/html"] == ""


def test_nothing_is_said_on_a_thread(shown: CapturingDisplayPublisher) -> None:
    def work() -> None:
        with waiting("tuning"):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert shown.outputs == []


def test_nothing_is_said_outside_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("tuning"):
        pass
    assert capsys.readouterr().out == ""
