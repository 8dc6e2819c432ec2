"""Drawing a batch: which items, in which order, on which side, and with which probability.

Two thirds come from what the judge is in doubt about, because that is where people tell most; each item keeps the
probability with which it was drawn, so that estimates can weigh it back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from routebench.errors import ConfigError, nearest
from routebench.grade.blind.units import Against, Kind, Units, find_units
from routebench.grade.blind.words import SCALES
from routebench.grade.judge import PAIRWISE
from routebench.store import BlindAnswer, BlindBatch, BlindItem, Store, add_batch, read_batch, read_showable
from routebench.suites import Suite

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

REPEATED = 0.1
"""Share of a batch that was shown before: how far a person agrees with themselves."""
DOUBTFUL = 2 / 3
"""Share of a batch that the judge was in doubt about, as far as there is so much."""


def draw_batch(
    store: Store,
    suite: Suite,
    models: Sequence[str],
    *,
    kind: Kind,
    n: int,
    seed: int,
    scale: str,
    at: datetime,
    against: Against | None = None,
) -> BlindBatch:
    """Returns the batch of these settings: the one that is stored, else a new one, which is stored.

    Nothing about the person is in it: everybody who asks for the same is shown the same in the same order.

    Args:
        store: where answers are.
        suite: whose.
        models: whose answers may be drawn.
        kind: single answers or pairs.
        n: how many are shown, silent repeats among them.
        seed: of the draw, 0 or more; together with the other settings, so that no two batches are drawn alike.
        scale: of scores, `1-5` or `0-9`.
        at: when.
        against: what an answer is paired with, another `model` or the case's `reference`; left out, the reference where
            a `pairwise` judge grades, else a model.

    Raises:
        ConfigError: a setting cannot be.
    """
    if kind not in ("score", "pairwise"):
        raise ConfigError(f"kind {kind!r} is unknown{nearest(kind, ('score', 'pairwise'))}; say score or pairwise")
    if scale not in SCALES:
        raise ConfigError(f"scale {scale!r} is unknown; say {' or '.join(SCALES)}")
    if n < 1:
        raise ConfigError(f"n is {n}: at least one item has to be shown")
    if against not in (None, "model", "reference"):
        raise ConfigError(f"against {against!r} is unknown; say model or reference")
    if seed < 0:
        raise ConfigError(f"seed is {seed}: it has to be 0 or more")
    if against is None:
        against = "reference" if any(case.grader.name == PAIRWISE for case in suite) else "model"
    told = [suite.name, kind, n, seed, sorted(models), scale if kind == "score" else against]
    batch_id = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
    known = read_batch(store, batch_id)
    if known is not None and known.items:
        return known
    units = find_units(read_showable(store, suite.name, models), kind, models, suite, against)
    batch = BlindBatch(
        batch_id,
        suite.name,
        kind,
        units.opponent,
        scale if kind == "score" else None,
        seed,
        tuple(models),
        units.counts,
        at,
        draw(units, n, [seed, int(batch_id, 16)]),
    )
    # An empty one is no batch: answers may come.
    if not batch.items:
        return batch
    add_batch(store, batch)
    # Somebody else may have drawn it in the meantime, before an answer came; the stored one holds for all.
    return read_batch(store, batch_id) or batch


def draw(units: Units, n: int, seed: int | Sequence[int]) -> tuple[BlindItem, ...]:
    """Draws what is shown, in order.

    Args:
        units: what could be.
        n: how many are shown at the most; a tenth are silent repeats with their sides swapped.
        seed: the same one draws the same.
    """
    rng = np.random.default_rng(seed)
    total = len(units.table)
    shown = min(n, total + total // 9)
    repeats = int(REPEATED * shown)
    chosen, chance = _chosen(units.table, shown - repeats, rng)
    rows = units.table.iloc[chosen]
    places = np.arange(len(chosen))
    swapped = rng.permutation(places % 2 == 0) if units.opponent else np.zeros(len(chosen), dtype=bool)
    # What is repeated comes from the first third, and again in the second half: by then it is forgotten.
    early = rng.permutation(len(chosen) // 3 or len(chosen))[:repeats]
    half = len(chosen) // 2
    order = np.concatenate([places[:half], rng.permutation(np.concatenate([places[half:], len(chosen) + early]))])
    place_of = {int(number): place for place, number in enumerate(order)}
    items = []
    for place, number in enumerate(order.tolist()):
        again = number >= len(chosen)
        first = number - len(chosen) if again else number
        items.append(
            _item(
                place,
                rows.iloc[first],
                units.opponent,
                swapped=bool(swapped[first]) != again,
                chance=float(chance[first]),
                first_place=place_of[first] if again else None,
            )
        )
    return tuple(items)


def _chosen(
    table: pd.DataFrame, n: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Positions of what is drawn, in random order, and the probability of each."""
    doubtful = table["doubtful"].to_numpy(dtype=bool)
    inside, outside = np.flatnonzero(doubtful), np.flatnonzero(~doubtful)
    n_inside = min(round(DOUBTFUL * n), len(inside))
    n_outside = min(n - n_inside, len(outside))
    n_inside = n - n_outside
    parts, chances = [], []
    for stratum, wanted in ((inside, n_inside), (outside, n_outside)):
        if wanted:
            parts.append(_systematic(table, stratum, wanted, rng))
            chances.append(np.full(wanted, wanted / len(stratum)))
    if not parts:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    order = rng.permutation(n)
    return np.concatenate(parts)[order], np.concatenate(chances)[order]


def _systematic(
    table: pd.DataFrame, stratum: npt.NDArray[np.intp], n: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Every k-th unit of a list in the order of category and case: equal chances, spread over both."""
    rows = table.iloc[stratum]
    cases = rows["case_id"].to_numpy(dtype=str)
    _, member = np.unique(cases, return_inverse=True)
    shuffled = rng.permutation(int(member.max()) + 1)[member]
    order = np.lexsort((rng.random(len(rows)), shuffled, rows["category"].fillna("").to_numpy(dtype=str)))
    step = len(stratum) / n
    # The last step may end on the length itself by rounding.
    at = np.minimum(((rng.random() + np.arange(n)) * step).astype(np.intp), len(stratum) - 1)
    return stratum[order[at]]


def _item(
    place: int, row: pd.Series, opponent: str | None, *, swapped: bool, chance: float, first_place: int | None
) -> BlindItem:
    one = BlindAnswer(row["one_model"], row["one_request_key"], row["one_run_id"])
    other = None
    if opponent == "reference":
        other = BlindAnswer(None)
    elif opponent == "model":
        other = BlindAnswer(row["other_model"], row["other_request_key"], row["other_run_id"])
    left, right = (other, one) if swapped and other is not None else (one, other)
    return BlindItem(
        place,
        row["case_id"],
        row["group_key"],
        float(row["weight"]),
        left,
        right,
        bool(row["doubtful"]),
        chance,
        first_place,
    )
