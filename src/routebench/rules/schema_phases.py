"""Placeholder."""

from __future__ import annotations
from routebench.config import Settings


class ClassifierSettings(Settings):
    """Placeholder."""


class SimilaritySettings(Settings):
    """Placeholder."""
