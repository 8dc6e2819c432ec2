"""Which answers of a suite are there: the outcomes of every case and model, without their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.store import Store, read_content_hashes, read_matrix
from routebench.suites import Suite, content_hash

NO_CATEGORY = "none"


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a suite; what has never been asked, or asked of a case that has changed since, is missing.

    Attributes:
        models: the columns.
        answered: share of the samples of a cell that have an answer, shape (cases, models).
        failed: share of the samples that have an error in its place.
        score: mean score of the answers, NaN while ungraded.
        n_samples: answers that are wanted a cell.
    """

    models: tuple[str, ...]
    answered: npt.NDArray[np.float64]
    failed: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    n_samples: int

    @classmethod
    def read(
        cls, store: Store, suite: Suite, models: Sequence[str], n_samples: int = 1, *, is_of_store: bool = False
    ) -> Cells:
        """Reads them.

        Args:
            store: where they are.
            suite: whose.
            models: which, and in which order.
            n_samples: answers that are wanted a cell; more where the store holds more.
            is_of_store: whether the suite was read from this store, so that no case can have changed since.

        Raises:
            StoreError: the store cannot be read.
        """
        shape = (len(suite), len(models))
        hashes = read_content_hashes(store, suite.name)
        if not hashes or not models:
            return cls(tuple(models), np.zeros(shape), np.zeros(shape), np.full(shape, np.nan), n_samples)
        found = read_matrix(store, suite.name, models)
        same = [is_of_store or hashes.get(case.id) == content_hash(case) for case in suite]
        places = {case.id: place for place, case in enumerate(suite) if same[place]}
        rows = np.array([places.get(str(case_id), -1) for case_id in found.cases["case_id"]])
        case, model, sample, ok = (np.asarray(found.cells[name]) for name in ("case", "model", "sample", "ok"))
        score = np.ma.filled(found.cells["score"], np.nan).astype(float)
        row = rows[case]
        here = row >= 0
        n_samples = max(n_samples, int(sample.max()) + 1 if len(sample) else 1)
        at = (row[here], model[here])
        ok, score = ok[here].astype(bool), score[here]
        answered, failed, sums, graded = (np.zeros(shape) for _ in range(4))
        np.add.at(answered, at, ok)
        np.add.at(failed, at, ~ok)
        np.add.at(sums, at, np.where(np.isnan(score), 0.0, score))
        np.add.at(graded, at, ~np.isnan(score))
        mean = np.divide(sums, graded, out=np.full(shape, np.nan), where=graded > 0)
        return cls(tuple(models), answered / n_samples, failed / n_samples, mean, n_samples)

    @property
    def missing(self) -> npt.NDArray[np.float64]:
        """Share of the samples of a cell with neither an answer nor an error, shape (cases, models)."""
        return np.clip(1.0 - self.answered - self.failed, 0.0, 1.0)

    def gaps(self, categories: Sequence[str]) -> pd.DataFrame:
        """Returns what is missing by model and category.

        Columns name (`model / category`), model, category, cells, missing, failed (numbers of answers) and share (of
        the cells that are missing).

        Args:
            categories: of the cases, in their order.
        """
        missing, failed = self.missing * self.n_samples, self.failed * self.n_samples
        names = np.asarray(categories)
        rows = [
            (
                gap_name(model, category),
                model,
                category,
                int(mine.sum()) * self.n_samples,
                round(float(missing[mine, column].sum())),
                round(float(failed[mine, column].sum())),
            )
            for category in dict.fromkeys(categories)
            for mine in [names == category]
            for column, model in enumerate(self.models)
        ]
        frame = pd.DataFrame(rows, columns=["name", "model", "category", "cells", "missing", "failed"])
        return frame.assign(share=frame["missing"] / frame["cells"])


def gap_name(model: str, category: str) -> str:
    """What the cells of a model in a category are called."""
    return f"{model} / {category}"
