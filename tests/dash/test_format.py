from __future__ import annotations

import pytest

from routebench.dash.format import money


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (0, "$0"),
        (0.173, "$0.173"),
        (1234.5, "$1,234"),
        (0.0001, "$0.0001"),
        (2.2e-6, "$0.0000022"),
        (3.514e-7, "$0.000000351"),
        (-4e-5, "$-0.00004"),
    ],
)
def test_money_is_written_as_people_read_it(value: float | None, text: str) -> None:
    assert money(value) == text
