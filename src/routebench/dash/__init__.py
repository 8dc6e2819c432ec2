"""Looking at it; the only room that knows of screens."""

from __future__ import annotations

__all__: list[str] = []
