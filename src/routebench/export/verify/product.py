"""A product's process on loopback: found, started, waited for and ended."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from routebench.errors import MissingDependencyError, ProviderError

_STOP_S = 10.0
_POLL_S = 0.2
_KEPT = 6
_MOST_S = 300.0


def find_program(
    given: Path | None, *, variable: str, places: Sequence[Path], name: str, title: str, install: str
) -> Path:
    """Returns where a product's program is.

    Args:
        given: what the caller named.
        variable: the environment variable that may name it.
        places: files that are looked at, such as in an environment of its own below the current folder.
        name: on the path.
        title: of the product.
        install: the line that installs it.

    Raises:
        MissingDependencyError: it is nowhere.
    """
    named = given or (Path(os.environ[variable]) if os.environ.get(variable) else None)
    if named is not None:
        if not named.exists():
            raise MissingDependencyError(f"{named}: no such program of {title}; {install}")
        return named
    found = next((place for place in places if place.exists()), None) or shutil.which(name)
    if found is None:
        raise MissingDependencyError(
            f"{title} is not installed; {install}, or name the program with --product or {variable}"
        )
    return Path(found)


def free_port() -> int:
    """Returns a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ended(
    program: Path, arguments: Sequence[str], *, install: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a product's program to its end.

    It gets nothing of the caller's environment but the path.

    Args:
        program: to run.
        arguments: of it.
        install: the line that installs it, for the message.
        given: what it reads.

    Raises:
        ProviderError: it does not run, or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="routebench-") as home:
        try:
            return subprocess.run(  # noqa: S603 - the program is the caller's
                [str(program.absolute()), *arguments],
                input=given,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": home},
                capture_output=True,
                text=True,
                timeout=_MOST_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProviderError(f"{program}: it does not run: {error}; {install}") from None


@contextmanager
def running(
    command: Sequence[str], *, folder: Path, ready_url: str, environment: Mapping[str, str], start_s: float = 180.0
) -> Iterator[Path]:
    """Starts a product, waits until it answers, and ends it with the block.

    It gets nothing of the caller's environment but the path: no key of a real provider, no proxy setting.

    Args:
        command: to start.
        folder: where it runs, and where its log goes.
        ready_url: answers 200 when it is ready.
        environment: what it needs beside PATH and HOME.
        start_s: so long at most.

    Yields:
        Its log.

    Raises:
        ProviderError: it ends or stays silent; the last lines of its log are in the text.
    """
    log = folder / "product.log"
    given = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), **environment}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=folder, env=given, stdout=output, stderr=output) as process,  # noqa: S603 - a program that the caller names
    ):
        try:
            _wait(process, ready_url, log, start_s)
            yield log
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, start_s: float) -> None:
    deadline = time.monotonic() + start_s
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - of loopback, and made here
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    # Products greet at length; what went wrong stands in a line that says so.
    told = [line for line in lines if re.search(r"\b\w*(Error|error|Exception)\b", line)][-_KEPT:] or lines[-_KEPT:]
    what = f"ended with {process.returncode}" if process.poll() is not None else f"was not ready in {start_s:g} s"
    raise ProviderError(f"{command_name(process)} {what}; its log ends: {' / '.join(told) or 'with nothing'}")


def command_name(process: subprocess.Popen[bytes]) -> str:
    """Returns the program's name, for messages."""
    arguments = process.args
    first = arguments[0] if isinstance(arguments, (list, tuple)) else arguments
    return Path(str(first)).name
