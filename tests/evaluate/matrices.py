"""Small outcome matrices for tests, written as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routebench.evaluate import Cases, Outcomes
from routebench.evaluate.outcomes import ERROR, MISSING, OK
from tests.conftest import make_case


def matrix(
    score: Any,
    cost_usd: Any,
    *,
    status: Any = None,
    latency_s: Any = None,
    models: Sequence[str] | None = None,
    **columns: Sequence[Any],
) -> Outcomes:
    """Scores and costs of shape (n, m) or (n, m, k); columns are fields of the cases, one value each."""
    scores, costs = (np.array(values, dtype=float) for values in (score, cost_usd))
    if scores.ndim == 2:
        scores, costs = scores[:, :, None], costs[:, :, None]
    n, m, _ = scores.shape
    cases = [
        make_case(f"c{number:03}", **{name: values[number] for name, values in columns.items()}) for number in range(n)
    ]
    return Outcomes(
        "s",
        Cases.of(cases),
        tuple(models) if models else tuple(f"m{number}" for number in range(m)),
        np.full(scores.shape, OK, dtype=np.int8) if status is None else np.asarray(status, dtype=np.int8),
        scores,
        costs,
        np.ones(scores.shape) if latency_s is None else np.asarray(latency_s, dtype=float),
    )


def random_matrix(seed: int, *, gaps: bool = True) -> Outcomes:
    """A few cases of a few models; with gaps: errors, missing cells, unscored answers, unknown costs and samples.

    Every number is a multiple of 1/8 and the number of cases a power of 2, so that sums are exact in any order.
    """
    rng = np.random.default_rng(seed)
    n, m, k = 2 ** int(rng.integers(0, 5)), int(rng.integers(1, 5)), int(rng.integers(1, 4)) if gaps else 1
    shape = (n, m, k)
    status = rng.choice([OK, ERROR, MISSING], size=shape, p=[0.7, 0.2, 0.1] if gaps else [1, 0, 0])
    score, cost, latency = (rng.integers(0, 9, size=shape) / 8 for _ in range(3))
    if gaps:
        score[rng.random(shape) < 0.05] = np.nan
        cost[rng.random(shape) < 0.1] = np.nan
        latency[rng.random(shape) < 0.1] = np.nan
    score[status != OK] = np.nan
    cost[status == MISSING] = np.nan
    latency[status == MISSING] = np.nan
    weight = rng.integers(1, 5, size=n).astype(float) if gaps else np.ones(n)
    return matrix(score, cost, status=status, latency_s=latency, weight=list(weight))
