"""Traces that are looked at: what is chosen of them, and how they stand by stretches of time; without a widget."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.dash.production.agreement import agreement
from routebench.dash.production.incidents import incidents_of
from routebench.dash.production.log import NONE, READ, Log
from routebench.dash.production.sources import Source
from routebench.drifting import by_period
from routebench.drifting.served import Words
from routebench.errors import InputError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.evaluate.intervals import Interval, mean_interval

Facet = Literal["model", "rule", "client", "outcome", "policy"]
"""What traces are chosen by, besides their time."""
FACETS: tuple[Facet, ...] = ("model", "rule", "client", "outcome", "policy")
LENGTHS_S = (1, 2, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800)
"""Lengths of stretches that people can read off an axis."""
MOST_PERIODS = 48
"""Stretches that are drawn where nobody asks for a length of them."""
_FINEST = 400
"""Stretches that are drawn at the most."""
_EVER = "36500D"
"""So long that all traces are in one stretch."""


class Production:
    """What a gateway did, as far as it is looked at.

    Args:
        source: where traces come from.

    Attributes:
        source: as given.
        log: all traces that were read so far.
        chosen: facet -> the value that traces must have.
        last_s: how long back from the latest trace; None for everything.
        asked_length_s: of the stretches; None for one that gives about forty.
        selected: names of stretches; tables and sentences are of these, of all where there are none.
        version: another number for other traces that are shown.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._frame = pd.DataFrame({name: [] for name in READ})
        self.log = Log.of(self._frame)
        self.chosen: dict[Facet, str] = {}
        self.last_s: float | None = None
        self.asked_length_s: float | None = None
        self.selected: frozenset[str] = frozenset()
        self.version = 0
        self._seen = _Seen(self)

    def look(self) -> int:
        """Reads what has come since, and returns how many traces that are.

        Raises:
            RoutebenchError: the traces cannot be read.
        """
        fresh = self.source.fresh()
        if fresh.empty:
            return 0
        frame = pd.concat([self._frame, fresh], ignore_index=True) if len(self._frame) else fresh
        frame = frame.drop_duplicates("trace_id", ignore_index=True)
        n = len(frame) - len(self._frame)
        if n:
            self._frame = frame.sort_values("at", kind="stable", ignore_index=True)
            self.log = Log.of(self._frame)
            self._changed()
        return n

    def choose(self, facet: Facet, value: str | None) -> None:
        """Leaves only traces with a value; None lifts the choice.

        Raises:
            InputError: there is no such facet.
        """
        if facet not in FACETS:
            raise InputError(f"traces are not chosen by {facet!r}; there are {', '.join(FACETS)}")
        self.chosen = {name: one for name, one in self.chosen.items() if name != facet}
        if value is not None:
            self.chosen[facet] = value
        self._changed()

    def look_back(self, last_s: float | None) -> None:
        """Leaves only the latest traces; None leaves all."""
        self.last_s = last_s
        self._changed()

    def cut(self, length_s: float | None) -> None:
        """Cuts time into stretches of another length; None takes one that gives about forty."""
        self.asked_length_s = length_s
        self.selected = frozenset()
        self._changed()

    def select(self, names: Collection[str]) -> None:
        """Selects stretches, by their names in `periods`; tables and sentences are of these from now on."""
        self.selected = frozenset(names) & set(self.periods["name"])
        self._seen = self._seen.narrowed()

    def options(self, facet: Facet) -> dict[str, int]:
        """The values of a facet in all traces with how often they occur, the commonest first."""
        words = self._words(self.log, facet)
        missing = int((~words.known).sum())
        return {**words.counts(), **({NONE: missing} if missing else {})}

    @property
    def shown(self) -> Log:
        """The traces that choices leave."""
        return self._seen.shown

    @property
    def picked(self) -> Log:
        """Those of them in the selected stretches; all of them where none is selected."""
        return self._seen.picked

    @property
    def length_s(self) -> float:
        """How long a stretch is, in seconds."""
        return self._seen.length_s

    @property
    def periods(self) -> pd.DataFrame:
        """`by_period` of the traces that choices leave; with each stretch's `name`, `start_ms`, `end_ms` and `when`."""
        return self._seen.periods

    @property
    def totals(self) -> pd.DataFrame:
        """The rows of `periods` for all models together."""
        return self._seen.totals

    @property
    def models(self) -> tuple[str, ...]:
        """All models that were asked first or answered, in the order in which they came first."""
        served = self.log.served
        return tuple(dict.fromkeys((*served.model.names, *served.first.names)))

    @property
    def incidents(self) -> pd.DataFrame:
        """What went another way: name, start_ms, end_ms and when of a stretch, what, n, share; the commonest first."""
        return self._seen.incidents

    def frame(self) -> pd.DataFrame:
        """The picked traces, a row a trace in the order of their time."""
        return self._rows(self.picked)

    def shown_frame(self) -> pd.DataFrame:
        """The traces that choices leave, of all stretches."""
        return self._rows(self.shown)

    def _rows(self, log: Log) -> pd.DataFrame:
        if log.n == self.log.n:
            return self._frame
        place = pd.Index(self._frame["trace_id"]).get_indexer(pd.Index(log.ids))
        found: pd.DataFrame = self._frame.iloc[place]
        return found.reset_index(drop=True)

    def open(self, trace_id: str) -> Mapping[str, Any]:
        """Returns one trace with all that is kept of it.

        Raises:
            InputError: it is not there, or no longer.
        """
        found = np.flatnonzero(self.log.ids == trace_id)
        if not len(found):
            raise InputError(f"trace {trace_id}: there is none of that name; open one of those in the table")
        return self.source.whole(trace_id, float(self.log.served.at_s[found[0]]))

    def by_model(self) -> pd.DataFrame:
        """A row a model of the picked traces, as `by_period` tells them, by name."""
        return self._seen.by_model

    def by_rule(self) -> pd.DataFrame:
        """Likewise a row a rule; its `share` is of the requests that were answered."""
        return self._seen.by_rule

    def shadow(self) -> pd.DataFrame:
        """Where a shadow decided beside: rule, n, agree and its interval, and the pair of models it differs in most."""
        return agreement(self.picked)

    def policies(self) -> pd.DataFrame:
        """The rule sets that decided, in the order in which they came first: policy, rules, n, from_ms, to_ms."""
        served = self.shown.served
        rows = []
        for code, name in enumerate(served.policy.names):
            at = np.flatnonzero(served.policy.by == code)
            if len(at):
                rules = self.shown.rules
                rows.append((name, rules.names[rules.by[at[0]]], len(at), *(1000 * served.at_s[at[[0, -1]]])))
        made = pd.DataFrame(rows, columns=["policy", "rules", "n", "from_ms", "to_ms"])
        return made.sort_values("from_ms", kind="stable", ignore_index=True)

    def share(self, values: BoolArray | FloatArray, of: BoolArray | None = None) -> Interval | None:
        """The share of the picked traces, NaN left out, with an interval that is robust to conversations."""
        served = self.picked.served
        known = np.ones(served.n, dtype=bool) if of is None else of
        return mean_interval(
            values[known].astype(float), served.conversation[known], np.ones(int(known.sum())), share=True
        )

    def _words(self, log: Log, facet: Facet) -> Words:
        return log.client if facet == "client" else cast("Words", getattr(log.served, facet))

    def _kept(self) -> BoolArray:
        served = self.log.served
        kept = np.ones(self.log.n, dtype=bool)
        if self.last_s is not None and self.log.n:
            kept &= served.at_s > served.at_s[-1] - self.last_s
        for facet, value in self.chosen.items():
            words = self._words(self.log, facet)
            kept &= ~words.known if value == NONE else words.are(value)
        return kept

    def _changed(self) -> None:
        self.version += 1
        self._seen = _Seen(self)


class _Seen:
    """What follows from the choices; each part is worked out when it is first asked for."""

    def __init__(self, of: Production) -> None:
        self._of = of

    def narrowed(self) -> _Seen:
        """The same where only other stretches are selected."""
        made = _Seen(self._of)
        for name in ("shown", "length_s", "periods", "totals", "incidents"):
            if name in vars(self):
                vars(made)[name] = vars(self)[name]
        return made

    @cached_property
    def shown(self) -> Log:
        return self._of.log.take(self._of._kept())  # noqa: SLF001 - it is a part of it

    @cached_property
    def picked(self) -> Log:
        if not self._of.selected:
            return self.shown
        starts = np.array([float(name) for name in self._of.selected])
        return self.shown.take(np.isin(self._number, np.floor_divide(starts, self.length_s)))

    @cached_property
    def length_s(self) -> float:
        at = self.shown.served.at_s
        span_s = float(at[-1] - at[0]) if len(at) else 0.0
        asked = self._of.asked_length_s
        most = MOST_PERIODS if asked is None else _FINEST
        least = span_s / most
        if asked is not None and asked >= least:
            return float(asked)
        return float(next((one for one in LENGTHS_S if one >= least), LENGTHS_S[-1] * math.ceil(least / LENGTHS_S[-1])))

    @cached_property
    def periods(self) -> pd.DataFrame:
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
        return self.periods[self.periods["model"].isna()]

    @cached_property
    def incidents(self) -> pd.DataFrame:
        return incidents_of(self.shown, self.totals, self._place)

    @cached_property
    def by_model(self) -> pd.DataFrame:
        return _whole(by_period(self.picked.served, every=_EVER))

    @cached_property
    def by_rule(self) -> pd.DataFrame:
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
