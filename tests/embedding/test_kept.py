from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from routebench.embedding import Kept, unit_rows
from routebench.errors import StoreError


class Counting:
    """Counts what it is asked for; fails at a text that says so."""

    name = "some/counting"
    key = "v1"
    dim = 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        if "fail" in texts:
            raise ValueError("the line is down")
        self.asked += texts
        return unit_rows([[len(text), 1] for text in texts])


def test_what_was_embedded_is_not_asked_for_again(tmp_path: Path) -> None:
    first = Counting()
    rows = Kept(first, tmp_path / "new").embed(["a", "bb", "a", "é\ud800"])
    assert first.asked == ["a", "bb", "é\ud800"]
    assert rows[0].tolist() == rows[2].tolist() == unit_rows([[1, 1]])[0].tolist()
    second = Counting()
    kept = Kept(second, tmp_path / "new")
    assert kept.embed(["bb", "ccc", "a"])[[0, 2]].tolist() == rows[[1, 0]].tolist()
    assert (second.asked, kept.n_asked) == (["ccc"], 1)
    assert kept.embed([]).shape == (0, 2)
    assert b"ccc" not in kept.path.read_bytes()


def test_vectors_of_another_version_are_others(tmp_path: Path) -> None:
    one, other = Counting(), Counting()
    other.key = "v2"
    Kept(one, tmp_path).embed(["a"])
    Kept(other, tmp_path).embed(["a"])
    assert other.asked == ["a"]


def test_nothing_that_came_is_lost_when_a_later_batch_fails(tmp_path: Path) -> None:
    texts = [f"t{number}" for number in range(256)]
    with pytest.raises(ValueError, match="line is down"):
        Kept(Counting(), tmp_path).embed([*texts, "fail"])
    again = Counting()
    Kept(again, tmp_path).embed([*texts, "fine"])
    assert again.asked == ["fine"]


def test_two_writers_and_a_torn_end(tmp_path: Path) -> None:
    one, other = Kept(Counting(), tmp_path), Kept(Counting(), tmp_path)
    one.embed(["a"])
    other.embed(["b"])
    with one.path.open("ab") as file:
        file.write(b"torn")
    one.embed(["c"])
    reader = Counting()
    found = Kept(reader, tmp_path).embed(["a", "b", "c"])
    assert not reader.asked
    assert found.tolist() == np.repeat(unit_rows([[1, 1]]), 3, axis=0).tolist()
    assert other.embed(["c"]).tolist() == found[2:].tolist()
    assert other.n_asked == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/.*cannot be"):
        Kept(Counting(), tmp_path / "file").embed(["a"])
