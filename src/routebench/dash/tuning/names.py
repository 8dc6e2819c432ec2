"""Where names stand in the tuner's picture, so that none hides another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from routebench.dash.placing import BESIDE_PLOT_PX, PLACES, WIDTH, free_places, pixels

HEIGHT_PX = 360
PADDING_PX, PADDING_UPRIGHT_PX = 24, 16
_COSTS, _SHARES = ("cost", "cost_low", "cost_high"), ("quality", "low", "high")


class Names:
    """The names of models, which keep their places, and that of the setting, which finds a free one among them.

    Args:
        still: the rows of `field_frames`.
        log: whether costs are drawn on a logarithmic axis.
        width: of the whole picture in pixels; 0 where nobody knows it yet.

    Attributes:
        models: the rows of the models, with the place of each name: columns align, dx and dy.
    """

    def __init__(self, still: Mapping[str, pd.DataFrame], *, log: bool, width: int) -> None:
        self._still, self._log = list(still.values()), log
        self._across = max(200, (width or WIDTH) - BESIDE_PLOT_PX)
        models = still["models"]
        x, y = self._pixels(models, self._still)
        # From the top: who stands above another has more places to choose from.
        order = [int(row) for row in np.argsort(y)]
        found, self._taken = free_places(x, y, list(models["label"]), order, across=self._across, height=HEIGHT_PX)
        self.models = _placed(models, found)

    def beside(self, you: pd.DataFrame) -> pd.DataFrame:
        """Returns the row of the setting with a place for its name; over another name where all are taken."""
        x, y = self._pixels(you, [*self._still, you])
        names, rows = list(you["name"]), range(len(you))
        found, _ = free_places(x, y, names, rows, across=self._across, height=HEIGHT_PX, taken=self._taken)
        return _placed(you, [max(0, place) for place in found])

    def _pixels(self, rows: pd.DataFrame, drawn: list[pd.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
        costs = tuple(one[name] for one in drawn for name in _COSTS if name in one)
        shares = tuple(one[name] for one in drawn for name in _SHARES if name in one)
        x = pixels(rows["cost"], costs, self._across, PADDING_PX, log=self._log)
        return x, HEIGHT_PX - pixels(rows["quality"], shares, HEIGHT_PX, PADDING_UPRIGHT_PX, log=False)


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
