"""What the forms of personal data share: what may part their digits, and where in a text they may begin."""

from __future__ import annotations

Span = tuple[str, int, int]
"""A kind of personal data, and where it begins and ends in a text."""

GAP = " \t\u00a0\u2007\u2009\u202f\\-\u2010-\u2015\u2212"
"""Spaces and hyphens of every width, as a part of a character class: models write numbers with them."""
AFTER_ESCAPE = r"(?:(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"
"""After an escape of a JSON text, whose last letter belongs to no word."""


def digits_of(text: str) -> list[int]:
    """Returns the digits of a text, of whatever script."""
    return [int(sign) for sign in text if sign.isdecimal()]
