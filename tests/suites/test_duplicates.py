from __future__ import annotations

import pytest

from routebench.suites.duplicates import find_duplicates
from routebench.suites.logs.similar import similarity
from tests.conftest import make_case

ONE = "Which of the seven wonders of the ancient world is still standing today, and in which country is it?"
ALIKE = "which of the seven wonders of the ancient world is still standing today and in which country is it"
OTHER = "Write a short poem about a lighthouse keeper who has lost the key to the lamp room in a storm."


def test_groups_are_found_with_how_much_they_share() -> None:
    cases = [make_case("a", ONE), make_case("b", OTHER), make_case("c", ALIKE), make_case("d", "")]
    (group,) = find_duplicates(cases)
    assert group.case_ids == ("a", "c")
    assert group.similarity == 1.0
    assert not group.is_contradiction
    assert 0 < similarity(ONE, f"{ONE} Tell me more about it, please.") < 1
    assert similarity(ONE, OTHER) == 0.0


@pytest.mark.parametrize(
    ("first", "second", "danger"),
    [
        ({"split": "train"}, {"split": "test"}, "leak"),
        ({"split": "train"}, {"split": "sealed"}, "leak"),
        # One row that is fixed to a side, and one that any seed can put on the other.
        ({"split": "train"}, {}, "leak"),
        ({"split": "test"}, {"split": "test"}, "none"),
        ({}, {}, "torn"),
        ({"group": "g"}, {"group": "h"}, "torn"),
        ({"group": "g"}, {}, "torn"),
        ({"group": "g"}, {"group": "g"}, "none"),
    ],
)
def test_what_a_split_makes_of_them(first: dict[str, str], second: dict[str, str], danger: str) -> None:
    (group,) = find_duplicates([make_case("a", ONE, **first), make_case("b", ALIKE, **second)])
    assert group.danger == danger


def test_leaks_come_first_and_other_targets_are_told() -> None:
    poem = {"target": "poem"}
    cases = [
        make_case("a", OTHER, **poem),
        make_case("b", f"{OTHER}!", **poem),
        make_case("c", OTHER.upper(), **poem),
        make_case("d", ONE, split="train", target="yes"),
        make_case("e", ALIKE, split="test", target="no"),
    ]
    leak, torn = find_duplicates(cases)
    assert (leak.case_ids, leak.danger, leak.is_contradiction) == (("d", "e"), "leak", True)
    assert (torn.case_ids, torn.danger, torn.is_contradiction) == (("a", "b", "c"), "torn", False)


def test_a_suite_without_repeats_has_none() -> None:
    assert find_duplicates([make_case("a", ONE), make_case("b", OTHER)]) == ()
