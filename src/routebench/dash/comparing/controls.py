"""The menus and boxes of a comparison: they show what its state says, and tell what somebody asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from routebench.dash.cases.differing import Which
from routebench.dash.charts import has_place
from routebench.dash.comparing.state import EVERYTHING, Compared
from routebench.dash.placing import Along
from routebench.dash.tables import shown_name

_WHICH: tuple[tuple[str, Which], ...] = (
    ("scores differ", "different"),
    ("other model, same score", "answers"),
    ("all cases", "all"),
)
_ALONG: tuple[tuple[str, Along], ...] = (("cost", "cost"), ("latency p50", "p50"), ("latency p95", "p95"))
_LABELLED: dict[str, Any] = {
    "style": {"description_width": "initial"},
    "layout": widgets.Layout(width="auto", max_width="24em"),
}

Told = Callable[[str, Any], None]
"""Is told the attribute of the state that somebody changes, and to what."""


class Controls:
    """Everything that a person moves, but marks and rows.

    Args:
        state: of the comparison.
        told: is told what somebody changes.

    Attributes:
        baseline, part, along, log, adjusted, which: one for each attribute of the state.
    """

    def __init__(self, state: Compared, told: Told) -> None:
        parts = [(f"{part} ({state.size(part):,})", part) for part in state.parts]
        everything = (f"all held-out cases ({state.size(EVERYTHING):,})", EVERYTHING)
        points = state.points()[0]
        known = [(label, along) for label, along in _ALONG if along == "cost" or has_place(points, along)]
        self.baseline = _menu("baseline", [(shown_name(name), name) for name in state.names], state.baseline)
        self.part = _menu("slice", [everything, *parts], state.part)
        self.along = _menu("quality against", known, state.along)
        self.which = _menu("cases", _WHICH, state.which)
        self.log = _box("log axis", state.log)
        self.adjusted = _box("adjusted for several comparisons", state.adjusted)
        self._told = told
        for name, control in self._by_name.items():
            control.observe(self._teller(name), "value")

    @property
    def _by_name(self) -> dict[str, widgets.ValueWidget]:
        return {name: getattr(self, name) for name in ("baseline", "part", "along", "log", "adjusted", "which")}

    def _teller(self, name: str) -> Callable[[Any], None]:
        return lambda change: self._told(name, change["new"])

    def follow(self, state: Compared) -> None:
        """Brings every control to what the state says."""
        for name, control in self._by_name.items():
            if control.value != getattr(state, name):
                control.value = getattr(state, name)
        self.log.disabled = not has_place(state.points()[0], state.along)


def _menu(label: str, options: Sequence[tuple[str, str]], value: str) -> widgets.Dropdown:
    return widgets.Dropdown(options=options, value=value, description=label, **_LABELLED)


def _box(label: str, value: bool) -> widgets.Checkbox:  # noqa: FBT001 - whether it is ticked
    return widgets.Checkbox(value=value, description=label, indent=False)
