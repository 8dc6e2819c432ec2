"""Where prompts come from."""

from __future__ import annotations

from routebench.suites.loaders import GRADER_NAMES, is_sealed, load_suite, parse_row
from routebench.suites.starter import load_starter
from routebench.suites.suite import Suite, canonical_json, content_hash

__all__ = [
    "GRADER_NAMES",
    "Suite",
    "canonical_json",
    "content_hash",
    "is_sealed",
    "load_starter",
    "load_suite",
    "parse_row",
]
