"""A run, watched: its priced plan, its progress, its end."""

from __future__ import annotations

from routebench.dash.watching.panel import RunPanel, live

__all__ = ["RunPanel", "live"]
