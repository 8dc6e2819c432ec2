"""What was spent today, kept beside the traces so that a restart forgets nothing."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from routebench.errors import ConfigError
from routebench.rules.budget import Ledger

_log = logging.getLogger(__name__)


class Spent:
    """A small file of the day's sums; a thread writes it whenever one has changed, at most once in `every_s`.

    The file is replaced as a whole, so that a reader finds the old sums or the new ones. What was spent in the last
    `every_s` before a kill is not in it; a shutdown in order writes all.

    Args:
        path: of the file; each gateway has its own.
        every_s: least time from one writing to the next.

    Raises:
        ConfigError: the file is there and cannot be read.
    """

    def __init__(self, path: Path, *, every_s: float = 1.0) -> None:
        self.path = path
        self._every_s = every_s
        self._kept: dict[str, Ledger] = {}
        self._found = _read(path)
        self._written: Mapping[str, Any] = self._found
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._complained = False

    def keep(self, name: str, ledger: Ledger) -> None:
        """Gives a new ledger what the file has under its name, and writes its sums there from now on.

        A ledger that takes another one's place, as after a change of the budget, goes on with its sums.
        """
        with self._lock:
            earlier = self._kept.get(name)
            found = self._found.get(name)
            self._kept[name] = ledger
        if earlier is not None and earlier is not ledger:
            ledger.take_over(earlier)
        elif earlier is None and found is not None and found["timezone"] == ledger.budget.timezone:
            ledger.restore(found["spent_usd"], date.fromisoformat(found["day"]), found["n_unknown"])

    def write(self) -> bool:
        """Writes the sums if one has changed; returns whether they are on disk."""
        with self._lock:
            # Of names that nobody keeps any more, such as a key that was taken out for a while, the sums stay.
            sums = {**self._written, **{name: _sum(ledger) for name, ledger in self._kept.items()}}
        if sums == self._written:
            return True
        try:
            _replace(self.path, json.dumps(sums, indent=1, sort_keys=True).encode())
        except OSError as error:
            if not self._complained:
                _log.warning("%s: what was spent cannot be written (%s); a restart would forget it", self.path, error)
            self._complained = True
            return False
        self._complained = False
        self._written = sums
        return True

    def start(self) -> None:
        """Begins to write in the background."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="routebench-spent", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Writes what is left, and ends."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.write()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.write()


def spent_path(folder: Path, host: str, port: int) -> Path:
    """Returns the file of the gateway that listens there: two cannot listen at one address, so none shares it."""
    return folder / f"spent-{host.replace(':', '_')}-{port}.json"


def _sum(ledger: Ledger) -> dict[str, Any]:
    day, spent_usd, n_unknown = ledger.today
    return {"day": day.isoformat(), "timezone": ledger.budget.timezone, "spent_usd": spent_usd, "n_unknown": n_unknown}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); what was spent today stands there") from None
    try:
        found = json.loads(text)
        return {
            str(name): {
                "day": date.fromisoformat(one["day"]).isoformat(),
                "timezone": str(one["timezone"]),
                "spent_usd": float(one["spent_usd"]),
                "n_unknown": int(one["n_unknown"]),
            }
            for name, one in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"{path}: is not what a gateway wrote; remove it, and today's budgets begin at zero"
        ) from None


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
