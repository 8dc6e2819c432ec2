"""What a strategy decided for many requests at once, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Choices:
    """Chains of models for n requests; a mix is several parts, replayed in expectation.

    Attributes:
        models: the names that the indices point at.
        parts: (share, chains) pairs; shares sum to one; chains has shape (n, length), padded at the right with -1.
        label: what this operating point is called, such as `lambda=0.3`.
        decision_cost_usd: what deciding cost, NaN while unknown, shape (n,); None where deciding calls no model.
        decision_latency_s: how long deciding took, NaN while unknown, shape (n,); None where nobody measured it.

    A chain without any model is no decision: nothing is known of such a case.
    """

    models: tuple[str, ...]
    parts: tuple[tuple[float, IntArray], ...]
    label: str = ""
    decision_cost_usd: FloatArray | None = None
    decision_latency_s: FloatArray | None = None

    @classmethod
    def single(cls, models: Sequence[str], chains: IntArray, label: str = "") -> Self:
        """One chain a request; a one-dimensional array is a chain of one model each."""
        chains = np.asarray(chains, dtype=np.intp)
        return cls(tuple(models), ((1.0, chains[:, None] if chains.ndim == 1 else chains),), label)

    @classmethod
    def same(cls, models: Sequence[str], chain: Sequence[str], n: int, label: str = "") -> Self:
        """The same chain for all n requests."""
        models = tuple(models)
        row = np.array([models.index(name) for name in chain], dtype=np.intp)
        return cls(models, ((1.0, np.broadcast_to(row, (n, len(row)))),), label)

    @classmethod
    def mix(cls, shares: Sequence[float], choices: Sequence[Choices], label: str = "") -> Self:
        """A lottery over other choices, drawn anew for every conversation."""
        parts = tuple(
            (share * part_share, chains)
            for share, choice in zip(shares, choices, strict=True)
            if share > 0
            for part_share, chains in choice.parts
        )
        return cls(choices[0].models, parts, label)

    def commonest_share(self, weight: FloatArray) -> float:
        """Returns the share of requests that get the commonest chain.

        Args:
            weight: of each request, shape (n,).
        """
        width = max(chains.shape[1] for _, chains in self.parts)
        rows = [np.pad(chains, ((0, 0), (0, width - chains.shape[1])), constant_values=-1) for _, chains in self.parts]
        member = np.unique(np.concatenate(rows), axis=0, return_inverse=True)[1].reshape(-1)
        shares = np.concatenate([share * weight for share, _ in self.parts])
        return float(np.bincount(member, weights=shares).max() / weight.sum())

    def take(self, index: IntArray) -> Self:
        """Returns the choices for some of the requests."""
        return replace(
            self,
            parts=tuple((share, chains[index]) for share, chains in self.parts),
            decision_cost_usd=None if self.decision_cost_usd is None else self.decision_cost_usd[index],
            decision_latency_s=None if self.decision_latency_s is None else self.decision_latency_s[index],
        )
