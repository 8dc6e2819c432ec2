"""Comparing strategies on a screen: what is drawn, what is selected, and the cases behind a difference."""

from __future__ import annotations

from routebench.dash.comparing.panel import ComparePanel, compare

__all__ = ["ComparePanel", "compare"]
