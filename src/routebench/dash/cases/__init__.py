"""The cases on which strategies differ, and their answers side by side: what more than one panel shows."""

from __future__ import annotations

from pathlib import Path

CSS = Path(__file__).parent / "cases.css"
"""The style sheet of tables of cases and of answers."""

__all__ = ["CSS"]
