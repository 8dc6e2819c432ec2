"""What a strategy decided for many requests at once, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Groups = npt.NDArray[np.str_] | npt.NDArray[np.intp]
"""The cluster of each case, by its key or by a number; numbers are told apart faster."""

ACCEPTED, REFUSED, UNTOLD = 0, 1, 2
"""What a check says of an answer; the last where nobody knows, because too little of the answer was kept."""
NOBODY = -2
"""Stands first in the chain of a request that no model may take: it fails without a call."""


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """The checks that answers have to pass, for one part of the choices for n requests.

    Attributes:
        names: of the checks.
        by: the position in `names` of each request's check, -1 where any answer is accepted; shape (n,).
        verdicts: ACCEPTED, REFUSED or UNTOLD for the answer of every place of the chain, shape (n, length, k) for k
            samples; None until somebody has looked at answers. It counts only where there is an answer.
        latest_stands: whether the latest refused answer is given where no model of the chain passes, shape (n,); None
            as above.
    """

    names: tuple[str, ...]
    by: IntArray
    verdicts: npt.NDArray[np.int8] | None = None
    latest_stands: BoolArray | None = None

    def take(self, index: IntArray) -> Self:
        """Returns the checks for some of the requests."""
        return replace(
            self,
            by=self.by[index],
            verdicts=None if self.verdicts is None else self.verdicts[index],
            latest_stands=None if self.latest_stands is None else self.latest_stands[index],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Deciders:
    """What decided each of n requests, for one part of the choices: a rule by its name, a phase, a budget.

    Attributes:
        names: of what decides.
        by: the position in `names` of what decided each request, -1 where nobody knows; shape (n,).
    """

    names: tuple[str, ...]
    by: IntArray

    @classmethod
    def of(cls, told: Sequence[str | None]) -> Self:
        """Takes a name a request, None where nobody knows."""
        names = tuple(dict.fromkeys(name for name in told if name is not None))
        place: dict[str | None, int] = {name: number for number, name in enumerate(names)}
        return cls(names, np.array([place.get(name, -1) for name in told], dtype=np.intp))

    def take(self, index: IntArray) -> Self:
        """Returns the same for some of the requests."""
        return replace(self, by=self.by[index])

    def name(self, row: int) -> str | None:
        """Returns what decided one request, None where nobody knows."""
        at = int(self.by[row])
        return self.names[at] if at >= 0 else None

    def beside(self, other: Deciders) -> Self:
        """Returns both for the same requests: `night or default` where they differ, as at another time of the day."""
        pairs = zip(self.by, other.by, strict=True)
        told: list[str | None] = []
        for own, its in pairs:
            names = dict.fromkeys(part.names[at] for part, at in ((self, int(own)), (other, int(its))) if at >= 0)
            told.append(" or ".join(names) or None)
        return type(self).of(told)


@dataclass(frozen=True, slots=True)
class Choices:
    """Chains of models for n requests; a mix is several parts, replayed in expectation.

    Attributes:
        models: the names that the indices point at.
        parts: (share, chains) pairs; shares sum to one; chains has shape (n, length), padded at the right with -1.
        label: what this operating point is called, such as `lambda=0.3`.
        decision_cost_usd: what deciding cost, NaN while unknown, shape (n,); None where deciding calls no model.
        decision_latency_s: how long deciding took, NaN while unknown, shape (n,); None where nobody measured it.
        checks: of every part, None for a part whose answers are not checked; empty where none is.
        deciders: of every part, None for a part of which nobody knows what decided; empty where nobody knows of any.

    A chain of -1 alone is no decision: nothing is known of such a case. One that begins with NOBODY is a request that
    guards and limits leave no model for: it fails.
    """

    models: tuple[str, ...]
    parts: tuple[tuple[float, IntArray], ...]
    label: str = ""
    decision_cost_usd: FloatArray | None = None
    decision_latency_s: FloatArray | None = None
    checks: tuple[Checks | None, ...] = ()
    deciders: tuple[Deciders | None, ...] = ()

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
        drawn = [(share, one) for share, one in zip(shares, choices, strict=True) if share > 0]
        parts = tuple((share * part_share, chains) for share, one in drawn for part_share, chains in one.parts)
        checks: tuple[Checks | None, ...] = ()
        if any(one.checks for _, one in drawn):
            checks = tuple(chain.from_iterable(one.checks_by_part for _, one in drawn))
        deciders: tuple[Deciders | None, ...] = ()
        if any(one.deciders for _, one in drawn):
            deciders = tuple(chain.from_iterable(one.deciders or (None,) * len(one.parts) for _, one in drawn))
        return cls(choices[0].models, parts, label, checks=checks, deciders=deciders)

    @property
    def checks_by_part(self) -> tuple[Checks | None, ...]:
        """The checks of every part, as many as there are parts."""
        return self.checks or (None,) * len(self.parts)

    def decided_by(self, row: int) -> str | None:
        """Returns what decided one request: in its likeliest part a rule's name, else the label of the whole policy.

        None where nobody knows.
        """
        likeliest = max(range(len(self.parts)), key=lambda place: self.parts[place][0])
        told = self.deciders[likeliest] if self.deciders else None
        return (None if told is None else told.name(row)) or self.label or None

    def commonest_share(self, weight: FloatArray) -> float:
        """Returns the share of requests that get the commonest chain, models whose answers are refused left out.

        Args:
            weight: of each request, shape (n,).
        """
        width = max(chains.shape[1] for _, chains in self.parts)
        rows, shares = [], []
        for (share, chains), checks in zip(self.parts, self.checks_by_part, strict=True):
            kept = [chains]
            if checks is not None and checks.verdicts is not None:
                kept = [
                    np.where(checks.verdicts[:, :, sample] == REFUSED, -2, chains)
                    for sample in range(checks.verdicts.shape[2])
                ]
            rows += [np.pad(one, ((0, 0), (0, width - one.shape[1])), constant_values=-1) for one in kept]
            shares += [share / len(kept) * weight] * len(kept)
        member = np.unique(np.concatenate(rows), axis=0, return_inverse=True)[1].reshape(-1)
        return float(np.bincount(member, weights=np.concatenate(shares)).max() / weight.sum())

    def take(self, index: IntArray) -> Self:
        """Returns the choices for some of the requests."""
        return replace(
            self,
            parts=tuple((share, chains[index]) for share, chains in self.parts),
            decision_cost_usd=None if self.decision_cost_usd is None else self.decision_cost_usd[index],
            decision_latency_s=None if self.decision_latency_s is None else self.decision_latency_s[index],
            checks=tuple(None if one is None else one.take(index) for one in self.checks),
            deciders=tuple(None if one is None else one.take(index) for one in self.deciders),
        )
