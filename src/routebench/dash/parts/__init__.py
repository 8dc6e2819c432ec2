"""The widgets that panels are built of; they know nothing of routing."""

from __future__ import annotations

from routebench.dash.parts.chart import INK, PAPER, ChartView
from routebench.dash.parts.clip import Clip
from routebench.dash.parts.grid import Column, Grid, numbers_of
from routebench.dash.parts.numbers import Numbers
from routebench.dash.parts.panel import Panel

__all__ = ["INK", "PAPER", "ChartView", "Clip", "Column", "Grid", "Numbers", "Panel", "numbers_of"]
