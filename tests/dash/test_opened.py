"""What people hand to a panel: a bench, its path, or something else by mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

import routebench as rb
from routebench.demonstration import lay_out
from routebench.errors import InputError


def test_a_panel_takes_the_path_of_a_bench(tmp_path: Path) -> None:
    lay_out(tmp_path)
    panel = rb.live(tmp_path / "bench.yaml")
    assert "calls to send" in panel.reading
    assert rb.grader(str(tmp_path / "bench.yaml")).title == "Grade"


@pytest.mark.parametrize("panel", ["live", "tuner", "grader", "cockpit"])
def test_what_is_no_bench_is_told(panel: str) -> None:
    with pytest.raises(InputError, match=r"takes a bench, not a int; give rb.Bench\('bench.yaml'\)"):
        getattr(rb, panel)(3)


def test_compare_says_what_it_compares(tmp_path: Path) -> None:
    lay_out(tmp_path)
    with pytest.raises(InputError, match=r"not a Bench; give bench.compare\(\)"):
        rb.compare(rb.Bench(tmp_path / "bench.yaml"))
