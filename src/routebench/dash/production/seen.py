"""What choices leave of traces, and how that stands by stretches of time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.dash.production.incidents import incidents_of
from routebench.dash.production.log import NONE, Log
from routebench.drifting import by_period
from routebench.drifting.served import Words
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray

Facet = Literal["model", "rule", "client", "outcome", "policy"]
"""What traces are chosen by, besides their time."""
LENGTHS_S = (1, 2, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800)
"""Lengths of stretches that people can read off an axis."""
_MOST_PERIODS = 48
"""Stretches that are drawn where nobody asks for a length of them."""
_FINEST = 400
"""Stretches that are drawn at the most."""
_EVER = "36500D"
"""So long that all traces are in one stretch."""


class Seen:
    """What choices leave of a log; each part is worked out when it is first asked for.

    Args:
        log: all traces.
        chosen: facet -> the value that traces must have.
        last_s: how long back from the latest trace; None for everything.
        asked_length_s: of the stretches; None for one that gives about forty.
        selected: names of stretches.
    """

    def __init__(
        self,
        log: Log,
        chosen: Mapping[Facet, str],
        last_s: float | None,
        asked_length_s: float | None,
        selected: frozenset[str],
    ) -> None:
        self._log, self._chosen, self._last_s = log, chosen, last_s
        self._asked_length_s, self._selected = asked_length_s, selected

    def narrowed(self, selected: frozenset[str]) -> Seen:
        """The same where other stretches are selected."""
        made = Seen(self._log, self._chosen, self._last_s, self._asked_length_s, selected)
        for name in ("shown", "length_s", "periods", "totals", "incidents"):
            if name in vars(self):
                vars(made)[name] = vars(self)[name]
        return made

    @cached_property
    def shown(self) -> Log:
        """The traces that choices leave."""
        served = self._log.served
        kept: BoolArray = np.ones(self._log.n, dtype=bool)
        if self._last_s is not None and self._log.n:
            kept &= served.at_s > served.at_s[-1] - self._last_s
        for facet, value in self._chosen.items():
            words = words_of(self._log, facet)
            kept &= ~words.known if value == NONE else words.are(value)
        return self._log.take(kept)

    @cached_property
    def picked(self) -> Log:
        """Those of them in the selected stretches; all of them where none is selected."""
        if not self._selected:
            return self.shown
        starts = np.array([float(name) for name in self._selected])
        return self.shown.take(np.isin(self._number, np.floor_divide(starts, self.length_s)))

    @cached_property
    def length_s(self) -> float:
        """How long a stretch is, in seconds."""
        at = self.shown.served.at_s
        span_s = float(at[-1] - at[0]) if len(at) else 0.0
        asked = self._asked_length_s
        most = _MOST_PERIODS if asked is None else _FINEST
        least = span_s / most
        if asked is not None and asked >= least:
            return float(asked)
        return float(next((one for one in LENGTHS_S if one >= least), LENGTHS_S[-1] * math.ceil(least / LENGTHS_S[-1])))

    @cached_property
    def periods(self) -> pd.DataFrame:
        """`by_period` of the traces that are shown; with each stretch's `name`, `start_ms`, `end_ms` and `when`."""
        made = by_period(self.shown.served, every=pd.Timedelta(seconds=self.length_s).to_pytimedelta())
        # Every stretch has as many rows, one after the other.
        width = int(made["model"].notna().sum() // max(1, made["model"].isna().sum())) + 1
        start_s = made["period"].to_numpy(dtype="datetime64[s]").astype(np.int64)[::width]
        own = {
            "name": start_s.astype(str).astype(object),
            "start_ms": 1000.0 * start_s,
            "end_ms": 1000.0 * (start_s + self.length_s),
            "when": np.array(_when(start_s, start_s + int(self.length_s)), dtype=object),
        }
        return made.assign(**{name: np.repeat(values, width) for name, values in own.items()})

    @cached_property
    def totals(self) -> pd.DataFrame:
        """The rows of `periods` for all models together."""
        return self.periods[self.periods["model"].isna()]

    @cached_property
    def incidents(self) -> pd.DataFrame:
        """What went another way, by stretches, as `incidents_of` tells it."""
        return incidents_of(self.shown, self.totals, self._place)

    @cached_property
    def by_model(self) -> pd.DataFrame:
        """A row a model of the picked traces, as `by_period` tells them, by name."""
        return _whole(by_period(self.picked.served, every=_EVER))

    @cached_property
    def by_rule(self) -> pd.DataFrame:
        """Likewise a row a rule."""
        served = self.picked.served
        # A rule stands where a model does: what is told of both is the same.
        answered = replace(served.rule, by=np.where(served.model.known, served.rule.by, -1))
        return _whole(by_period(replace(served, model=answered, first=served.rule), every=_EVER))

    @cached_property
    def _number(self) -> FloatArray:
        return np.floor_divide(self.shown.served.at_s, self.length_s)

    @property
    def _place(self) -> IntArray:
        """The place of each trace's stretch."""
        return (self._number - self._number[0]).astype(np.intp) if self.shown.n else np.zeros(0, dtype=np.intp)


def words_of(log: Log, facet: Facet) -> Words:
    """Returns the value of a facet of every trace."""
    return log.client if facet == "client" else cast("Words", getattr(log.served, facet))


def _whole(made: pd.DataFrame) -> pd.DataFrame:
    named = made[made["model"].notna() & (made["n"] + made["sent"] > 0)]
    return named.sort_values("n", ascending=False, kind="stable").set_index("model", drop=False)


def _when(start_s: npt.NDArray[np.int64], end_s: npt.NDArray[np.int64]) -> list[str]:
    """When stretches begin and end, in words."""
    starts, ends = (np.datetime_as_string(one.astype("datetime64[s]")) for one in (start_s, end_s))
    return [
        f"{start[:10]} {start[11:]} to {end[11:] if start[:10] == end[:10] else f'{end[:10]} {end[11:]}'} UTC"
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
