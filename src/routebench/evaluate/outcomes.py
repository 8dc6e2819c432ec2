"""The outcome matrix: case x model x sample, with missing cells explicit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.errors import OutcomesError
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.types import Case, Request

MISSING, OK, ERROR = 0, 1, 2
"""A cell that was never bought, an answer, a call that failed or abstained."""

_STATUS = {"ok": OK, "error": ERROR}


@dataclass(frozen=True)
class Outcomes:
    """What every model did on every case: n cases, m models, k samples.

    Attributes:
        suite: its name.
        cases: in the order of the arrays' first axis.
        models: names, in the order of the second axis.
        status: MISSING, OK or ERROR, shape (n, m, k).
        score: in [0, 1], NaN where there is no answer or it is unscored, shape (n, m, k).
        cost_usd: US dollars, NaN while unknown, shape (n, m, k).
        latency_s: seconds, NaN while unknown, shape (n, m, k).
    """

    suite: str
    cases: tuple[Case, ...]
    models: tuple[str, ...]
    status: npt.NDArray[np.int8]
    score: FloatArray
    cost_usd: FloatArray
    latency_s: FloatArray

    @classmethod
    def from_frame(
        cls, suite: str, cases: Sequence[Case], frame: pd.DataFrame, *, models: Sequence[str] | None = None
    ) -> Self:
        """Builds the matrix from rows of the store's `outcomes` view.

        Args:
            suite: its name.
            cases: the suite's cases; rows of others are left out.
            frame: columns case_id, model, sample, status, score, cost_usd, latency_s; a NULL status is a missing cell.
            models: which models, and in which order; all of the frame when left out.

        Raises:
            OutcomesError: there is no answer at all.
        """
        names = tuple(models) if models is not None else tuple(dict.fromkeys(frame["model"]))
        case_at = pd.Index([case.id for case in cases]).get_indexer(pd.Index(frame["case_id"]))
        model_at = pd.Index(names).get_indexer(pd.Index(frame["model"]))
        known = (case_at >= 0) & (model_at >= 0) & frame["status"].notna().to_numpy()
        if not known.any():
            raise OutcomesError(
                f"suite {suite!r} has no outcomes yet; `routebench run` or `routebench import` makes them"
            )
        rows = frame[known]
        sample = rows["sample"].to_numpy(dtype=np.intp)
        place = (case_at[known], model_at[known], sample)
        shape = (len(cases), len(names), int(sample.max()) + 1)
        status = np.zeros(shape, dtype=np.int8)
        status[place] = rows["status"].map(_STATUS).to_numpy(dtype=np.int8)

        def filled(column: str) -> FloatArray:
            values = np.full(shape, np.nan)
            values[place] = pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            return values

        score = np.where(status == OK, filled("score"), np.nan)
        return cls(suite, tuple(cases), names, status, score, filled("cost_usd"), filled("latency_s"))

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.cases)

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        """What a strategy may see of the cases."""
        return tuple(case.request for case in self.cases)

    @cached_property
    def weight(self) -> FloatArray:
        """Requests that each case stands for, shape (n,)."""
        return np.array([case.weight for case in self.cases], dtype=float)

    @cached_property
    def keys(self) -> npt.NDArray[np.str_]:
        """What may not be split between train and test: a case's group, else its id; shape (n,)."""
        return np.array([case.group if case.group is not None else case.id for case in self.cases], dtype=str)

    def expected_scores(self) -> FloatArray:
        """Returns scores averaged over samples, failures as 0, NaN while unknown; shape (n, m)."""
        score = np.where(self.status == ERROR, 0.0, self.score)
        return mean_known(score)

    def expected_costs(self) -> FloatArray:
        """Returns costs averaged over samples, NaN while unknown; shape (n, m), US dollars."""
        return mean_known(self.cost_usd)

    def take(self, index: IntArray | BoolArray | Sequence[int]) -> Outcomes:
        """Returns the outcomes of some cases, by position or by a mask."""
        chosen = np.arange(self.n)[np.asarray(index)]
        return Outcomes(
            self.suite,
            tuple(self.cases[place] for place in chosen),
            self.models,
            self.status[chosen],
            self.score[chosen],
            self.cost_usd[chosen],
            self.latency_s[chosen],
        )

    def select(self, models: Iterable[str]) -> Outcomes:
        """Returns the outcomes of some models, in the order given."""
        names = tuple(models)
        at = [self.models.index(name) for name in names]
        return Outcomes(
            self.suite,
            self.cases,
            names,
            self.status[:, at],
            self.score[:, at],
            self.cost_usd[:, at],
            self.latency_s[:, at],
        )

    def df(self) -> pd.DataFrame:
        """Returns one row a cell that was bought, with the case's category."""
        at, model_at, sample = np.nonzero(self.status != MISSING)
        columns: dict[str, Any] = {
            "case_id": [self.cases[place].id for place in at],
            "category": [self.cases[place].category for place in at],
            "model": [self.models[place] for place in model_at],
            "sample": sample,
            "status": np.where(self.status[at, model_at, sample] == OK, "ok", "error"),
            "score": self.score[at, model_at, sample],
            "cost_usd": self.cost_usd[at, model_at, sample],
            "latency_s": self.latency_s[at, model_at, sample],
        }
        return pd.DataFrame(columns)

    def _repr_html_(self) -> str:
        summary = (
            self.df()
            .groupby("model", sort=False)
            .agg(
                answers=("status", lambda status: int((status == "ok").sum())),
                mean_score=("score", "mean"),
                latency_p50_s=("latency_s", "median"),
                cost_usd=("cost_usd", "sum"),
            )
        )
        return f"<p>{self!r}</p>{summary.to_html(border=0, float_format=lambda value: f'{value:.4g}')}"

    def __repr__(self) -> str:
        missing = int((self.status == MISSING).sum())
        lacking = f", {missing} cells missing" if missing else ""
        samples = self.status.shape[2]
        return f"Outcomes({self.suite!r}, {self.n} cases x {len(self.models)} models x {samples} samples{lacking})"


def mean_known(values: FloatArray) -> FloatArray:
    """Returns the mean over the last axis of what is known, NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=-1)
    sums = np.where(known, values, 0.0).sum(axis=-1)
    means: FloatArray = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return means
