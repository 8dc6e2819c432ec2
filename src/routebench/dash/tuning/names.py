"""Where names stand in the tuner's picture, so that none hides another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from routebench.dash.placing import BESIDE_PLOT_PX, PLACES, WIDTH, Box, free_places, overlap, pixels
from routebench.evaluate.choices import FloatArray

HEIGHT_PX = 360
PADDING_PX, PADDING_UPRIGHT_PX = 24, 16
_DOT_PX, _MARK_PX, _YOU_PX = 4, 8, 12
_COSTS, _SHARES = ("cost", "cost_low", "cost_high"), ("quality", "low", "high")


class Names:
    """The names of models, which keep their places as far as they can, and that of the setting among them.

    Args:
        still: the rows of `field_frames`.
        log: whether costs are drawn on a logarithmic axis.
        width: of the whole picture in pixels; 0 where nobody knows it yet.
    """

    def __init__(self, still: Mapping[str, pd.DataFrame], *, log: bool, width: int) -> None:
        self._still, self._models, self._log = list(still.values()), still["models"], log
        self._room = {"across": max(200.0, (width or WIDTH) - BESIDE_PLOT_PX), "height": float(HEIGHT_PX)}
        self._places, self._names = self._found([], _boxes(*self._pixels(still["points"], []), _DOT_PX))

    def among(self, you: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Returns the rows of models and of the setting with the places of their names: columns align, dx and dy.

        The setting's name stands over another where all places are taken.

        Args:
            you: the row of the setting, none where it cannot be drawn.
        """
        x, y = self._pixels(you, [you])
        here, labels, room = _boxes(x, y, _YOU_PX), list(you["name"]), self._room
        places, names = self._places, self._names
        found, _ = free_places(x, y, labels, range(len(you)), taken=names, **room)
        if -1 in found or any(overlap(one, other) for one in here for other in names):
            # It chooses first, and the models around it.
            marks = _boxes(*self._pixels(self._models, []), _MARK_PX)
            found, taken = free_places(x, y, labels, range(len(you)), taken=marks, **room)
            places, _ = self._found([*here, *taken[len(you) + len(marks) :]], [])
        return _placed(self._models, places), _placed(you, [max(0, place) for place in found])

    def _found(self, taken: list[Box], dots: list[Box]) -> tuple[list[int], list[Box]]:
        """Places for the names of models, over dots only where there is no other; and what names and marks take."""
        x, y = self._pixels(self._models, [])
        labels, n = list(self._models["label"]), len(self._models)
        # From the top: who stands above another has more places to choose from.
        order = [int(row) for row in np.argsort(y)]
        places, boxes = free_places(x, y, labels, order, taken=[*taken, *dots], **self._room)
        names = [*taken, *boxes[n + len(taken) + len(dots) :]]
        left = [row for row in order if places[row] < 0]
        over, boxes = free_places(x, y, labels, left, taken=names, **self._room)
        return [max(pair) for pair in zip(places, over, strict=True)], boxes

    def _pixels(self, rows: pd.DataFrame, beside: list[pd.DataFrame]) -> tuple[FloatArray, FloatArray]:
        drawn = [*self._still, *beside]
        costs = tuple(one[name] for one in drawn for name in _COSTS if name in one)
        shares = tuple(one[name] for one in drawn for name in _SHARES if name in one)
        x = pixels(rows["cost"], costs, self._room["across"], PADDING_PX, log=self._log)
        return x, HEIGHT_PX - pixels(rows["quality"], shares, HEIGHT_PX, PADDING_UPRIGHT_PX, log=False)


def _boxes(x: FloatArray, y: FloatArray, half: float) -> list[Box]:
    return [(left - half, top - half, left + half, top + half) for left, top in zip(x, y, strict=True)]


def _placed(rows: pd.DataFrame, found: list[int]) -> pd.DataFrame:
    """Rows with the places of their names; without those where all places are taken."""
    places = [PLACES[max(0, place)] for place in found]
    align, dx, dy = zip(*places, strict=True) if places else ((), (), ())
    # A text stands on its line, and a place is the middle of it.
    return rows.assign(
        align=list(align),
        dx=list(dx),
        dy=[down + 4 for down in dy],
        label=[name if place >= 0 else "" for name, place in zip(rows["label"], found, strict=True)],
    )
