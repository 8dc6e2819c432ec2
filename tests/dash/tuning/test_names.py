"""Names in the tuner's picture: none over another, over the setting's mark, or over points where there is room."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from routebench.dash.placing import BESIDE_PLOT_PX, Box, overlap, pixels
from routebench.dash.tuning.names import HEIGHT_PX, PADDING_PX, PADDING_UPRIGHT_PX, Names

WIDTH = 900
FOUR = ["north-model", "south-model", "east-model", "west-model"]


def still(points: int = 0) -> dict[str, pd.DataFrame]:
    """Four models close to each other among points, in a picture that is much wider."""
    models = pd.DataFrame({"label": FOUR, "cost": [1.0, 1.0, 1.25, 0.8], "quality": [0.56, 0.44, 0.5, 0.5]})
    rng = np.random.default_rng(0)
    dots = pd.DataFrame({"cost": rng.uniform(0.9, 1.1, points), "quality": rng.uniform(0.4, 0.6, points)})
    hull = pd.DataFrame({"cost": [0.1, 10.0], "quality": [0.1, 0.9], "low": [0.0, 0.8], "high": [0.2, 1.0]})
    return {"points": dots, "models": models, "hull": hull}


def you(cost: float, quality: float) -> pd.DataFrame:
    at = {"name": "student 7", "label": "student 7: lambda=1", "cost": cost, "quality": quality}
    return pd.DataFrame([{**at, "low": quality - 0.05, "high": quality + 0.05, "cost_low": cost, "cost_high": cost}])


def at(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where marks stand, by the bounds of `still`."""
    x = pixels(rows["cost"], ([0.1, 10.0],), WIDTH - BESIDE_PLOT_PX, PADDING_PX, log=True)
    return x, HEIGHT_PX - pixels(rows["quality"], ([0.0, 1.0],), HEIGHT_PX, PADDING_UPRIGHT_PX, log=False)


def boxes(rows: pd.DataFrame, names: str) -> list[Box]:
    """What the names take, a little less than the placer thinks."""
    found = []
    for x, y, row in zip(*at(rows), rows.to_dict("records"), strict=True):
        length = 6.5 * len(row[names])
        left = x + row["dx"] - {"left": 0.0, "center": length / 2, "right": length}[row["align"]]
        found.append((left, y + row["dy"] - 10, left + length, y + row["dy"] + 3))
    return found


@pytest.mark.parametrize("cost", np.linspace(0.85, 1.2, 15))
def test_no_name_hides_another_wherever_the_setting_goes(cost: float) -> None:
    models, own = Names(still(), log=True, width=WIDTH).among(you(cost, 0.5))
    assert list(models["label"]) == FOUR
    taken = [*boxes(models, "label"), *boxes(own, "name")]
    assert not any(overlap(*pair) for pair in combinations(taken, 2))
    (x,), (y,) = at(own)
    assert not any(overlap(one, (x - 11, y - 11, x + 11, y + 11)) for one in taken)


def test_names_stay_where_they_are_while_the_setting_is_elsewhere() -> None:
    names = Names(still(), log=True, width=WIDTH)
    places = [names.among(you(cost, 0.3))[0][["dx", "dy", "align"]].to_numpy().tolist() for cost in (0.2, 3.0, 8.0)]
    assert places[0] == places[1] == places[2]


def test_a_name_stands_over_points_where_there_is_no_other_place_and_is_never_lost() -> None:
    models, own = Names(still(2_000), log=True, width=WIDTH).among(you(1.0, 0.5))
    assert list(models["label"]) == FOUR
    assert list(own["label"]) == ["student 7: lambda=1"]


def test_nothing_to_name_is_no_error() -> None:
    empty = still() | {"models": still()["models"].iloc[:0]}
    models, own = Names(empty, log=False, width=0).among(you(1.0, 0.5).iloc[:0])
    assert len(models) == len(own) == 0
