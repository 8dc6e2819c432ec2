"""What is asked in production beside what the suite's cases ask: which features of requests moved, and how far."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from routebench.drifting.distances import largest_distance
from routebench.drifting.expected import Expected
from routebench.drifting.figures import mix_rows, share_row
from routebench.drifting.gaps import quantile_ratio
from routebench.drifting.row import Row
from routebench.drifting.served import Served, Words
from routebench.drifting.side import Side
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.traces import features_of

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
LANGUAGE = "language"
UNTOLD = "no language told"


def input_rows(served: Served, expected: Expected, bound: float, *, seed: int = 0) -> Iterator[Row]:
    """Yields a row a feature, and the share of every language; nothing where the traces hold no features.

    Args:
        served: requests that one policy decided.
        expected: the cases.
        bound: the distance of distributions, or the difference of shares, that does not matter.
        seed: of the draw of conversations that are looked at.
    """
    drawn = looked_at(served, seed)
    if not drawn.n:
        return
    ours, theirs = features_of(drawn.frame), pd.DataFrame(expected.features)
    for name, title in NUMBERS.items():
        if name in ours:
            own, beside = _side(ours[name], drawn), _case_side(theirs[name], expected)
            if len(np.unique(np.concatenate([own.amounts, beside.amounts]))) > 1:
                yield _number(title, own, beside, bound)
    for name, title in FLAGS.items():
        if name in ours:
            own, beside = _side(ours[name], drawn), _case_side(theirs[name], expected)
            # What neither side has is no feature of either.
            if own.amounts.any() or beside.amounts.any():
                yield share_row("inputs", title, own, beside, bound)
    if LANGUAGE in ours:
        told = Words.of(ours[LANGUAGE].where(ours[LANGUAGE].notna(), UNTOLD))
        cases = Words.of(theirs[LANGUAGE].where(theirs[LANGUAGE].notna(), UNTOLD))
        whole = Side.of(np.zeros(expected.n), expected.groups, expected.weight)
        yield from mix_rows("inputs", LANGUAGE, drawn, told, (cases.names, cases.chances(cases.names), whole), bound)


def looked_at(served: Served, seed: int = 0) -> Served:
    """Returns the requests whose features are read."""
    if "features" not in served.frame:
        return served.take(np.zeros(0, dtype=np.intp))
    told = served.take(np.flatnonzero(served.frame["features"].notna().to_numpy()))
    return told.take(_conversations(told.conversation, seed))


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


def _side(values: pd.Series, served: Served) -> Side:
    return Side.of(_floats(values), served.conversation)


def _case_side(values: pd.Series, expected: Expected) -> Side:
    return Side.of(_floats(values), expected.groups, expected.weight)


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
