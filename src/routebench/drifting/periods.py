"""Traces by stretches of time: what was asked and answered, what it cost, how long it took, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from routebench.drifting.served import Served
from routebench.errors import InputError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.evaluate.estimates import ALPHA, MIN_FREEDOM

MOST_PERIODS = 5_000
"""More than so many stretches nobody can look at."""


def by_period(traces: pd.DataFrame | Served, *, every: str | timedelta) -> pd.DataFrame:
    """Counts traces by stretches of time and by the model that answered.

    Every stretch from the first trace to the last one has a row whose `model` is None, for all of its requests, also
    where there were none; and a row for each model that answered or was sent to first in any stretch. Intervals are
    95 % ones of each figure alone, robust to several turns of a conversation; NaN where too few conversations are
    there.

    Args:
        traces: what `read_traces` returns, or the same as `Served`.
        every: the length of a stretch, such as `1h`, `15min` or `1D`, which begin at whole multiples of it in UTC.

    Returns:
        A frame with the columns

        - `period`: when the stretch begins (UTC), `model`: None for all requests;
        - `n`: requests; of a model those that it answered, or that were sent to it first where none answered;
        - `share`, `share_low`, `share_high`: of the stretch's requests that were answered those that this model
          answered; NaN in rows of all requests;
        - `sent`: requests that were sent to this model first;
        - `cost_usd_per_1k`, `cost_low`, `cost_high`: of those with a known cost; `n_cost_unknown`: the others;
        - `latency_p50_s`, `latency_p95_s`, `ttft_p50_s`, `ttft_p95_s`: NaN while unknown;
        - `input_tokens`, `output_tokens`: means of what is known;
        - `failed`, `failed_share`, `failed_low`, `failed_high`: of requests for which a model was asked to the end;
        - `refused`, `cancelled`, `shifted`, `explored`, `cascaded`, `escalated`: counts;
        - `policies`: how many rule sets decided.

    Raises:
        InputError: the stretches are too short for so long a time, or `every` is no length of time.
    """
    served = Served.of(traces)
    length_s = _seconds(every)
    models = tuple(dict.fromkeys((*served.model.names, *served.first.names)))
    if not served.n:
        return _table(served, np.zeros(0, dtype=np.intp), models, np.zeros(0))
    number = np.floor_divide(served.at_s, length_s).astype(np.int64)
    first, last = int(number.min()), int(number.max())
    n_periods = last - first + 1
    if n_periods > MOST_PERIODS:
        raise InputError(f"every={every!r} cuts these traces into {n_periods:,} stretches; take a longer one")
    starts = (first + np.arange(n_periods, dtype=float)) * length_s
    return _table(served, (number - first).astype(np.intp), models, starts)


def _seconds(every: str | timedelta) -> float:
    try:
        length_s = pd.Timedelta(every).total_seconds()
    except ValueError:
        length_s = 0.0
    if not length_s > 0:
        raise InputError(f"every={every!r} is no length of time; write 15min, 1h, 1D or the like")
    return length_s


def _table(served: Served, period: IntArray, models: tuple[str, ...], starts: FloatArray) -> pd.DataFrame:
    width = len(models) + 1
    place = {name: number for number, name in enumerate(models, start=1)}

    def column(names: tuple[str, ...], by: IntArray) -> IntArray:
        """The place of each trace's model in the table, 0 where it has none."""
        found: IntArray = np.array([*(place[name] for name in names), 0], dtype=np.intp)[by]
        return found

    answered = column(served.model.names, served.model.by)
    sent = column(served.first.names, served.first.by)
    belongs = np.where(answered > 0, answered, sent)
    n_rows = len(starts) * width
    groups = _Groups(n_rows, period * width, period * width + belongs, belongs > 0, served.conversation)
    sent_to = np.bincount((period * width + sent)[sent > 0], minlength=n_rows)
    sent_to[::width] = np.bincount(period[sent > 0], minlength=len(starts))
    told = {**_told(served, groups), **_mix(groups, answered > 0, period, width), "sent": sent_to}
    table = pd.DataFrame({name: told[name] for name in _ORDER})
    table.insert(0, "model", pd.Series([None, *models] * len(starts), dtype=object))
    table.insert(0, "period", pd.to_datetime(np.repeat(starts, width), unit="s", utc=True))
    return table


_ORDER = (
    *("n", "share", "share_low", "share_high", "sent"),
    *("cost_usd_per_1k", "cost_low", "cost_high", "n_cost_unknown"),
    *("latency_p50_s", "latency_p95_s", "ttft_p50_s", "ttft_p95_s", "input_tokens", "output_tokens"),
    *("failed", "failed_share", "failed_low", "failed_high"),
    *("refused", "cancelled", "shifted", "explored", "cascaded", "escalated", "policies"),
)


class _Groups:
    """Rows of the table that each trace counts in: that of its period, and that of its model in it.

    Args:
        n: rows of the table.
        whole: the row of each trace's period, shape (t,).
        own: the row of its model in it, shape (t,).
        has: whether it has a model, shape (t,).
        conversation: its number, shape (t,).

    Attributes:
        by: the row of every (trace, row) pair: all traces first, then those with a model; shape (g,).
        turn: the number of its (row, conversation) pair, shape (g,).
        home: the row of each of those pairs.
    """

    def __init__(self, n: int, whole: IntArray, own: IntArray, has: BoolArray, conversation: IntArray) -> None:
        self.n = n
        self.at = np.flatnonzero(has)
        self.by: IntArray = np.concatenate([whole, own[self.at]])
        clusters = int(conversation.max(initial=0)) + 1
        # By hashing: sorting is what panels would wait for.
        self.turn, pairs = pd.factorize(self.by.astype(np.int64) * clusters + self.spread(conversation))
        self.home: IntArray = (np.asarray(pairs) // clusters).astype(np.intp)

    def spread(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values of traces, as often as they count."""
        return np.concatenate([values, values[self.at]])

    def count(self, which: BoolArray) -> IntArray:
        """How many traces of every row are such."""
        found: IntArray = np.bincount(self.by[self.spread(which)], minlength=self.n)
        return found

    def by_turn(self, weights: FloatArray) -> FloatArray:
        """Sums over every (row, conversation) pair."""
        return np.bincount(self.turn, weights=weights, minlength=len(self.home)).astype(float, copy=False)

    def by_row(self, turns: FloatArray) -> FloatArray:
        """Sums over the pairs of every row."""
        return np.bincount(self.home, weights=turns, minlength=self.n).astype(float, copy=False)


def _told(served: Served, groups: _Groups) -> dict[str, npt.NDArray[Any]]:
    asked, failed = served.asked, served.failed
    # What was refused before a call has no cost that is the policy's.
    priced = ~served.outcome.are("refused")
    mean, low, high = _means(groups, np.where(priced, 1000 * served.cost_usd, np.nan))
    share, share_low, share_high = _shares(groups, np.where(asked, failed, np.nan))
    return {
        "n": np.bincount(groups.by, minlength=groups.n),
        "cost_usd_per_1k": mean,
        # Nothing costs less than nothing.
        "cost_low": np.maximum(low, 0.0),
        "cost_high": high,
        "n_cost_unknown": groups.count(priced & np.isnan(served.cost_usd)),
        **_quantiles(groups, served.latency_s, "latency"),
        **_quantiles(groups, served.ttft_s, "ttft"),
        "input_tokens": _plain_means(groups, served.input_tokens),
        "output_tokens": _plain_means(groups, served.output_tokens),
        "failed": groups.count(failed),
        "failed_share": share,
        "failed_low": share_low,
        "failed_high": share_high,
        "refused": groups.count(served.outcome.are("refused")),
        "cancelled": groups.count(served.outcome.are("cancelled")),
        "shifted": groups.count(served.shifted),
        "explored": groups.count(served.explored),
        "cascaded": groups.count(~np.isnan(served.escalated)),
        "escalated": groups.count(served.escalated == 1),
        "policies": _distinct(groups, served.policy.by),
    }


def _distinct(groups: _Groups, by: IntArray) -> IntArray:
    spread = groups.spread(by)
    known = spread >= 0
    n_names = int(by.max(initial=0)) + 1
    pairs = pd.unique(groups.by[known] * n_names + spread[known])
    return np.bincount(pairs // n_names, minlength=groups.n)


def _quantiles(groups: _Groups, values: FloatArray, name: str) -> dict[str, FloatArray]:
    by_value = np.argsort(values)
    by_value = by_value[: len(values) - int(np.isnan(values).sum())]
    # Every trace counts twice, in its period and in its model's row of it: one sorting by value serves both.
    place = np.full(len(values), -1)
    place[groups.at] = np.arange(len(values), len(groups.by))
    twice = np.stack([by_value, place[by_value]], axis=1).reshape(-1)
    rows = groups.by[twice := twice[twice >= 0]]
    # Short numbers are sorted in linear time.
    short = rows.astype(np.uint16 if groups.n <= np.iinfo(np.uint16).max else np.int64)
    ordered = groups.spread(values)[twice[np.argsort(short, kind="stable")]]
    counts = np.bincount(rows, minlength=groups.n)
    begins, some = np.cumsum(counts) - counts, counts > 0
    found = {}
    for percent in (50, 95):
        # As `weighted_quantile`: the smallest value that the share does not exceed.
        at = begins + np.maximum(np.ceil(counts * percent / 100 - 1e-9).astype(np.intp) - 1, 0)
        quantile = np.full(groups.n, np.nan)
        quantile[some] = ordered[at[some]]
        found[f"{name}_p{percent}_s"] = quantile
    return found


def _plain_means(groups: _Groups, values: FloatArray) -> FloatArray:
    spread = groups.spread(values)
    known = ~np.isnan(spread)
    counts = np.bincount(groups.by[known], minlength=groups.n)
    sums = np.bincount(groups.by[known], weights=spread[known], minlength=groups.n)
    means: FloatArray = np.divide(sums, counts, out=np.full(groups.n, np.nan), where=counts > 0)
    return means


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """Means of every row, robust to conversations (CR1)."""

    n: IntArray
    mean: FloatArray
    error: FloatArray
    freedom: FloatArray


def _clustered(groups: _Groups, values: FloatArray) -> _Means:
    spread = groups.spread(values)
    known = ~np.isnan(spread)
    spread = np.where(known, spread, 0.0)
    counts = np.bincount(groups.by[known], minlength=groups.n)
    sums = np.bincount(groups.by, weights=spread, minlength=groups.n)
    mean = np.divide(sums, counts, out=np.full(groups.n, np.nan), where=counts > 0)
    sizes = groups.by_turn(known.astype(float))
    influence = groups.by_turn(spread) - sizes * np.nan_to_num(mean)[groups.home]
    n_clusters = groups.by_row((sizes > 0).astype(float))
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = counts**2 / groups.by_row(sizes**2) - 1
        error = np.sqrt(groups.by_row(influence**2) * n_clusters / (n_clusters - 1)) / counts
    return _Means(counts, mean, error, freedom)


def _means(groups: _Groups, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    told = _clustered(groups, values)
    enough = told.freedom >= MIN_FREEDOM
    reach = np.full(groups.n, np.nan)
    reach[enough] = special.stdtrit(told.freedom[enough], 1 - ALPHA / 2) * told.error[enough]
    return told.mean, told.mean - reach, told.mean + reach


def _shares(groups: _Groups, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    told = _clustered(groups, values)
    return (told.mean, *_wilson(told))


def _wilson(told: _Means) -> tuple[FloatArray, FloatArray]:
    """Wilson's interval as if so many independent requests had been seen as the errors are worth."""
    mean = told.mean
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = mean * (1 - mean)
        # Where all are alike there are as many as there are effective conversations.
        size = np.where(spread > 0, np.minimum(spread / told.error**2, told.n), told.freedom + 1)
        z = float(special.ndtri(1 - ALPHA / 2))
        centre = (mean + z**2 / (2 * size)) / (1 + z**2 / size)
        reach = z / (1 + z**2 / size) * np.sqrt(spread / size + z**2 / (4 * size**2))
    enough = (told.freedom >= MIN_FREEDOM) & ~np.isnan(mean)
    low, high = np.maximum(0.0, centre - reach), np.minimum(1.0, centre + reach)
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _mix(groups: _Groups, answered: BoolArray, period: IntArray, width: int) -> dict[str, FloatArray]:
    """Which share of a period's answered requests each model answered."""
    told = groups.spread(answered).astype(float)
    counts = np.bincount(groups.by, weights=told, minlength=groups.n)
    totals = np.repeat(counts[::width], width)
    own = groups.by_turn(told)
    # Of every (model, conversation) pair, how many answers the conversation has in the same period.
    whole = np.zeros(len(own))
    n = len(period)
    whole[groups.turn[n:]] = own[groups.turn[:n][groups.at]]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counts / totals
        square = np.repeat(groups.by_row(own**2)[::width], width)
        n_clusters = np.repeat(groups.by_row((own > 0).astype(float))[::width], width)
        # (own - share * whole) squared and summed, written out: most conversations have no request of a model.
        squares = groups.by_row(own**2) - 2 * share * groups.by_row(own * whole) + share**2 * square
        error = np.sqrt(np.maximum(squares, 0.0) * n_clusters / (n_clusters - 1)) / totals
        freedom = totals**2 / square - 1
    low, high = _wilson(_Means(totals.astype(np.intp), share, error, freedom))
    made = {"share": share, "share_low": low, "share_high": high}
    for values in made.values():
        values[::width] = np.nan
    return made
