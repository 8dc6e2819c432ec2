"""The command from outside: what it says first, and what is left of it when a service manager ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import routebench as rb
from routebench.demonstration import lay_out, recording
from routebench.serving import Access, Page, open_dashboard
from tests.serving.visitor import fetch, kernel_of

pytest.importorskip("voila")

_PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ending")
    lay_out(folder)
    rb.Bench(folder / "bench.yaml", recorded=recording()).run().wait()
    return folder


@contextmanager
def started(arguments: Sequence[str], temporary: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "routebench", "dashboard", *arguments],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def children_of(pid: int) -> list[int]:
    """A process's children and theirs."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, told) for one in (child, *children_of(child))]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("everybody", [False, True], ids=["the command", "every process of the service"])
def test_it_ends_as_a_service_does_and_leaves_nothing(answered: Path, tmp_path: Path, *, everybody: bool) -> None:
    with started([str(answered / "bench.yaml"), "--port", "0"], tmp_path) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert process.stderr.readline() == f"opening {answered / 'bench.yaml'}, one moment …\n"
        address = process.stdout.readline().split()[-1]
        assert fetch(address)[0] == 200
        assert list(tmp_path.glob("routebench-*/store-*/*.duckdb"))
        below = children_of(process.pid)
        assert len(below) >= 2
        for pid in (process.pid, *(below if everybody else ())):
            os.kill(pid, signal.SIGTERM)
        assert process.wait(_PATIENCE_S) in (0, 143)
        assert "Traceback" not in process.stderr.read()
    assert not [pid for pid in below if is_there(pid)]
    assert not list(tmp_path.iterdir())


def test_what_a_page_copied_goes_with_its_kernel(answered: Path, tmp_path: Path) -> None:
    with open_dashboard(Page(str(answered / "bench.yaml")), Access(port=0), folder=tmp_path) as served:
        kernels = [kernel_of(fetch(served.address)[2]) for _ in range(2)]
        assert all(list(tmp_path.glob(f"store-{kernel}-*/*.duckdb")) for kernel in kernels)
        # As a page says goodbye: with the cookie that it was given.
        cookie = fetch(served.address, headers={"Sec-Fetch-Dest": "image"})[1]["set-cookie"].split(";")[0]
        said = {"Cookie": cookie, "X-XSRFToken": cookie.removeprefix("_xsrf=")}
        goodbye = fetch(served.address, f"/voila/api/shutdown/{kernels[0]}", method="POST", headers=said)
        assert goodbye[0] == 204
        assert not list(tmp_path.glob(f"store-{kernels[0]}-*"))
        assert list(tmp_path.glob(f"store-{kernels[1]}-*"))


@pytest.mark.parametrize("port", ["-1", "65536", "taken"])
def test_a_port_that_cannot_be_is_told_before_anything_is_opened(port: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        wanted = str(other.getsockname()[1]) if port == "taken" else port
        with started([f"--port={wanted}"], tmp_path) as process:
            out, errors = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 2
    assert wanted in errors
    assert "0 " in errors
    assert "opening" not in errors
    assert not out
    assert not list(tmp_path.iterdir())
