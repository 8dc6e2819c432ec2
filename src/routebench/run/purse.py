"""Money that several runs of several processes share, so that all of them together stay under one cap."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from routebench.errors import ConfigError


class Purse:
    """A cap over every run that takes from it, kept in a small file.

    A run books the most that it may spend before it starts, and gives back what it did not spend when it has ended.
    What a killed process has booked stays booked: nobody knows how much of it was spent.

    Args:
        path: the file; whoever names the same one shares it.
        cap_usd: the most that may be spent in all, in US dollars; 0 where nothing may be sent.
    """

    def __init__(self, path: str | Path, cap_usd: float) -> None:
        self.path = Path(path)
        self.cap_usd = cap_usd

    @property
    def left_usd(self) -> float:
        """What no run has booked or spent."""
        with FileLock(f"{self.path}.lock"):
            return self._left(self._read())

    def take(self, run_id: str) -> Share:
        """Books for a run all that is left.

        Raises:
            ConfigError: nothing is left, or nothing may be sent at all.
        """
        if not self.cap_usd:
            raise ConfigError("this page only shows what is known: nothing is sent from here; use `routebench run`")
        with FileLock(f"{self.path}.lock"):
            booked = self._read()
            left = self._left(booked)
            if left <= 0:
                raise ConfigError(
                    f"nothing is left of the cap of ${self.cap_usd:g}, which all runs of this dashboard share; wait "
                    "for the run that goes on, or start the dashboard with a higher --cap-usd"
                )
            self._write({**booked, run_id: left})
        return Share(self, run_id, left)

    def settle(self, run_id: str, spent_usd: float) -> None:
        """Books what a run has really spent in place of the most that it might have."""
        with FileLock(f"{self.path}.lock"):
            self._write({**self._read(), run_id: spent_usd})

    def _left(self, booked: dict[str, float]) -> float:
        return max(0.0, self.cap_usd - sum(booked.values()))

    def _read(self) -> dict[str, float]:
        if not self.path.exists():
            return {}
        booked: dict[str, float] = json.loads(self.path.read_text(encoding="utf-8"))
        return booked

    def _write(self, booked: dict[str, float]) -> None:
        # Renamed into place: a kill in between must not leave a purse that looks full.
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text(json.dumps(booked), encoding="utf-8")
        new.replace(self.path)


@dataclass(frozen=True, slots=True)
class Share:
    """What one run has booked of a purse.

    Attributes:
        purse: whose money it is.
        run_id: of the run.
        usd: the most that it may spend, in US dollars.
    """

    purse: Purse
    run_id: str
    usd: float

    def settle(self, spent_usd: float) -> None:
        """Gives back what the run has not spent; the run calls it when it has ended."""
        self.purse.settle(self.run_id, spent_usd)
