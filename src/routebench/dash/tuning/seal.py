"""The test half of a split, shut until somebody asks for it; every look is counted."""

from __future__ import annotations

from datetime import datetime

from routebench.rules import RuleSet
from routebench.store import Store
from routebench.store.looks import add_look, count_looks


class Seal:
    """How often somebody has looked at the test half.

    Looks are counted in the store, for the suite and the seed of the split. Where nothing may be written they are
    counted here, and that is said.

    Args:
        store: where they are counted.
        suite: whose test half.
        seed: of the split.
        writes: whether the store may be written.
    """

    def __init__(self, store: Store, suite: str, seed: int, *, writes: bool = True) -> None:
        self._store = store
        self._suite = suite
        self._seed = seed
        self._writes = writes and store.pack is None
        self._here = 0
        self.looks = count_looks(store, suite, part="test", seed=seed)

    def look(self, ruleset: RuleSet, at: datetime) -> int:
        """Notes a look and returns which one it is.

        Args:
            ruleset: that was measured.
            at: when.
        """
        if self._writes:
            add_look(
                self._store,
                self._suite,
                rules=ruleset.name,
                policy_sha256=ruleset.policy_sha256,
                at=at,
                part="test",
                seed=self._seed,
            )
            self.looks = count_looks(self._store, self._suite, part="test", seed=self._seed)
        else:
            self._here += 1
            self.looks += 1
        return self.looks

    @property
    def told(self) -> str:
        """How often, and what follows."""
        if not self.looks:
            return "Held-out test: sealed, no look is counted."
        where = "" if self._writes else f" ({self._here} of them counted here only: this store cannot be written)"
        if self.looks == 1:
            return f"Held-out test: looked at once{where}. Whatever is chosen after a look is no longer a fair test."
        return (
            f"Held-out test reused: {self.looks} looks{where}. Each one makes the next weaker; only fresh cases are a "
            "fair test again."
        )
