"""The exact search, against the plain product of matrix and vector."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.rules.learned.directions import Directions
from routebench.rules.learned.growing import Growing
from routebench.rules.learned.nearest import most_similar
from routebench.rules.learned.postings import Postings


@given(st.data())
def test_postings_are_the_product_of_matrix_and_vector(data: st.DataObject) -> None:
    n, width = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 8))
    small = st.sampled_from([0.0, 0.0, 0.5, -0.25, 1.0])
    rows = np.array(data.draw(st.lists(st.lists(small, min_size=width, max_size=width), min_size=n, max_size=n)))
    first = data.draw(st.integers(0, n))
    columns = data.draw(st.lists(st.integers(0, width - 1), unique=True))
    values = data.draw(st.lists(small, min_size=len(columns), max_size=len(columns)))
    query = np.zeros(width)
    query[columns] = values
    postings = Postings.of(rows[:first])
    for row in rows[first:]:
        found = np.flatnonzero(row)
        postings.add((found.tolist(), row[found].tolist()))
    assert postings.products(columns, values, n).tolist() == (rows @ query).tolist()
    # Who began to look up before rows were added sees none of them.
    assert postings.products(columns, values, first).tolist() == (rows[:first] @ query).tolist()
    kept = Postings(postings.rows(first // 2, n), width)
    assert kept.products(columns, values, n - first // 2).tolist() == (rows[first // 2 :] @ query).tolist()


def test_columns_that_most_rows_have_give_the_same() -> None:
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((5000, 40)) < np.linspace(0, 0.9, 40), rng.normal(size=(5000, 40)), 0)
    query = rng.normal(size=40)
    found = Postings.of(rows.astype(np.float32)).products(list(range(40)), query.tolist(), 5000)
    assert found == pytest.approx(rows @ query, abs=1e-5)


def test_ties_fall_to_the_earlier_and_negative_cosines_are_none() -> None:
    places, near = most_similar(np.array([0.5, -1.0, 0.5000000001, 1.0000001, -0.5, 0.5]), 3)
    assert (places.tolist(), near.tolist()) == ([3, 0, 2], [1.0, 0.5, 0.5])
    places, near = most_similar(np.array([-0.5, -0.1, -0.9]), 2)
    assert (places.tolist(), near.tolist()) == ([0, 1], [0.0, 0.0])
    assert most_similar(np.array([0.5]), 24)[0].tolist() == [0]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("spread", [0.02, 0.3, 3.0])
@pytest.mark.parametrize("k", [1, 24])
def test_ruling_rows_out_loses_none(spread: float, k: int) -> None:
    rng = np.random.default_rng(7)
    centres = unit(rng.normal(size=(60, 256)) * np.linspace(2, 0.1, 256))
    rows = unit(centres[rng.integers(60, size=6000)] + spread / 16 * rng.normal(size=(6000, 256)))
    directions = Directions(rows[:5000])
    for row in rows[5000:]:
        directions.add(row)
    for query in (*unit(rng.normal(size=(5, 256))), *rows[::1000], -centres[0], np.zeros(256, np.float32)):
        for first, end in ((0, 6000), (0, 5000), (1234, 5678)):
            places, near = directions.nearest(query, k, first, end)
            expected, as_near = most_similar(rows[first:end] @ query, k)
            assert near == pytest.approx(as_near, abs=2e-6)
            assert rows[places] @ query == pytest.approx((rows[first:end] @ query)[expected], abs=4e-6) or near[0] == 0
            assert (places >= first).all()
            assert (places < end).all()


def test_rows_that_are_added_late_are_found_too() -> None:
    rng = np.random.default_rng(3)
    rows = unit(rng.normal(size=(4300, 250)) * np.linspace(3, 0.1, 250))
    directions = Directions(rows[:10].copy())
    for row in rows[10:]:
        directions.add(row)
    for query in rows[[0, 9, 10, 4095, 4096, 4299]]:
        places, near = directions.nearest(query, 3, 0, len(rows))
        assert places.tolist() == most_similar(rows @ query, 3)[0].tolist()
        assert near[0] == 1
    assert directions.rows(4, 4300).tolist() == rows[4:].tolist()


def test_what_grows_moves_nothing_that_was_seen() -> None:
    given_rows = np.arange(6.0).reshape(3, 2)
    growing = Growing(given_rows)
    before = growing.upto(3)
    for number in range(100):
        growing.add([number, -number])
    assert len(growing) == 103
    assert before.tolist() == given_rows.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert growing.upto(103)[3:].tolist() == [[number, -number] for number in range(100)]


@pytest.mark.parametrize("n", [20, 4200])
def test_a_copy_grows_by_itself(n: int) -> None:
    rng = np.random.default_rng(5)
    rows, others = unit(rng.normal(size=(n, 200))), unit(rng.normal(size=(3, 200)))
    directions = Directions(rows)
    directions.add(others[0])
    postings = Postings.of(rows)
    postings.add((range(200), others[0].tolist()))
    for index in (directions, postings):
        one, other = index.copy(), index.copy()
        for copied, row in ((one, others[1]), (other, others[2])):
            copied.add((range(200), row.tolist()) if isinstance(copied, Postings) else row)
        for copied, row in ((one, others[1]), (other, others[2])):
            query = (range(200), row.tolist()) if isinstance(copied, Postings) else row
            places, near = copied.nearest(query, 1, 0, n + 2)
            assert (places.tolist(), near.tolist()) == ([n + 1], [1.0])
        query = (range(200), others[0].tolist()) if isinstance(index, Postings) else others[0]
        assert index.nearest(query, 1, 0, n + 1)[0].tolist() == [n]
