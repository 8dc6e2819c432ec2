"""What a person sees and presses while grading: one item at a time, by keys or by buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from routebench.dash.grading.shown import SHOWN_CHARACTERS, Shown
from routebench.grade.blind import SCALES, SKIP

Button = Mapping[str, str]
"""`word`, the key that says it, its text and its full label."""

_PAIR_BUTTONS: tuple[Button, ...] = (
    {"word": "left", "key": "ArrowLeft", "text": "← A better", "label": "A is better, key left arrow"},
    {
        "word": "left_slightly",
        "key": "Shift+ArrowLeft",
        "text": "A slightly",
        "label": "A is slightly better, key shift and left arrow",
    },
    {"word": "tie", "key": "t", "text": "Tie t", "label": "Both are as good, key t"},
    {
        "word": "right_slightly",
        "key": "Shift+ArrowRight",
        "text": "B slightly",
        "label": "B is slightly better, key shift and right arrow",
    },
    {"word": "right", "key": "ArrowRight", "text": "B better →", "label": "B is better, key right arrow"},
    {"word": "both_bad", "key": "b", "text": "Both bad b", "label": "Neither answer will do, key b"},
)
_SKIP: Button = {"word": SKIP, "key": "s", "text": "Skip s", "label": "Skip this one, key s"}


def buttons_of(scale: str | None) -> tuple[Button, ...]:
    """Returns what can be pressed: the words of pairs, or the steps of a scale."""
    if scale is None:
        return (*_PAIR_BUTTONS, _SKIP)
    low, high = SCALES[scale]
    ends = {low: ("worst", "the worst, "), high: ("best", "the best, ")}
    steps = [
        {
            "word": str(step),
            "key": str(step),
            "text": f"{step} {ends[step][0]}" if step in ends else str(step),
            "label": f"Score {step}, {ends[step][1] if step in ends else ''}key {step}",
        }
        for step in range(low, high + 1)
    ]
    return (*steps, _SKIP)


class Pad(anywidget.AnyWidget):
    """The place where grading happens. Only what may be seen is in it; texts are shown as they are, never as HTML.

    Args:
        scale: of scores; None for pairs.
        said: called with a word, the note, and the seconds that it took.
        undone: called to take the latest word back.

    Attributes:
        shown: the item, empty where there is none.
        head: how far the person is.
    """

    _esm = Path(__file__).parent / "pad.js"

    shown: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    head = traitlets.Unicode("").tag(sync=True)
    blank = traitlets.Unicode("").tag(sync=True)
    scale = traitlets.Unicode("").tag(sync=True)
    buttons: traitlets.List[Any] = traitlets.List().tag(sync=True)
    says = traitlets.Bool().tag(sync=True)
    undoes = traitlets.Bool().tag(sync=True)

    def __init__(
        self, scale: str | None, *, said: Callable[[str, str, float | None], None], undone: Callable[[], None]
    ) -> None:
        super().__init__(scale=scale or "", buttons=[dict(one) for one in buttons_of(scale)])
        self._said = said
        self._undone = undone
        self.on_msg(self._pressed)

    def show(self, shown: Shown | None, head: str, *, blank: str = "", says: bool, undoes: bool) -> None:
        """Shows an item, or says why there is none.

        Args:
            shown: the item.
            head: how far the person is.
            blank: stands where the answers would stand.
            says: whether there is anything to say a word of; where nothing can be shown, to skip.
            undoes: whether words can be taken back.
        """
        with self.hold_sync():
            self.shown = {} if shown is None else _sent(shown)
            self.head = head
            self.blank = blank
            self.says = says
            self.undoes = undoes

    def _pressed(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        try:
            if content.get("do") == "undo":
                self._undone()
            # A second press that was meant for the item before is no verdict on this one.
            elif content.get("place") == self.shown.get("place", -1):
                taken_s = content.get("taken_s")
                # A page that does not say how long it took leaves that to our own clock.
                told_s = None if taken_s is None else float(taken_s)
                self._said(str(content.get("word")), str(content.get("note") or ""), told_s)
        finally:
            # Whatever came of it: the page waits for an answer before it takes the next press.
            self.send({"kind": "heard"})


def _sent(shown: Shown) -> dict[str, Any]:
    return {
        "place": shown.place,
        "prompt": _cut(shown.prompt),
        "left": _cut(shown.left),
        "right": None if shown.right is None else _cut(shown.right),
        "reference": None if shown.reference is None else _cut(shown.reference),
    }


def _cut(text: str) -> str:
    if len(text) <= SHOWN_CHARACTERS:
        return text
    rest = len(text) - SHOWN_CHARACTERS
    return f"{text[:SHOWN_CHARACTERS]}\n… {rest:,} more characters: panel.shown has them all"
