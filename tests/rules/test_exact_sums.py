from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from routebench.rules.learned.exact_sums import row_sums

FLOATS = st.one_of(
    st.floats(-1e3, 1e3),
    st.floats(-1e300, 1e300),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0**-53, 2.0**-54, 1 + 2.0**-52, 2.0**53, 1e16, -1e16, 5e-324]),
)


def by_fsum(rows: list[list[float]]) -> list[float]:
    return [math.fsum(row) for row in rows]


@given(st.lists(st.lists(FLOATS, min_size=1, max_size=12), max_size=6))
def test_every_sum_is_rounded_once(rows: list[list[float]]) -> None:
    terms = np.array([value for row in rows for value in row], dtype=float)
    starts = np.cumsum([0, *map(len, rows)])
    found = row_sums(np.column_stack([terms, -terms]), starts)
    assert found.shape == (len(rows), 2)
    assert found[:, 0].tolist() == by_fsum(rows)
    assert found[:, 1].tolist() == [-total for total in by_fsum(rows)]


def test_many_rows_of_weights() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 200, 3000)
    weights = rng.normal(size=lengths.sum()).astype(np.float32).astype(float)
    terms = (weights * rng.random(len(weights)) * 10.0 ** rng.integers(-6, 3, len(weights)))[:, None]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    rows = [terms[start:end, 0].tolist() for start, end in pairwise(starts)]
    assert row_sums(terms, starts)[:, 0].tolist() == by_fsum(rows)


def test_ties_and_cancellation() -> None:
    rows = [
        [1.0, 2.0**-53],
        [1.0, 2.0**-53, 2.0**-110],
        [1.0, -(2.0**-54)],
        [1.0, -(2.0**-54), 2.0**-120],
        [1e16, 1.0, -1e16],
        [1.0, -1.0],
        [3.0, 2.0**-52, -3.0, 2.0**-105],
        [1 + 2.0**-52, 2.0**-53, -(2.0**-106)],
    ]
    for some in (rows, *([row] for row in rows)):
        terms = np.array([value for row in some for value in row])[:, None]
        assert row_sums(terms, np.cumsum([0, *map(len, some)]))[:, 0].tolist() == by_fsum(some)
