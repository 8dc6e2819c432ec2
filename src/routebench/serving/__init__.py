"""The cockpit as a web page, for people who open no notebook."""

from __future__ import annotations

from routebench.serving.access import Access
from routebench.serving.dashboard import Dashboard
from routebench.serving.page import Page

__all__ = ["Access", "Dashboard", "Page"]
