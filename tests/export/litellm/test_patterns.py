from __future__ import annotations

import re

import pytest

from routebench.export.litellm.patterns import MOST_WORK, RefusedPatternError, bounded, total, work
from routebench.export.litellm.scoring import at_least


@pytest.mark.parametrize(
    ("pattern", "becomes"),
    [
        ("generate a table", ("generate a table",)),
        (r"\d+ items", (r"\d{1,24} items",)),
        (r"a\+b*", (r"a\+b{0,24}",)),
        ("[0-9]+ *[-+*/]", ("[0-9]{1,12} {0,12}[-+*/]",)),
        ("[+*]x{3,}", ("[+*]x{3,24}",)),
        ("(?i)one|two (three|four)|[|]", ("one", "two (three|four)", "[|]")),
        ("(?m)^from|;$", ("(?m:^from)", "(?m:;$)")),
    ],
)
def test_a_pattern_is_written_without_an_open_end(pattern: str, becomes: tuple[str, ...]) -> None:
    assert bounded(pattern) == becomes


@pytest.mark.parametrize(
    "pattern",
    [r"(ab)+c", r"\pL+", r"[[:alpha:]]", r"\w+ \w+ \w+ \w+ \w+ \w+", "(?U)a+", r"\Qa.b\E", "a" * 257, "x{65}", "("],
)
def test_what_litellm_would_refuse_is_refused_here(pattern: str) -> None:
    with pytest.raises(RefusedPatternError):
        bounded(pattern)


def test_a_length_is_counted_by_a_pattern_within_the_bound_on_work() -> None:
    pattern = at_least(1792)
    assert work(pattern) <= MOST_WORK
    for characters in (1, 63, 64, 65, 531):
        found = re.compile(at_least(characters), re.IGNORECASE)
        assert found.search("\n" * characters)
        assert not found.search("x" * (characters - 1))
    assert total([pattern, "abc"]) == work(pattern) + work("abc")
