"""The runs of this process: who looks again finds the one that goes on, whatever became of the name it had."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from routebench.store import Store

if TYPE_CHECKING:
    from routebench.run.runner import Run

# A run that goes on is held by its own thread; one that has ended may go.
_runs: weakref.WeakValueDictionary[str, Run] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def announce(run: Run) -> None:
    """Notes a run that has begun."""
    with _guard:
        _runs[run.run_id] = run


def going_on(store: Store, suite: str) -> Run | None:
    """Returns the run of this process that is sending a suite to a store, the newest of several; None for none."""
    with _guard:
        runs = list(_runs.values())
    mine = [run for run in runs if run.running and run.sends(store, suite)]
    return max(mine, key=lambda run: run.run_id, default=None)
