"""A suite, looked through: what it asks, what spoils it, which rules take it, which answers are there."""

from __future__ import annotations

from routebench.dash.browsing.opening import browse
from routebench.dash.browsing.panel import BrowsePanel

__all__ = ["BrowsePanel", "browse"]
