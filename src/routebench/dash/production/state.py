"""Traces that are looked at: what is chosen of them, and how they stand by stretches of time; without a widget."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from routebench.dash.production.agreement import agreement
from routebench.dash.production.log import NONE, READ, Log
from routebench.dash.production.seen import Facet, Seen, words_of
from routebench.dash.production.sources import Source
from routebench.errors import InputError
from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.evaluate.intervals import Interval, mean_interval

FACETS: tuple[Facet, ...] = ("model", "rule", "client", "outcome", "policy")


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
        self._seen = self._looked(None)

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
        """Leaves only the latest traces; None leaves all.

        Raises:
            InputError: it is no length of time.
        """
        if last_s is not None and not 0 < last_s < math.inf:
            raise InputError(f"cannot look back {last_s!r} s; give a positive number of seconds, such as 3600")
        self.last_s = last_s
        self._changed()

    def cut(self, length_s: float | None) -> None:
        """Cuts time into stretches of another length; None takes one that gives about forty.

        Raises:
            InputError: these are no whole seconds.
        """
        if length_s is not None and not (length_s >= 1 and float(length_s).is_integer()):
            raise InputError(f"stretches cannot be {length_s!r} s long; give whole seconds, such as 300")
        self.asked_length_s = length_s
        self.selected = frozenset()
        self._seen = self._looked(length_s)

    def select(self, names: Collection[str]) -> None:
        """Selects stretches, by their names in `periods`; tables and sentences are of these from now on.

        They stay as long as they are while something is selected.

        Raises:
            InputError: there is no such stretch.
        """
        unknown = sorted(set(names) - set(self.periods["name"]))
        if unknown:
            raise InputError(f"there is no stretch {unknown[0]!r}; take names of `state.periods`")
        self.selected = frozenset(names)
        self._seen = self._seen.narrowed(self.selected)

    def options(self, facet: Facet) -> dict[str, int]:
        """The values of a facet in all traces with how often they occur, the commonest first."""
        words = words_of(self.log, facet)
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

    def _changed(self) -> None:
        self.version += 1
        before_s = self._seen.length_s if self.selected else self.asked_length_s
        self._seen = self._looked(before_s)
        if self.selected and self._seen.length_s != before_s:
            # Time has grown too long for stretches of that length: what was selected is none of the new ones.
            self.selected = frozenset()
            self._seen = self._looked(self.asked_length_s)

    def _looked(self, length_s: float | None) -> Seen:
        return Seen(self.log, self.chosen, self.last_s, length_s, self.selected)
