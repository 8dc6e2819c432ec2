"""Purging texts from everything of a store: journals that killed runs left behind are brought in first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from routebench.errors import StoreError
from routebench.run.journal import journals, recover
from routebench.store import Purged, Store, purge


def purge_all(
    store: Store, *, cases: Sequence[str] = (), groups: Sequence[str] = (), before: datetime | None = None
) -> Purged:
    """Takes the texts of some cases out of a store and its journals; see `store.purge`.

    Raises:
        StoreError: a run goes on, whose journal nobody else may touch; or what `store.purge` raises.
    """
    recover(store)
    left = journals(store)
    if left:
        raise StoreError(
            f"store {store.path}: a run goes on (journal {left[0].name}), and its texts cannot be purged; end it first"
        )
    return purge(store, cases=cases, groups=groups, before=before)
