"""Do 95 % intervals hold the truth in 95 %? Worlds and draws are those of `benchmarks/coverage.py`, fewer of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage.py"
DRAWS = 1600


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    if not BENCHMARK.is_file():
        pytest.skip("the benchmarks are not in this copy")
    spec = importlib.util.spec_from_file_location("coverage_of_intervals", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize(
    "world",
    [
        "0/1, 3% differ, no gain",
        "0/1, 10% differ, gain",
        "0/1, 30% differ, gain",
        "0/1, 10% differ, clusters of 5",
        "0/1, 30% differ, clusters of 5",
        "symmetric, clusters of 1-10",
        "partial credit",
        "partial credit, clusters of 1-10, weights",
        "costs, lognormal 0.5",
        "costs, lognormal 0.5, clusters of 1-10",
    ],
)
def test_an_interval_holds_the_truth_or_there_is_none(simulation: ModuleType, world: str, n: int) -> None:
    found = simulation.measure(simulation.WORLDS[world], n, DRAWS, seed=11)
    noise = 2 * np.sqrt(0.95 * 0.05 / DRAWS)
    if found.answered > 0.5:
        assert 0.93 - noise <= found.covered <= 0.975 + noise, found
    # Where mostly nothing is said, what is said now and then must not mislead.
    assert found.answered * (1 - found.covered) <= 0.07 + noise, found


def test_three_per_cent_of_differing_pairs_in_fifty_are_too_few(simulation: ModuleType) -> None:
    for world in ("0/1, 3% differ, no gain", "0/1, 3% differ, gain"):
        assert simulation.measure(simulation.WORLDS[world], 50, DRAWS).answered == 0


def test_eight_strategies_that_are_no_better_hardly_ever_look_so(simulation: ModuleType) -> None:
    false, unadjusted, together = simulation.families(200, 400, seed=5)
    assert false < 0.065
    assert unadjusted > 0.15
    assert together >= 0.93
