"""Names of files, and which of them hold every row once."""

from __future__ import annotations

from pathlib import Path

import pytest

from routebench.traces.packing import WIDTH, mergeable
from routebench.traces.segments import Segment, listed, named, standing

A, B = "20261128T120000-0a0a0a0a", "20261128T130000-0b0b0b0b"


@pytest.mark.parametrize(
    "segment",
    [
        Segment(A, 1, 1, "ndjson"),
        Segment(A, 7, 7),
        Segment(A, 1, 16),
        Segment(A, 1_000_000, 1_000_015),
    ],
)
def test_a_name_tells_all(segment: Segment) -> None:
    assert named(segment.name) == segment


@pytest.mark.parametrize(
    "name",
    ["salt", "spent-1.json", f".{A}.000001.ndjson", f"{A}.000001.unread", "x.parquet", f".{A}.000001.parquet.part"],
)
def test_other_files_are_none(name: str) -> None:
    assert named(name) is None


def test_listed_are_only_segments(tmp_path: Path) -> None:
    for name in ("salt", f"{B}.000001.ndjson", f"{A}.000002.parquet"):
        (tmp_path / name).touch()
    assert listed(tmp_path) == [Segment(A, 2, 2), Segment(B, 1, 1, "ndjson")]


def test_what_is_written_anew_stands_for_what_it_was_made_of() -> None:
    merged, later = Segment(A, 1, 16), Segment(A, 17, 17, "ndjson")
    others = [Segment(A, 1, 1), Segment(A, 3, 3, "ndjson"), Segment(A, 2, 5), Segment(A, 16, 16)]
    own = Segment(B, 3, 3)
    assert standing([later, own, *others, merged]) == [merged, later, own]
    both = [Segment(A, 4, 4, "ndjson"), Segment(A, 4, 4, "parquet")]
    assert standing(both) == standing(both[::-1]) == [Segment(A, 4, 4, "parquet")]


def test_segments_of_one_age_are_put_together_as_soon_as_there_are_enough() -> None:
    few = {Segment(A, number, number): 1 for number in range(1, WIDTH)}
    assert mergeable(few) == []
    enough = {**few, Segment(A, WIDTH + 5, WIDTH + 5): 1}
    assert mergeable(enough) == sorted(enough)
    old = {Segment(A, WIDTH * number + 1, WIDTH * (number + 1)): 9 for number in range(WIDTH - 1)}
    young = {Segment(A, 1000 + number, 1000 + number): 1 for number in range(WIDTH)}
    assert mergeable({**old, **young}) == sorted(young)
    assert mergeable(old) == []


def test_what_is_large_stays_as_it_is() -> None:
    large = {Segment(A, number, number): 100 << 20 for number in range(1, WIDTH + 1)}
    assert mergeable(large) == []
    assert mergeable(large, of_all_ages=True) == []


def test_at_the_end_all_ages_go_together() -> None:
    left = {Segment(A, 1, 256): 3, Segment(A, 257, 272): 2, Segment(A, 273, 273): 1}
    assert mergeable(left, of_all_ages=True) == sorted(left)
    assert mergeable({Segment(A, 1, 256): 3}, of_all_ages=True) == []


def test_a_day_of_journals_is_some_dozens_of_files() -> None:
    sizes: dict[Segment, int] = {}
    most = 0
    for number in range(1, 10_000):
        sizes[Segment(A, number, number)] = 1000
        while run := mergeable(sizes):
            sizes[Segment(A, run[0].first, run[-1].last)] = sum(sizes.pop(one) for one in run)
        most = max(most, len(sizes))
    assert most < 4 * WIDTH
    assert sum(one.size for one in sizes) == 9_999
