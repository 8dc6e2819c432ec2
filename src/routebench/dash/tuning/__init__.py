"""Tuning by hand: what is asked, where that leads, one look at the test half, and the file that comes out."""

from __future__ import annotations

from routebench.dash.tuning.panel import TunerPanel, tuner

__all__ = ["TunerPanel", "tuner"]
