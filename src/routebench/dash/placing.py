"""Where marks and their names stand in a picture, worked out before it is drawn: so names do not hide each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

MODEL, STRATEGY, TODAY, REFERENCE = "model", "strategy", "today", "reference"
Along = Literal["cost", "p50", "p95"]
"""What quality is drawn against: cost, or a quantile of the time to the answer."""

Box = tuple[float, ...]
"""Left, top, right and bottom in pixels."""

WIDTH, HEIGHT = 880, 400
PADDING_PX, PADDING_UPRIGHT_PX = 28, 18
TEXT_PX = 13
PLACES = (
    *(("left", 10, -10), ("right", -10, -10), ("left", 10, 15), ("right", -10, 15)),
    *(("center", 0, -19), ("center", 0, 24)),
    *(("right", -10, -27), ("left", 10, -27), ("right", -10, 32), ("left", 10, 32)),
)
"""Where a name may stand: its alignment, and pixels from its mark to the right and down."""
BESIDE_PLOT_PX = 76
_MARK_PX = 8
_LETTER_PX, _LINE_PX = 7.0, 16
_NOWHERE = -1


def placed(
    points: pd.DataFrame, hull: pd.DataFrame, along: Along, *, log: bool, width: int = WIDTH
) -> dict[str, pd.DataFrame]:
    """Returns the rows of `charts.scatter`: where marks stand, and where their names do not hide each other.

    Args:
        points: as in `charts.cost_quality`.
        hull: likewise.
        along: what is drawn to the right.
        log: whether that axis is logarithmic; what is 0 then has no place.
        width: of the whole picture, in pixels.
    """
    low, high = ("cost_low", "cost_high") if along == "cost" else (along, along)
    found = points.assign(x=points[along], x_low=points[low], x_high=points[high])
    found = found[found["x"] > 0 if log else found["x"].notna()].reset_index(drop=True)
    if log:
        found["x_low"] = found["x_low"].where(found["x_low"] > 0, found["x"])
    corners = hull.assign(x=hull["cost"])
    corners = corners[corners["x"] > 0] if log else corners
    if along != "cost":
        corners = corners.iloc[:0]
    return {"points": _named(found, corners, log=log, width=width), "hull": corners}


def arrow(points: pd.DataFrame, start: str, end: str, *, log: bool) -> pd.DataFrame:
    """Returns the row of the arrow between two marks of `placed`, none where one of them is not drawn.

    Columns x, quality, x2, quality2, and where its head stands and how it is turned: x_head, quality_head, turn.
    """
    columns = ["x", "quality", "x2", "quality2", "x_head", "quality_head", "turn"]
    at = dict(zip(points["name"], points.to_dict("records"), strict=True))
    if start not in at or end not in at or start == end:
        return pd.DataFrame(columns=columns)
    one, other = at[start], at[end]
    right, down = other["left"] - one["left"], other["top"] - one["top"]
    length = float(np.hypot(right, down))
    if length <= 3 * _MARK_PX:
        return pd.DataFrame(columns=columns)
    # Just before the mark that it leads to, so that neither hides the other.
    reached = 1 - 2 * _MARK_PX / length
    ratio = other["x"] / one["x"] if log else 1.0
    x = one["x"] * ratio**reached if log else one["x"] + reached * (other["x"] - one["x"])
    quality = one["quality"] + reached * (other["quality"] - one["quality"])
    turn = float(np.degrees(np.arctan2(right, -down)))
    return pd.DataFrame([(one["x"], one["quality"], other["x"], other["quality"], x, quality, turn)], columns=columns)


def placed_alone(points: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of the picture of quality alone, the best first."""
    return points.sort_values("quality", ascending=False, kind="stable")


def _named(points: pd.DataFrame, hull: pd.DataFrame, *, log: bool, width: int) -> pd.DataFrame:
    """Gives every name a free place beside its mark, column `place`; -1 where all are taken."""
    across = max(200, width - BESIDE_PLOT_PX)
    x = pixels(points["x"], (points["x_low"], points["x_high"], hull["x"]), across, PADDING_PX, log=log)
    bounds = (points["low"], points["high"], hull["low"], hull["high"], points["quality"])
    y = HEIGHT - pixels(points["quality"], bounds, HEIGHT, PADDING_UPRIGHT_PX, log=False)
    # What is compared is named first, before all the pick, and the models after it.
    first = [(not pick, kind == MODEL) for pick, kind in zip(points["is_pick"], points["kind"], strict=True)]
    order = sorted(range(len(points)), key=first.__getitem__)
    places, _ = free_places(x, y, list(points["label"]), order, across=across, height=HEIGHT)
    return points.assign(place=places, left=x, top=y)


def free_places(
    x: Any,
    y: Any,
    labels: Sequence[str],
    order: Sequence[int],
    *,
    across: float,
    height: float,
    taken: Sequence[Box] = (),
) -> tuple[list[int], list[Box]]:
    """Finds a free place beside its mark for every name.

    Args:
        x: pixels from the left to every mark, shape (n,).
        y: pixels from the top.
        labels: the names.
        order: rows, those that choose first first.
        across: pixels that there are to the right.
        height: likewise downwards.
        taken: what others take.

    Returns:
        Of every name its number in PLACES, -1 where all are taken; and all boxes that are taken now.
    """
    own = [(left - _MARK_PX, top - _MARK_PX, left + _MARK_PX, top + _MARK_PX) for left, top in zip(x, y, strict=True)]
    boxes, places = [*own, *taken], [_NOWHERE] * len(own)
    for row in order:
        length = _LETTER_PX * len(labels[row])
        for place, (align, dx, dy) in enumerate(PLACES):
            left = x[row] + dx - {"left": 0.0, "center": length / 2, "right": length}[align]
            middle = y[row] + dy
            box = (left, middle - _LINE_PX / 2, left + length, middle + _LINE_PX / 2)
            inside = box[0] >= 0 and box[2] <= across and box[1] >= 0 and box[3] <= height
            others = (one for number, one in enumerate(boxes) if number != row)
            if inside and not any(overlap(box, one) for one in others):
                places[row] = place
                boxes.append(box)
                break
    return places, boxes


def pixels(values: Any, bounds: tuple[Any, ...], length: float, padding: float, *, log: bool) -> Any:
    """Returns where values stand on an axis that holds all bounds, with padding at both ends, in pixels."""
    turned = np.log if log else np.asarray
    every = np.concatenate([np.asarray(one, dtype=float) for one in bounds])
    every = every[~np.isnan(every)]
    if not len(every):
        return np.full(len(values), length / 2)
    low, high = turned(every.min()), turned(every.max())
    if high <= low:
        return np.full(len(values), length / 2)
    return padding + (length - 2 * padding) * (turned(np.asarray(values, dtype=float)) - low) / (high - low)


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes have more than an edge in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
