"""What is asked in production beside what the suite's cases ask: which features of requests moved, and how far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from routebench.drifting.distances import largest_distance
from routebench.drifting.expected import Expected
from routebench.drifting.figures import mix_rows, share_row
from routebench.drifting.gaps import quantile_ratio
from routebench.drifting.row import Row
from routebench.drifting.served import Served, Words
from routebench.drifting.side import Side
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.traces import features_of
from routebench.traces.row import LONG_TOKENS, QUICK_FEATURES

MOST_LOOKED_AT = 4_000
"""Of so many requests the features are read, whole conversations at a time: more would tell no finer."""
NUMBERS = {
    "input_tokens": "input tokens (estimated)",
    "characters": "characters of the last message",
    "words": "words of the last message",
    "turns": "turns",
    "digits": "share of digits",
}
FLAGS = {
    "has_code": "with code",
    "is_question": "ending in a question mark",
    "has_tools": "with tools",
    "has_images": "with images",
    "json_schema": "wanting a JSON schema",
}
LENGTH, LANGUAGE = "input_tokens", "language"
UNTOLD = "no language told"
_ONE_OF_ALL = '"words":'


def input_rows(served: Served, expected: Expected, bound: float, *, seed: int = 0) -> Iterator[Row]:
    """Yields a row a feature, and the share of every language; nothing where the traces hold no features.

    Args:
        served: requests that one policy decided.
        expected: the cases.
        bound: the distance of distributions, or the difference of shares, that does not matter.
        seed: of the draw of conversations that are looked at.
    """
    cases = pd.DataFrame(expected.features)
    every = _Beside.of(looked_at(served, seed), expected, cases)
    # Of long ones, and of many that come at once, a gateway tells no more than it must.
    short = _Beside.of(looked_at(served, seed, wholly=True), expected, cases).up_to(LONG_TOKENS)
    for name, title in NUMBERS.items():
        sides = (every if name in QUICK_FEATURES else short).sides(name)
        if sides is not None and len(np.unique(np.concatenate([one.amounts for one in sides]))) > 1:
            yield _number(title, *sides, bound)
    for name, title in FLAGS.items():
        sides = (every if name in QUICK_FEATURES else short).sides(name)
        # What neither side has is no feature of either.
        if sides is not None and any(one.amounts.any() for one in sides):
            yield share_row("inputs", title, *sides, bound)
    if LANGUAGE in short.ours:
        told, theirs = (
            Words.of(one[LANGUAGE].where(one[LANGUAGE].notna(), UNTOLD)) for one in (short.ours, short.cases)
        )
        whole = Side.of(np.zeros(len(short.groups)), short.groups, short.weight)
        mix = theirs.names, theirs.chances(theirs.names), whole
        yield from mix_rows("inputs", LANGUAGE, short.served, told, mix, bound)


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """Features of requests, a column each, beside those of cases with their groups and weights."""

    served: Served
    ours: pd.DataFrame
    cases: pd.DataFrame
    groups: IntArray
    weight: FloatArray

    @classmethod
    def of(cls, served: Served, expected: Expected, cases: pd.DataFrame) -> Self:
        ours = features_of(served.frame) if served.n else pd.DataFrame()
        return cls(served, ours, cases, expected.groups, expected.weight)

    def up_to(self, tokens: int) -> Self:
        """Of requests and cases that are no longer."""
        ours = (self.ours[LENGTH] <= tokens).to_numpy() if LENGTH in self.ours else np.ones(self.served.n, dtype=bool)
        theirs = (self.cases[LENGTH] <= tokens).to_numpy()
        return replace(
            self,
            served=self.served.take(ours),
            ours=self.ours[ours],
            cases=self.cases[theirs],
            groups=self.groups[theirs],
            weight=self.weight[theirs],
        )

    def sides(self, name: str) -> tuple[Side, Side] | None:
        """A feature of both; None where no request tells it."""
        if name not in self.ours:
            return None
        own = Side.of(_floats(self.ours[name]), self.served.conversation)
        return (own, Side.of(_floats(self.cases[name]), self.groups, self.weight)) if own.n else None


def looked_at(served: Served, seed: int = 0, *, wholly: bool = False) -> Served:
    """Returns the requests whose features are read; `wholly`: of which all of them are told."""
    if "features" not in served.frame:
        return served.take(np.zeros(0, dtype=np.intp))
    which = told_wholly(served) if wholly else served.frame["features"].notna().to_numpy()
    told = served.take(np.flatnonzero(which))
    return told.take(_conversations(told.conversation, seed))


def told_wholly(served: Served) -> BoolArray:
    """Whether all features of each request are told, shape (n,)."""
    texts = served.frame["features"].astype("str")
    found: BoolArray = texts.str.contains(_ONE_OF_ALL, regex=False, na=False).to_numpy(dtype=bool)
    return found


def _conversations(conversation: IntArray, seed: int) -> IntArray:
    """Positions of requests, whole conversations until there are enough."""
    if len(conversation) <= MOST_LOOKED_AT:
        return np.arange(len(conversation))
    codes = pd.factorize(conversation)[0]
    order = np.random.default_rng(seed).permutation(int(codes.max()) + 1)
    sizes = np.bincount(codes)[order]
    # At the least one, however long it is.
    enough = max(1, int(np.searchsorted(np.cumsum(sizes), MOST_LOOKED_AT, side="right")))
    taken = np.zeros(len(order), dtype=bool)
    taken[order[:enough]] = True
    return np.flatnonzero(taken[codes])


def _floats(values: pd.Series) -> FloatArray:
    return pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _number(name: str, own: Side, beside: Side, bound: float) -> Row:
    apart = largest_distance(own, beside) if own.n and beside.n else None
    times = quantile_ratio(own, beside, 0.5)
    return Row(
        "inputs",
        name,
        "number",
        own.n,
        production=own.shown(0.5),
        n_evidence=beside.n,
        evidence=beside.shown(0.5),
        change=None if apart is None else apart.value,
        change_kind="distance",
        by_chance=None if apart is None else apart.by_chance,
        times=None if times is None else 1 + times.value,
        times_ci95=None if times is None else _plus_one(times.interval()),
        p_value=None if apart is None else apart.p_value,
        bound=bound,
        method=None if apart is None else apart.method,
    )


def _plus_one(bounds: tuple[float, float]) -> tuple[float, float]:
    return 1 + bounds[0], 1 + bounds[1]
