"""The cockpit as a web page, for people who open no notebook."""

from __future__ import annotations

from routebench.serving.access import Access, new_token
from routebench.serving.dashboard import Dashboard, open_dashboard
from routebench.serving.environment import ENDING
from routebench.serving.page import Page, demonstration_page

__all__ = ["ENDING", "Access", "Dashboard", "Page", "demonstration_page", "new_token", "open_dashboard"]
