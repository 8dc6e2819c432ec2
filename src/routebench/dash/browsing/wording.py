"""What a browse panel calls things."""

from __future__ import annotations

from routebench.dash.browsing.state import Browse, Facet

LENGTHS_TITLE = "prompt length, characters of the whole conversation"
TITLES: dict[Facet, str] = {
    "category": "category",
    "tag": "tag",
    "length": LENGTHS_TITLE,
    "grader": "grader",
    "split": "split",
    "duplicates": "near-duplicates",
    "rule": "rule that takes it",
    "answers": "answers in the store",
}
"""Facet -> what people read; those that are offered as bars."""


def footer(browse: Browse) -> str:
    """What the figures rest on."""
    from routebench import __version__

    suite = browse.suite
    parts = [f"suite {suite.name}, version {suite.version}", "near-duplicates: 80 % of rare word triples in common"]
    if browse.coverage is not None:
        parts.append(f"rules {browse.coverage.name}, as they decide now")
    return " · ".join([*parts, f"routebench {__version__}"])
