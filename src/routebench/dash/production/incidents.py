"""What went another way than planned, by stretches of time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from routebench.dash.production.log import Log
from routebench.evaluate.choices import IntArray

_TOLD = {
    "request failed": "failed",
    "turned down": "refused",
    "client went away": "cancelled",
    "shifted by health": "shifted",
    "explored": "explored",
    "cascade escalated": "escalated",
}


def incidents_of(log: Log, totals: pd.DataFrame, place: IntArray) -> pd.DataFrame:
    """Returns a row for every kind and stretch that has some, the commonest kind first.

    Args:
        log: n traces.
        totals: a row a stretch, as `Production.totals`.
        place: of each trace's stretch in `totals`, shape (n,).

    Returns:
        Columns name, start_ms, end_ms and when of the stretch; what, n, and the share of its requests.
    """
    served, count = log.served, len(totals)
    found: dict[str, IntArray] = {}
    row, kinds = log.tries
    for code, kind in enumerate(kinds.names):
        # A request with two calls that failed alike is one request.
        hit = np.unique(row[kinds.by == code])
        found[kind] = np.bincount(place[hit], minlength=count)
    for name, column in _TOLD.items():
        found[name] = totals[column].to_numpy()
    found["answer broke off"] = np.bincount(place[served.outcome.are("broken")], minlength=count)
    found["shadow differs"] = np.bincount(place[log.shadow == 0], minlength=count)
    kept = sorted((name for name, n in found.items() if n.any()), key=lambda name: (-int(found[name].sum()), name))
    requests = totals["n"].to_numpy()
    told = []
    for name in kept:
        n = found[name]
        at = np.flatnonzero(n)
        few = totals.iloc[at]
        told.append(
            pd.DataFrame(
                {
                    "name": few["name"].to_numpy(),
                    "start_ms": few["start_ms"].to_numpy(),
                    "end_ms": few["end_ms"].to_numpy(),
                    "when": few["when"].to_numpy(),
                    "what": name,
                    "n": n[at],
                    "share": n[at] / requests[at],
                }
            )
        )
    columns = ["name", "start_ms", "end_ms", "when", "what", "n", "share"]
    return pd.concat(told, ignore_index=True) if told else pd.DataFrame({name: [] for name in columns})
