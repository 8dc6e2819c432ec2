"""Past prompts as rows, with what every model's answer scored and cost; more are added while others look up."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from routebench.rules.learned.directions import Directions
from routebench.rules.learned.growing import Growing
from routebench.rules.learned.head import SparseRows
from routebench.rules.learned.postings import Postings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_SLACK = 4
"""Prompts that left are taken out of the arrays once they are more than one in so many of those that may stay."""


class Index(Protocol):
    """Rows among which the most similar ones are found, exactly."""

    width: int

    @property
    def is_scattered(self) -> bool:
        """Whether it is time to build the index again from its rows."""
        ...

    def add(self, row: Any) -> None:
        """Adds a row."""
        ...

    def nearest(self, query: Any, k: int, first: int, end: int) -> tuple[npt.NDArray[np.intp], Floats]:
        """Returns the most similar rows of [first, end), the most similar first, and how similar they are."""
        ...

    def rows(self, first: int, end: int) -> Any:
        """Returns the rows of [first, end)."""
        ...

    def copy(self) -> Index:
        """Returns an index of the same rows, to which others can be added."""
        ...


class Tally:
    """Means of the known numbers in each of m columns, while rows come and go.

    Args:
        rows: NaN where unknown, shape (n, m).
    """

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        import numpy as np

        known = ~np.isnan(rows)
        self._counts = known.sum(axis=0).astype(np.float64)
        self._totals = np.where(known, rows, 0).sum(axis=0, dtype=np.float64)

    def add(self, row: npt.NDArray[Any], sign: int = 1) -> None:
        """Counts a row; with sign -1 no longer."""
        import numpy as np

        known = ~np.isnan(row)
        self._counts = self._counts + sign * known
        self._totals = self._totals + sign * np.where(known, row, 0)

    @property
    def means(self) -> Floats:
        """The means, shape (m,); NaN where nothing is known."""
        import numpy as np

        return np.where(self._counts > 0, self._totals / np.maximum(self._counts, 1), np.nan)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was there at one moment.

    Attributes:
        index: of the prompts.
        scores: in [0, 1], NaN where unknown, shape (end, m).
        costs_usd: of each answer, NaN where unknown, shape (end, m).
        first: the oldest row that counts.
        end: the rows that count end before it.
        mean_scores: of the rows that count, shape (m,).
        mean_costs_usd: likewise.
    """

    index: Index
    scores: npt.NDArray[np.float32]
    costs_usd: Floats
    first: int
    end: int
    mean_scores: Floats
    mean_costs_usd: Floats

    @property
    def n(self) -> int:
        """The number of rows that count."""
        return self.end - self.first


class Past:
    """Past prompts that may grow in number, up to a bound; then the oldest leave.

    Looking up takes no lock. Adding costs the same on average however many there are; now and then it arranges all rows
    anew, which takes up to a second for 100,000 of them.

    Args:
        index: of the prompts' rows.
        scores: shape (n, m), NaN where unknown.
        costs_usd: shape (n, m), NaN where unknown.
        most: how many prompts are kept at most.
        is_shared: whether others look up in the index, so that it must stay as it is.
    """

    def __init__(
        self,
        index: Index,
        scores: npt.NDArray[np.float32],
        costs_usd: Floats,
        most: int,
        *,
        is_shared: bool = False,
    ) -> None:
        self.most = most
        self._is_shared = is_shared
        self._adding = threading.Lock()
        self._scores, self._costs = Growing(scores), Growing(costs_usd)
        self._tallies = (Tally(scores), Tally(costs_usd))
        self.seen = self._look(index, 0)

    def again(self, most: int) -> Past:
        """Returns past prompts that are the same now, and grow by themselves; what both have is copied then."""
        with self._adding:
            if self.seen.first:
                self.seen = self._renewed()
            self._is_shared = True
            return Past(self.seen.index, self.seen.scores, self.seen.costs_usd, most, is_shared=True)

    def rows(self) -> tuple[Any, Seen]:
        """Returns the rows of the prompts that count, and what is known of them."""
        with self._adding:
            return self.seen.index.rows(self.seen.first, self.seen.end), self.seen

    def add(self, row: Any, scores: npt.NDArray[Any], costs_usd: npt.NDArray[Any]) -> None:
        """Adds a prompt; safe to call from many threads.

        Args:
            row: a pair of columns and values, or an array of shape (width,).
            scores: NaN where unknown, shape (m,).
            costs_usd: NaN where unknown, shape (m,).
        """
        with self._adding:
            # In new arrays: whoever looks up in the old ones goes on undisturbed.
            if self.seen.first * _SLACK > self.most or self.seen.index.is_scattered:
                self.seen = self._renewed()
            elif self._is_shared:
                self.seen = replace(self.seen, index=self.seen.index.copy())
            self._is_shared = False
            seen = self.seen
            is_full = seen.n >= self.most
            seen.index.add(row)
            for kept, tally, new in zip((self._scores, self._costs), self._tallies, (scores, costs_usd), strict=True):
                kept.add(new)
                tally.add(new)
                if is_full:
                    tally.add(kept.upto(seen.end)[seen.first], -1)
            self.seen = self._look(seen.index, seen.first + is_full)

    def _renewed(self) -> Seen:
        """The rows that count, from 0 on."""
        seen = self.seen
        self._scores = Growing(seen.scores[seen.first : seen.end].copy())
        self._costs = Growing(seen.costs_usd[seen.first : seen.end].copy())
        return self._look(index_of(seen.index.rows(seen.first, seen.end), seen.index.width), 0)

    def _look(self, index: Index, first: int) -> Seen:
        end = len(self._scores)
        means = (tally.means for tally in self._tallies)
        return Seen(index, self._scores.upto(end), self._costs.upto(end), first, end, *means)


def index_of(rows: SparseRows | npt.NDArray[np.float32], width: int) -> Index:
    """Returns an index of rows of a width."""
    return Postings(rows, width) if isinstance(rows, SparseRows) else Directions(rows)
