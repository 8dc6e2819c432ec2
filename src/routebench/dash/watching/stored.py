"""What the store knows of a suite's runs: for a notebook that is opened again, and for a run of another process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from routebench.dash.format import UNKNOWN, money
from routebench.run import is_alive
from routebench.store import CellCounts, RunRecord, Store, count_cells, read_runs

STORED_COLUMNS = ("model", "answered", "failed", "abstained", "missing", "p50", "p95", "spent", "latest")


@dataclass(frozen=True, slots=True)
class Stored:
    """A look into the store.

    Attributes:
        cells: how far every model has come; nothing where the suite was never run.
        last: its latest run, None for none.
        is_alive: whether that run goes on somewhere.
    """

    cells: Sequence[CellCounts]
    last: RunRecord | None
    is_alive: bool

    @classmethod
    def read(cls, store: Store, suite: str) -> Stored:
        """Looks.

        Raises:
            StoreError: the store cannot be read, or another process holds it.
        """
        runs = read_runs(store, suite, last=1)
        last = runs[0] if runs else None
        alive = last is not None and last.finished_at is None and is_alive(store, last.run_id)
        return cls(count_cells(store, suite), last, alive)

    @property
    def n_cells(self) -> int:
        """How many answers were ever wanted."""
        return sum(one.cells for one in self.cells)

    @property
    def n_done(self) -> int:
        """Of these, how many have an answer or an error."""
        return sum(one.cells - one.missing for one in self.cells)

    @property
    def story(self) -> str:
        """What became of the latest run, in a sentence; empty where there was none."""
        if self.last is None:
            return ""
        began = "" if self.last.started_at is None else f" of {self.last.started_at:%Y-%m-%d %H:%M} UTC"
        head = f"Last run {self.last.run_id}{began}"
        if self.is_alive:
            return f"{head} goes on in another process: it can be paused or stopped there."
        known = " as far as bills are known" if any(one.n_unbilled for one in self.cells) else ""
        spent = "" if self.last.spend_usd is None else f", {money(self.last.spend_usd)} spent{known}"
        if self.last.finished_at is None:
            return f"{head} did not come to its end: its process was ended. Every answer that it reported is here."
        return f"{head}: {_ENDS.get(self.last.status, self.last.status)}{spent}."

    def rows(self) -> list[tuple[str | float | None, ...]]:
        """Rows of STORED_COLUMNS, a model each: finished texts, and latencies in seconds."""
        return [
            (
                one.model,
                f"{one.ok:,}/{one.cells:,}",
                f"{one.failed:,}",
                f"{one.abstained:,}",
                f"{one.missing:,}",
                one.latency_p50_s,
                one.latency_p95_s,
                _spent(one),
                UNKNOWN if one.last_at is None else f"{one.last_at:%Y-%m-%d %H:%M}",
            )
            for one in self.cells
        ]


def _spent(one: CellCounts) -> str:
    unknown = f" and {one.n_unbilled:,} bills unknown" if one.n_unbilled and one.billed_usd is not None else ""
    return f"{money(one.billed_usd)}{unknown}"


_ENDS = {
    "done": "all its calls have ended",
    "stopped": "it was stopped",
    "budget": "it ended at its cap",
    "failed": "it broke off",
}
