"""A button that copies a text, or saves it as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets


class Clip(anywidget.AnyWidget):
    """Hands over a text that is made when it is asked for.

    Args:
        text: makes it.
        label: of the button.
        help: what it hands over, in a sentence.
        file: the name of the file that is saved; the clipboard when left out.
    """

    _esm = Path(__file__).parent / "clip.js"

    label = traitlets.Unicode().tag(sync=True)
    help = traitlets.Unicode().tag(sync=True)
    file = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        text: Callable[[], str],
        label: str = "Copy code",
        help: str = "",  # noqa: A002 - what ipywidgets calls it nowhere, and people everywhere
        file: str = "",
    ) -> None:
        self._text = text
        super().__init__(label=label, help=help, file=file)
        self.on_msg(self._asked)

    def _asked(self, _widget: object, _content: Any, _buffers: object) -> None:
        self.send({"text": self._text()})
