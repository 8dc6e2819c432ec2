"""A suite to look through: its cases as columns, the facets that they are counted by, and what is chosen of them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.dash.browsing.cells import NO_CATEGORY, Cells, gap_name
from routebench.dash.browsing.coverage import Coverage
from routebench.messages import estimate_input_tokens, text_of
from routebench.suites import Suite
from routebench.suites.duplicates import Duplicates
from routebench.types import Case

Facet = Literal["category", "tag", "length", "grader", "split", "duplicates", "rule", "answers", "gap"]
"""What cases are counted and chosen by; a gap is a model's answers missing in a category."""
FACETS: tuple[Facet, ...] = ("category", "tag", "length", "grader", "split", "duplicates", "rule", "answers")

_EDGES = (0, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
LENGTHS = (
    *(f"{low:,}–{high - 1:,}" for low, high in pairwise(_EDGES)),
    f"{_EDGES[-1]:,} and more",
)
"""Bins of prompt lengths in characters, whole conversations."""
NO_TEXT = "text not kept"
NO_TAG = "none"


@dataclass(frozen=True, slots=True)
class Count:
    """How often a value of a facet occurs.

    Attributes:
        n: cases.
        weight: share of the requests that the suite stands for.
        shown: cases of them that the choices of other facets leave.
        shown_weight: the same as a share of all requests.
    """

    value: str
    n: int
    weight: float
    shown: int
    shown_weight: float


class Browse:
    """A suite, and what is chosen of it.

    Args:
        suite: the suite.
        cells: which answers are there, None where nobody knows.

    Attributes:
        frame: a row a case, by id: category, tags, prompt, characters, tokens, turns, grader, split, weight, group,
            stakes_usd, and where they are known duplicates (number of its group, 0 for none), rule, model, answered,
            score.
        duplicates: groups of cases that ask nearly the same; None before somebody has looked.
        coverage: which rules take which cases; None without a rule set.
        chosen: facet -> the values that are chosen of it; what is not in it is not restricted.
        only: ids of the cases that are chosen one by one, such as a group of near-duplicates; None for no such choice.
    """

    def __init__(self, suite: Suite, cells: Cells | None = None) -> None:
        self.suite = suite
        self.cells = cells
        self.duplicates: tuple[Duplicates, ...] | None = None
        self.coverage: Coverage | None = None
        self.chosen: dict[Facet, frozenset[str]] = {}
        self.only: frozenset[str] | None = None
        self._weight = np.array([case.weight for case in suite], dtype=float)
        self.frame = _frame(suite)
        self._codes: dict[Facet, tuple[tuple[str, ...], npt.NDArray[np.bool_]]] = {}
        self._set("category", [case.category or NO_CATEGORY for case in suite])
        self._set_many("tag", [case.tags or (NO_TAG,) for case in suite])
        self._set("length", [_bin(length) for length in self.frame["characters"]], self._bins())
        self._set("grader", [case.grader.name for case in suite])
        self._set("split", [case.split or "not fixed" for case in suite])
        if cells is not None:
            self._note_cells(cells)

    @property
    def facets(self) -> tuple[Facet, ...]:
        """Those that say anything of this suite."""
        return tuple(name for name in FACETS if name in self._codes)

    def note_duplicates(self, found: Sequence[Duplicates]) -> None:
        """Takes the groups of cases that ask nearly the same."""
        self.duplicates = tuple(found)
        group = {case_id: number for number, one in enumerate(found, start=1) for case_id in one.case_ids}
        danger = {case_id: one.danger for one in found for case_id in one.case_ids}
        numbers = [group.get(case.id, 0) for case in self.suite]
        self.frame["duplicates"] = pd.array(numbers, dtype="Int64")
        told = {"leak": "on both sides of the split", "torn": "in no common group", "none": "near-duplicates"}
        order = (*told.values(), "no near-duplicate")
        values = [told[danger[case.id]] if case.id in danger else order[-1] for case in self.suite]
        self._set("duplicates", values, order)

    def note_coverage(self, coverage: Coverage) -> None:
        """Takes what rules decide."""
        self.coverage = coverage
        self.frame["rule"], self.frame["model"] = list(coverage.rules), list(coverage.models)
        self._set("rule", coverage.rules, tuple(row.rule for row in coverage.rows))

    def choose(self, facet: Facet, values: Sequence[str]) -> None:
        """Restricts what is shown to some values of a facet; to none of them lifts the restriction."""
        known = set(self._codes[facet][0])
        kept = frozenset(value for value in values if value in known)
        if kept:
            self.chosen[facet] = kept
        else:
            self.chosen.pop(facet, None)

    def clear(self) -> None:
        """Lifts every restriction."""
        self.chosen.clear()
        self.only = None

    @property
    def choices(self) -> str:
        """What is chosen, in words; empty where all cases are shown."""
        told = [f"{facet}: {' or '.join(sorted(values))}" for facet, values in self.chosen.items()]
        if self.only is not None:
            told.append(f"{len(self.only)} cases picked one by one")
        return "; ".join(told)

    @property
    def is_weighted(self) -> bool:
        """Whether cases stand for different numbers of requests."""
        return not bool(np.isclose(self._weight, self._weight[0]).all())

    @property
    def shown(self) -> pd.DataFrame:
        """The rows of `frame` that the choices leave, in the order of the suite."""
        mask = self._mask()
        return self.frame if mask.all() else self.frame[mask]

    def counts(self, facet: Facet) -> list[Count]:
        """How often the values of a facet occur: by their own order where they have one, else the most frequent first.

        Values that no case has are there too where they mean something: a rule that takes nothing, an empty bin.
        """
        values, codes = self._codes[facet]
        mask = self._mask(but=facet)
        total = self._weight.sum()
        n = codes.sum(axis=0)
        weight = (self._weight @ codes) / total if total else np.zeros(len(values))
        shown = codes[mask].sum(axis=0)
        shown_weight = (self._weight[mask] @ codes[mask]) / total if total else np.zeros(len(values))
        rows = zip(values, n.tolist(), weight.tolist(), shown.tolist(), shown_weight.tolist(), strict=True)
        return [Count(*row) for row in rows]

    def of_duplicates(self, case_id: str) -> Duplicates | None:
        """The group of near-duplicates that a case is in."""
        return next((one for one in self.duplicates or () if case_id in one.case_ids), None)

    def decided(self, case_id: str) -> tuple[str, str] | None:
        """The rule that takes a case and the model that is asked first; None without a rule set."""
        if self.coverage is None:
            return None
        place = int(self.frame.index.get_loc(case_id))  # type: ignore[arg-type]
        return self.coverage.rules[place], self.coverage.models[place]

    @property
    def reading(self) -> str:
        """The suite in a sentence."""
        frame, n = self.frame, len(self.suite)
        middle = frame["characters"].median()
        n_categories = frame["category"].nunique(dropna=True)
        parts = [
            f"{self.suite.name}: {n:,} case{'' if n == 1 else 's'}",
            f"{n_categories or 'no'} {'category' if n_categories == 1 else 'categories'}",
            "no text is kept" if np.isnan(middle) else f"middle length {middle:,.0f} characters",
        ]
        if self.is_weighted:
            parts.insert(1, f"standing for {self._weight.sum():,.0f} requests")
        shown = int(self._mask().sum())
        chosen = "" if shown == n else f" {shown:,} are shown."
        return f"{', '.join(parts)}.{chosen}"

    def _mask(self, but: Facet | None = None) -> npt.NDArray[np.bool_]:
        mask = np.ones(len(self.suite), dtype=bool)
        if self.only is not None:
            mask &= self.frame.index.isin(list(self.only))
        for facet, chosen in self.chosen.items():
            if facet != but:
                values, codes = self._codes[facet]
                mask &= codes[:, [value in chosen for value in values]].any(axis=1)
        return mask

    def _bins(self) -> tuple[str, ...]:
        return (*LENGTHS, NO_TEXT) if self.frame["characters"].isna().any() else LENGTHS

    def _note_cells(self, cells: Cells) -> None:
        has = (cells.answered > 0).sum(axis=1)
        self.frame["answered"] = has
        known = ~np.isnan(cells.score)
        sums, n = np.where(known, cells.score, 0.0).sum(axis=1), known.sum(axis=1)
        self.frame["score"] = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
        order = ("of every model", "of some models", "of no model")
        complete = np.where(has == len(cells.models), order[0], np.where(has > 0, order[1], order[2]))
        self._set("answers", complete.tolist(), order)
        category = np.array([case.category or NO_CATEGORY for case in self.suite])
        pairs = [(model, name) for name in dict.fromkeys(category.tolist()) for model in range(len(cells.models))]
        open_cells = cells.missing > 0
        gaps = [(category == name) & open_cells[:, model] for model, name in pairs]
        names = tuple(gap_name(cells.models[model], name) for model, name in pairs)
        self._codes["gap"] = (names, np.array(gaps, dtype=bool).reshape(len(names), len(category)).T)

    def _set(self, facet: Facet, values: Sequence[str], order: Sequence[str] | None = None) -> None:
        names = tuple(order) if order is not None else tuple(name for name, _ in Counter(values).most_common())
        place = {name: column for column, name in enumerate(names)}
        codes = np.zeros((len(values), len(names)), dtype=bool)
        codes[np.arange(len(values)), [place[value] for value in values]] = True
        self._codes[facet] = (names, codes)
        if facet in self.chosen:
            self.choose(facet, tuple(self.chosen[facet]))

    def _set_many(self, facet: Facet, values: Sequence[Sequence[str]]) -> None:
        counts = Counter(value for some in values for value in set(some))
        names = tuple(name for name, _ in counts.most_common())
        if names == (NO_TAG,):
            return
        place = {name: column for column, name in enumerate(names)}
        codes = np.zeros((len(values), len(names)), dtype=bool)
        for row, some in enumerate(values):
            codes[row, [place[value] for value in some]] = True
        self._codes[facet] = (names, codes)


def _frame(suite: Suite) -> pd.DataFrame:
    texts = [prompt_text(case) for case in suite]
    columns: Mapping[str, object] = {
        "category": [case.category for case in suite],
        "tags": [", ".join(case.tags) or None for case in suite],
        "prompt": texts,
        # Of a case without messages the text was purged or never kept: how long it was is unknown.
        "characters": _known([len(text) for text in texts], suite),
        "tokens": _known([estimate_input_tokens(case.request.messages) for case in suite], suite),
        "turns": _known([_turns(case) for case in suite], suite),
        "grader": [case.grader.name for case in suite],
        "split": [case.split for case in suite],
        "weight": [case.weight for case in suite],
        "group": [case.group for case in suite],
        "stakes_usd": np.array([np.nan if case.stakes_usd is None else case.stakes_usd for case in suite], dtype=float),
    }
    return pd.DataFrame(columns, index=pd.Index([case.id for case in suite], name="case"))


def _known(numbers: Sequence[int], suite: Suite) -> npt.NDArray[np.float64]:
    told = [bool(case.request.messages) for case in suite]
    return np.where(told, np.array(numbers, dtype=float), np.nan)


def _turns(case: Case) -> int:
    return sum(message.get("role") == "user" for message in case.request.messages)


def _bin(length: float) -> str:
    return NO_TEXT if np.isnan(length) else LENGTHS[bisect_right(_EDGES, length) - 1]


def prompt_text(case: Case) -> str:
    """The whole conversation of a case as one text."""
    return "\n".join(text for text in (text_of(message) for message in case.request.messages) if text)
