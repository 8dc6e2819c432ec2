"""Keeps the keys of a panel from the notebook around it."""

from __future__ import annotations

from pathlib import Path

import anywidget


class Quiet(anywidget.AnyWidget):
    """Stands in a panel and shows nothing: JupyterLab's shortcuts rest while the focus is in the panel."""

    _esm = Path(__file__).parent / "quiet.js"
