"""When requests come in, and which: drawn at a rate, or at times that were recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from routebench.errors import InputError, nearest
from routebench.evaluate import Cases
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.simulation.scenario import Burst

_COLUMNS = ("at", "at_s", "timestamp", "time", "started_at", "created_at")
_MOST = 2_000_000
"""Requests of one simulation: a day at 20 a second, and some minutes of work."""


@dataclass(frozen=True, eq=False)
class Arrivals:
    """n requests in the order in which they come.

    Attributes:
        at_s: when, in seconds from the start, shape (n,).
        case: which case each of them is, shape (n,).
        duration_s: how long requests come in.
    """

    at_s: FloatArray
    case: IntArray
    duration_s: float

    def __len__(self) -> int:
        return len(self.at_s)


@dataclass(frozen=True, eq=False)
class Times:
    """Recorded times of requests.

    Attributes:
        at_s: seconds from the first, growing, shape (n,).
        starts_at: the date and time of the first, None where the file holds bare seconds.
    """

    at_s: FloatArray
    starts_at: datetime | None


def draw_arrivals(
    rng: np.random.Generator, cases: Cases, *, requests_per_s: float, duration_s: float, bursts: Sequence[Burst] = ()
) -> Arrivals:
    """Draws a Poisson process whose cases come by their weight, and adds the further requests of bursts.

    Raises:
        InputError: these would be too many requests to go through, or none.
    """
    share = cases.weight / cases.weight.sum()
    parts = [_poisson(rng, requests_per_s, 0.0, duration_s, share)]
    for burst in bursts:
        of_category = np.where(cases.category == burst.category, share, 0.0)
        more_per_s = requests_per_s * of_category.sum() * (burst.factor - 1.0)
        parts.append(_poisson(rng, more_per_s, burst.from_s, min(burst.to_s, duration_s), of_category))
    at_s, case = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if not len(at_s):
        raise InputError(f"not one request came in {duration_s:g} s at {requests_per_s:g} a second; make it longer")
    order = np.argsort(at_s, kind="stable")
    return Arrivals(at_s[order], case[order], duration_s)


def recorded_arrivals(
    rng: np.random.Generator, cases: Cases, times: Times, *, duration_s: float | None = None
) -> Arrivals:
    """Takes recorded times, as far as `duration_s`; cases are drawn by their weight.

    Raises:
        InputError: these would be too many requests to go through.
    """
    length_s = float(times.at_s[-1]) if duration_s is None else duration_s
    at_s = times.at_s[times.at_s <= length_s]
    _check_count(len(at_s))
    case = rng.choice(len(cases), size=len(at_s), p=cases.weight / cases.weight.sum())
    return Arrivals(at_s, case, length_s)


def read_times(path: str | Path, column: str | None = None) -> Times:
    """Reads the times of requests from CSV, JSON Lines or Parquet: seconds, or dates with times in ISO 8601.

    Args:
        path: of the file.
        column: that holds them; the first of at, at_s, timestamp, time, started_at, created_at when left out.

    Raises:
        InputError: the file cannot be read, has no such column, or a value is no time.
    """
    import pandas as pd

    frame = _frame(Path(path))
    names = [str(name) for name in frame.columns]
    found = next((name for name in ((column,) if column else _COLUMNS) if name in names), None)
    if found is None:
        wanted = f"no column {column!r}{nearest(column, names)}" if column else f"none of {', '.join(_COLUMNS)}"
        raise InputError(f"{path}: {wanted} among its columns ({', '.join(names)}); name one with --column")
    if not len(frame):
        raise InputError(f"{path}: there is not one request in it")
    values = frame[found]
    seconds = pd.to_numeric(values, errors="coerce")
    if seconds.notna().any():
        _check_values(path, found, values, seconds.isna() | np.isinf(seconds))
        sorted_s = np.sort(seconds.to_numpy(dtype=float))
        return Times(sorted_s - sorted_s[0], None)
    dates = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601").sort_values()
    _check_values(path, found, values, dates.isna().reindex(values.index))
    at_s = (dates - dates.iloc[0]).dt.total_seconds().to_numpy()
    return Times(at_s, dates.iloc[0].to_pydatetime())


def _frame(path: Path) -> Any:
    import pandas as pd

    suffix = path.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            return pd.read_json(path, lines=True, dtype=False)
        return pd.read_csv(path, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table of requests ({error})") from None


def _check_values(path: str | Path, column: str, values: Any, wrong: Any) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        row = int(rows[0])
        raise InputError(
            f"{path}: row {row + 1}: {column} is {values.iloc[row]!r}; write seconds, or times such as "
            "2026-11-30T09:30:00Z, in every row"
        )


def _poisson(
    rng: np.random.Generator, requests_per_s: float, from_s: float, to_s: float, weight: FloatArray
) -> tuple[FloatArray, IntArray]:
    expected = requests_per_s * max(to_s - from_s, 0.0)
    _check_count(expected)
    n = int(rng.poisson(expected))
    if not n:
        return np.empty(0), np.empty(0, dtype=np.intp)
    return rng.uniform(from_s, to_s, n), rng.choice(len(weight), size=n, p=weight / weight.sum())


def _check_count(n: float) -> None:
    if n > _MOST:
        raise InputError(f"{n:,.0f} requests are too many for one simulation (at most {_MOST:,}); make it shorter")
