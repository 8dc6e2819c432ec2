"""Tuning by hand: what is asked, where that leads, and the file that comes out."""

from __future__ import annotations

__all__: list[str] = []
