"""The buttons of the tuner that move the setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as widgets

from routebench.dash.parts import Panel
from routebench.dash.tuning.setting import BEST
from routebench.dash.tuning.state import Tuning

_LABELS: Mapping[str, tuple[str, str]] = {
    "best": ("Go to the best", "the point that meets what is asked best, of all forms"),
    "near": ("Take the closest", "the point that misses least of what is asked"),
    "undo": ("Undo", "take the latest change back, up to 20 of them"),
    "reset": ("Reset", "everything as it was at the beginning"),
    "keep": ("Save version", "keep this setting beside others, to compare them"),
    "again": ("Learn again", "with these stakes, and with so many rules at most: forms know of neither yet"),
}


class Moves:
    """A row of buttons; what each does is told by its name: best, near, undo, reset, keep and again.

    Args:
        pressed: is told the name of the button.

    Attributes:
        widget: the row.
        buttons: by name.
    """

    def __init__(self, pressed: Callable[[str], None]) -> None:
        self.buttons = {
            name: widgets.Button(description=label, tooltip=told, layout=widgets.Layout(width="auto"))
            for name, (label, told) in _LABELS.items()
        }
        for name, button in self.buttons.items():
            button.on_click(lambda _button, name=name: pressed(name))
        for name in ("near", "again"):
            self._offer(name, offered=False)
        self.widget = Panel.row(*self.buttons.values())

    def allow(self, *, ready: bool) -> None:
        """Says whether there is anything to move."""
        for name, button in self.buttons.items():
            button.disabled = not ready and name != "again"

    def show(self, state: Tuning) -> None:
        """Offers what leads anywhere."""
        self.buttons["undo"].disabled = not state.steps
        self.buttons["best"].disabled = state.setting.form == BEST and state.setting.place is None
        self._offer("again", offered=state.unlearned)
        passes = state.best_point is not None or state.closest is None or state.setting.place is not None
        self._offer("near", offered=not passes)

    def _offer(self, name: str, *, offered: bool) -> None:
        layout, display = self.buttons[name].layout, None if offered else "none"
        if layout.display != display:
            layout.display = display
