"""The router that a team runs today, beside what it could run."""

from __future__ import annotations

from routebench.dash.today.opening import stand, today
from routebench.dash.today.panel import TodayPanel

__all__ = ["TodayPanel", "stand", "today"]
