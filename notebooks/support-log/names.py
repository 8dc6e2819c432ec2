"""Your own function for `redact`: names have no form, so they come from a list, here of the customers."""

from __future__ import annotations

import re

NAMES = (
    "Ingrid Solheim",
    "Tobias Renner",
    "Marisol Quintero",
    "Anneke Visser",
    "Declan Byrne",
    "Yusuf Demirel",
    "Priyanka Nair",
    "Casper Lindqvist",
    "Noemi Farkas",
    "Olivier Marchand",
    "Zuzanna Wrona",
    "Henrik Aalto",
)

_PARTS = "|".join(sorted({part for name in NAMES for part in name.split()}))
_NAME = re.compile(rf"\b(?:{_PARTS})(?: (?:{_PARTS}))*\b")


def without_names(text: str) -> str:
    """Returns the text with every first, last or full name of the list replaced."""
    return _NAME.sub("[name]", text)
