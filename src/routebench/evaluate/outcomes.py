"""The outcome matrix: case x model x sample, with missing cells explicit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.errors import OutcomesError, nearest
from routebench.evaluate.answers import Answers
from routebench.evaluate.cases import Cases, Requests, StrArray
from routebench.evaluate.choices import BoolArray, FloatArray, IntArray
from routebench.types import Case

MISSING, OK, ERROR = 0, 1, 2
"""A cell that was never bought, an answer, a call that failed or abstained."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What every model did on every case: n cases, m models, k samples.

    Attributes:
        suite: its name.
        cases: in the order of the arrays' first axis.
        models: names, in the order of the second axis.
        status: MISSING, OK or ERROR, shape (n, m, k).
        score: in [0, 1], NaN where there is no answer or it is unscored, shape (n, m, k).
        cost_usd: US dollars without prompt caching, NaN while unknown, shape (n, m, k).
        latency_s: seconds, NaN while unknown, shape (n, m, k).
        cacheable_usd: what a call would save if all of its input came from the provider's cache, NaN while unknown,
            shape (n, m, k); None where no cached price is known at all.
        human: mean score by people, NaN where nobody graded the answer, shape (n, m, k); None where nobody graded any.
        human_chance: the probability with which an answer was drawn to be graded by people, NaN while unknown, shape
            (n, m, k); None where no draw is known.
        agreement: how far the judge agrees with people, in words; None where no judge was asked.
        n_sealed: cases that are kept back for a last look, and are not among these.
        answers: what the models said, by case id and model name; None where nobody knows.
    """

    suite: str
    cases: Cases
    models: tuple[str, ...]
    status: npt.NDArray[np.int8]
    score: FloatArray
    cost_usd: FloatArray
    latency_s: FloatArray
    cacheable_usd: FloatArray | None = None
    human: FloatArray | None = None
    human_chance: FloatArray | None = None
    agreement: str | None = None
    n_sealed: int = 0
    answers: Answers | None = field(default=None, repr=False)

    @classmethod
    def from_cells(cls, suite: str, cases: Cases, models: Sequence[str], cells: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Builds the matrix from cells as columns of equal length.

        Args:
            suite: its name.
            cases: the rows of the matrix.
            models: its columns.
            cells: `case` and `model` (positions), `sample`, `ok` (whether it is an answer, else an error), `score`,
                `cost_usd`, `latency_s`, and perhaps `cacheable_usd`, `human` and `human_chance`; unknown numbers are
                NaN.

        Raises:
            OutcomesError: there is no answer at all.
        """
        if not len(cells["case"]):
            raise OutcomesError(
                f"suite {suite!r} has no outcomes yet; `routebench run` or `routebench import` makes them"
            )
        shape = (len(cases), len(models), int(cells["sample"].max()) + 1)
        place = np.ravel_multi_index((cells["case"], cells["model"], cells["sample"]), shape)
        status = np.zeros(shape, dtype=np.int8)
        status.reshape(-1)[place] = np.where(cells["ok"], OK, ERROR)

        def filled(column: str) -> FloatArray:
            values = np.full(shape, np.nan)
            values.reshape(-1)[place] = cells[column]
            return values

        score = filled("score")
        score[status != OK] = np.nan
        return cls(
            suite,
            cases,
            tuple(models),
            status,
            score,
            filled("cost_usd"),
            filled("latency_s"),
            cacheable_usd=filled("cacheable_usd") if "cacheable_usd" in cells else None,
            human=filled("human") if "human" in cells else None,
            human_chance=filled("human_chance") if "human_chance" in cells else None,
        )

    @classmethod
    def from_frame(
        cls, suite: str, cases: Sequence[Case], frame: pd.DataFrame, *, models: Sequence[str] | None = None
    ) -> Self:
        """Builds the matrix from rows, such as those of the store's `outcomes` view.

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
        rows = frame[known]
        numbers = {
            column: pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            for column in ("score", "cost_usd", "latency_s")
        }
        return cls.from_cells(
            suite,
            Cases.of(cases),
            names,
            {
                "case": case_at[known],
                "model": model_at[known],
                "sample": rows["sample"].to_numpy(dtype=np.intp),
                "ok": (rows["status"] == "ok").to_numpy(),
                **numbers,
            },
        )

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.cases)

    @property
    def requests(self) -> Requests:
        """What a strategy may see of the cases."""
        return self.cases.requests

    @property
    def weight(self) -> FloatArray:
        """Requests that each case stands for, shape (n,)."""
        return self.cases.weight

    @property
    def keys(self) -> StrArray:
        """What may not be split between train and test: a case's group, else its id; shape (n,)."""
        return self.cases.keys

    @property
    def is_one_answer_a_case(self) -> bool:
        """Whether no case was asked of two models: a log of production, in which nothing can be compared."""
        return bool((self.status != MISSING).any(axis=2).sum(axis=1).max(initial=0) <= 1)

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
        return self._cut(self.cases.take(chosen), self.models, lambda values: values[chosen])

    def select(self, models: Iterable[str]) -> Outcomes:
        """Returns the outcomes of some models, in the order given.

        Raises:
            OutcomesError: there is no such model.
        """
        names = tuple(models)
        for name in names:
            if name not in self.models:
                known = ", ".join(self.models)
                raise OutcomesError(
                    f"suite {self.suite!r} has no model {name!r}{nearest(name, self.models)}; it has {known}"
                )
        at = [self.models.index(name) for name in names]
        return self._cut(self.cases, names, lambda values: values[:, at])

    def _cut(self, cases: Cases, models: tuple[str, ...], part: Callable[[Any], Any]) -> Outcomes:
        return replace(
            self,
            cases=cases,
            models=models,
            status=part(self.status),
            score=part(self.score),
            cost_usd=part(self.cost_usd),
            latency_s=part(self.latency_s),
            cacheable_usd=None if self.cacheable_usd is None else part(self.cacheable_usd),
            human=None if self.human is None else part(self.human),
            human_chance=None if self.human_chance is None else part(self.human_chance),
        )

    def sha256(self) -> str:
        """Returns a digest of cases, models, states, scores and costs; latencies are left out, they never repeat."""
        digest = hashlib.sha256()
        # In the order of names: where a model stood in its bench file changes nothing.
        whole = self.select(sorted(self.models)).take(np.argsort(self.cases.ids, kind="stable"))
        for text in (*whole.models, *whole.cases.ids):
            digest.update(text.encode() + b"\x00")
        digest.update(np.ascontiguousarray(whole.status).tobytes())
        for values in (whole.score, whole.cost_usd):
            digest.update(np.ascontiguousarray(np.round(np.nan_to_num(values, nan=-1.0), 12)).tobytes())
        return digest.hexdigest()

    def df(self) -> pd.DataFrame:
        """Returns one row a cell that was bought, with the case's category."""
        at, model_at, sample = np.nonzero(self.status != MISSING)
        columns: dict[str, Any] = {
            "case_id": self.cases.ids[at],
            "category": pd.Series(self.cases.category[at], dtype=object).replace("", None),
            "model": np.array(self.models, dtype=object)[model_at],
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
