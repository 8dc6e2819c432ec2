"""Verified: where a product sent prompts, beside where the rule set sends them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

NOBODY = "nobody"
"""Where a request is refused: guards and limits leave no model."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Requests of one cell of the matrix.

    Attributes:
        expected: the model that the rule set tries first.
        actual: the model that answered, `nobody` where the product refused.
    """

    expected: str
    actual: str
    n: int


@dataclass(frozen=True)
class Verified:
    """What came of a trial.

    Attributes:
        by: the product with its version.
        how: `run` where the product routed the prompts itself, `validated` where it only accepted the files and the
            agreement is that of a replay.
        matrix: expected and actual models, the largest cell first.
        differing: positions of the requests that went elsewhere.
        remarks: what else was tried, such as a failover, one sentence each.
    """

    by: str
    how: Literal["run", "validated"]
    matrix: tuple[Routed, ...]
    differing: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        by: str,
        how: Literal["run", "validated"],
        expected: Sequence[str],
        actual: Sequence[str],
        remarks: Sequence[str] = (),
    ) -> Verified:
        """Counts pairs of expected and actual models, one of each a request."""
        pairs = Counter(zip(expected, actual, strict=True))
        return cls(
            by,
            how,
            tuple(Routed(*pair, n) for pair, n in pairs.most_common()),
            tuple(at for at, (one, other) in enumerate(zip(expected, actual, strict=True)) if one != other),
            tuple(remarks),
        )

    @property
    def n(self) -> int:
        """Requests that were tried."""
        return sum(one.n for one in self.matrix)

    @property
    def agreement(self) -> float | None:
        """Share that went where the rule set sends them; None where none was tried."""
        return sum(one.n for one in self.matrix if one.expected == one.actual) / self.n if self.n else None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "by": self.by,
            "how": self.how,
            "n": self.n,
            "agreement": self.agreement,
            "matrix": [{"expected": one.expected, "actual": one.actual, "n": one.n} for one in self.matrix],
            "remarks": list(self.remarks),
        }
