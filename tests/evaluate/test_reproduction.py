"""Published baselines of public outcome data, reproduced; skipped where the data is not beside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from routebench.evaluate import compare
from routebench.importing import import_outcomes
from routebench.matrix import open_outcomes
from routebench.store import Store
from routebench.strategies import BestSingle, CategoryTable, KnnTfidf, LrTfidf, Oracle

AIQ = {
    # set: prompts x models; AIQ of Zero, oracle, category table, kNN and LR on tf-idf; None where nobody published it
    "bfcl_lite": (990 * 8, 0.879, 0.945, 0.880, 0.881, 0.889),
    "zeroeval_lite": (2119 * 8, 0.899, 0.967, 0.907, 0.898, 0.906),
    "ulab_llmrouter": (6108 * 9, 0.578, 0.796, 0.643, 0.614, 0.615),
    "routellm_gsm8k": (1319 * 2, 0.745, 0.891, 0.745, None, 0.763),
    "routellm_mmlu_lite": (3420 * 2, 0.744, 0.845, 0.757, None, 0.754),
    "routellm_mtbench": (160 * 2, 0.872, 0.919, 0.881, None, 0.887),
}


@pytest.mark.parametrize("name", AIQ)
def test_mean_aiq_of_five_splits(shared_data: Path, tmp_path: Path, at: Callable[[], datetime], name: str) -> None:
    rows, zero, oracle, table, knn, lr = AIQ[name]
    store = Store(tmp_path / "s.duckdb")
    files = {"outcomes": shared_data / f"{name}.outcomes.parquet", "prompts": shared_data / f"{name}.prompts.parquet"}
    first = import_outcomes(store, name, **files, at=at())
    assert (first.n_outcomes, first.answers.new) == (rows, rows)
    again = import_outcomes(store, name, **files, at=at())
    assert (again.n_outcomes, again.answers.new, again.answers.changed, again.scores.changed) == (rows, 0, 0, 0)
    found = compare(open_outcomes(store, name), [BestSingle(), Oracle(), CategoryTable(), KnnTfidf(k=40), LrTfidf()])
    aiq = {row["name"]: row["aiq"] for row in found.as_dict()["strategies"]}
    assert found.as_dict()["zero_router"]["aiq"] == pytest.approx(zero, abs=0.002)
    assert aiq["oracle"] == pytest.approx(oracle, abs=0.003)
    assert aiq["category_table"] == pytest.approx(table, abs=0.003)
    assert aiq["lr_tfidf"] == pytest.approx(lr, abs=0.008)
    if knn is not None:
        assert aiq["knn_tfidf"] == pytest.approx(knn, abs=0.008)
