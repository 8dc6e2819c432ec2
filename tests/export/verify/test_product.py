from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from routebench.errors import MissingDependencyError, ProviderError
from routebench.export.verify.asked import ask_all
from routebench.export.verify.product import ended, find_program, free_port, running
from routebench.export.verify.upstream import upstream
from routebench.export.verify.verified import NOBODY
from routebench.types import Request

HELLO = Request(messages=({"role": "user", "content": "hello"},))


def find(**more: object) -> Path:
    given: dict[str, object] = {
        "given": None,
        "variable": "ROUTEBENCH_NO_SUCH",
        "places": [],
        "name": "no-such-program",
        "title": "Product",
        "install": "install it",
    }
    return find_program(**{**given, **more})  # type: ignore[arg-type]


def test_a_program_is_found_where_it_is_named_or_in_its_place(tmp_path: Path) -> None:
    program = tmp_path / "product"
    program.touch()
    assert find(given=program) == program
    assert find(places=[tmp_path / "none", program]) == program
    assert find(name="sh").name == "sh"


def test_a_program_that_is_not_there_is_told_with_the_line_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError, match="Product is not installed; install it, or name the program"):
        find()
    with pytest.raises(MissingDependencyError, match="no such program of Product"):
        find(given=tmp_path / "none")


def test_a_product_runs_while_the_block_does(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, folder=tmp_path, ready_url=f"http://127.0.0.1:{port}/", environment={}) as log:
        assert log.exists()
    # Its port is free again.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_a_product_that_ends_is_told_with_what_its_log_says(tmp_path: Path) -> None:
    with (
        pytest.raises(ProviderError, match=r"ended with 1; its log ends: ValueError: bad file"),
        running(
            [sys.executable, "-c", "raise ValueError('bad file')"],
            folder=tmp_path,
            ready_url=f"http://127.0.0.1:{free_port()}/",
            environment={},
        ),
    ):
        pass


def test_the_upstream_names_the_model_that_it_stands_for_and_fails_when_told() -> None:
    with upstream() as served:
        url = served.base_url("org/small model")
        assert served.base_url("large") != url == served.base_url("org/small model")
        assert asyncio.run(ask_all(url, "x", [HELLO, HELLO])).models == ("org/small model",) * 2
        served.failing = {"org/small model"}
        told = asyncio.run(ask_all(url, "x", [HELLO]))
        assert told.models == (NOBODY,)
        assert told.faults == ("1 requests failed (HTTP 500: server).",)
        assert served.asked == ["org/small model"] * 3


def test_a_program_is_run_to_its_end_without_the_callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVIDER_KEY", "secret")
    script = "import os, sys; print(sys.stdin.read(), os.environ.get('PROVIDER_KEY'))"
    assert ended(Path(sys.executable), ["-c", script], install="install it", given="hello").stdout == "hello None\n"


def test_a_program_that_does_not_run_is_told_with_the_line_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"it does not run: .*; install it"):
        ended(tmp_path, [], install="install it")
