"""Published baselines of public outcome data, reproduced; skipped where the data is not beside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from routebench.bench import open_outcomes
from routebench.evaluate import compare
from routebench.importing import import_outcomes
from routebench.store import Store
from routebench.strategies import with_baselines


def test_mean_aiq_of_five_splits(shared_data: Path, tmp_path: Path, at: Callable[[], datetime]) -> None:
    name = "bfcl_lite"
    store = Store(tmp_path / "s.duckdb")
    files = {"outcomes": shared_data / f"{name}.outcomes.parquet", "prompts": shared_data / f"{name}.prompts.parquet"}
    first = import_outcomes(store, name, **files, at=at())
    outcomes = open_outcomes(store, name)
    import_outcomes(store, name, **files, at=at())
    assert len(open_outcomes(store, name).df()) == len(outcomes.df()) == first.n_outcomes == 990 * 8
    document = compare(outcomes, with_baselines(["knn_tfidf", "category_table"], outcomes.models)).as_dict()
    aiq = {row["name"]: row["aiq"] for row in document["strategies"]}
    assert document["zero_router"]["aiq"] == pytest.approx(0.879, abs=0.001)
    assert aiq["oracle"] == pytest.approx(0.945, abs=0.001)
    assert aiq["category_table"] == pytest.approx(0.880, abs=0.002)
    assert aiq["knn_tfidf"] == pytest.approx(0.881, abs=0.003)
