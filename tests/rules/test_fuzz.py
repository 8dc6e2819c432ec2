from __future__ import annotations

from collections import Counter

from tests.rules.fuzzing import SEEDS, mutants, try_one


def test_mutated_files_load_or_are_refused_in_words() -> None:
    counts = Counter(try_one(text, SEEDS[0].parent) for text in mutants(600, seed=7))
    # Both ends are exercised, or the mutations have become too strong or too weak to find anything.
    assert min(counts["loaded"], counts["refused"]) > 60
