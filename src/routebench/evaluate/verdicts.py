"""What a person's verdicts on blindly drawn answers say, weighed back by the chances with which they were drawn.

Means are Hajek's: each item counts as the requests that its case stands for, over its chance to be drawn; the errors
are robust to several items of one case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.evaluate.intervals import Interval, mean_interval, wilson
from routebench.grade.agreement import Coefficient, cohen_kappa, krippendorff_alpha

MIN_ITEMS = 30
"""With fewer a difference is not decided on."""
EVERYBODY = "all others"
"""Against whom a model stands where there are more than two."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one side fares in the pairs in which it was shown.

    Attributes:
        name: a model.
        against: another, `reference`, or `all others`.
        n: pairs with a verdict.
        wins, ties, losses: of them, unweighted.
        preferred: weighted mean of 1 for a win and 0.5 for a tie.
        won, tied, lost: weighted shares.
    """

    name: str
    against: str
    n: int
    wins: int
    ties: int
    losses: int
    preferred: Interval
    won: Interval
    tied: Interval
    lost: Interval

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `cannot_tell`, or `too_few`."""
        return verdict_of(self.preferred, self.n)


@dataclass(frozen=True, slots=True)
class Held:
    """A grader held against the person.

    Attributes:
        n: items that both judged.
        alpha: Krippendorff's, interval level.
        kappa: Cohen's with quadratic weights.
        same: weighted share of items of which both say the same; None for scores.
        above: weighted mean of how much higher than the person it scores; None for pairs of models.
    """

    n: int
    alpha: Coefficient
    kappa: Coefficient
    same: Interval | None
    above: Interval | None


@dataclass(frozen=True, slots=True)
class Repeats:
    """How far a person says the same again when shown the same with its sides swapped."""

    same: int
    n: int

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Wilson's interval of the share; None before anything was repeated."""
        return wilson(self.same, self.n) if self.n else None


def verdict_of(preferred: Interval, n: int) -> str:
    """Returns which side an interval of a preference is on; `too_few` below 30 items."""
    if n < MIN_ITEMS or preferred.ci95 is None:
        return "too_few"
    low, high = preferred.ci95
    return "better" if low > 0.5 else "worse" if high < 0.5 else "cannot_tell"


def standings(items: pd.DataFrame, models: Sequence[str]) -> tuple[Standing, ...]:
    """Returns how models fare: each against all others where there are more than two, and each pair.

    Args:
        items: pairs with a verdict: `left`, `right` (names, `reference` among them), `value` (1 where the left one is
            better, 0.5, 0), `weight` (requests over chance), `group`.
        models: in their order.
    """
    found = []
    names = [name for name in models if (items["left"] == name).any() or (items["right"] == name).any()]
    against_reference = (items["left"] == "reference").any() or (items["right"] == "reference").any()
    if against_reference:
        return tuple(_standing(items, name, "reference") for name in names)
    if len(names) > 2:
        found += [_standing(items, name, EVERYBODY) for name in names]
    for at, name in enumerate(names):
        for other in names[at + 1 :]:
            pair = items["left"].isin([name, other]) & items["right"].isin([name, other])
            if pair.any():
                found.append(_standing(items[pair], name, other))
    return tuple(found)


def _standing(items: pd.DataFrame, name: str, against: str) -> Standing:
    mine = items[(items["left"] == name) | (items["right"] == name)]
    value = np.where(mine["left"] == name, mine["value"], 1 - mine["value"])
    groups, weight = _drawn(mine)
    return Standing(
        name,
        against,
        len(mine),
        int((value > 0.5).sum()),
        int((value == 0.5).sum()),
        int((value < 0.5).sum()),
        *(
            _share(values, groups, weight)
            for values in (value, _floats(value > 0.5), _floats(value == 0.5), _floats(value < 0.5))
        ),
    )


def mean_score(items: pd.DataFrame) -> Interval | None:
    """Returns the weighted mean of all scores; None where there is none."""
    return mean_interval(items["value"].to_numpy(dtype=float), *_drawn(items), share=True)


def mean_scores(items: pd.DataFrame, models: Sequence[str]) -> dict[str, tuple[int, Interval]]:
    """Returns, of every model with a score, how many there are and their weighted mean."""
    found = {}
    for name in models:
        mine = items[items["left"] == name]
        if len(mine):
            groups, weight = _drawn(mine)
            found[name] = (len(mine), _share(mine["value"].to_numpy(dtype=float), groups, weight))
    return found


def held(items: pd.DataFrame, *, pairs: bool, grades: bool) -> Held | None:
    """Holds the suite's grader against the person; None where both judged nothing.

    Args:
        items: `value` by the person and `judge` on the same scale, NaN where unknown, `weight`, `group`.
        pairs: whether the values are preferences.
        grades: whether they are grades of single answers.
    """
    both = items[items["judge"].notna()]
    if both.empty:
        return None
    person, judge = both["value"].to_numpy(dtype=float), both["judge"].to_numpy(dtype=float)
    groups, weight = _drawn(both)
    chance = 1 / weight
    return Held(
        len(both),
        krippendorff_alpha(np.stack([judge, person]), groups=groups, chance=chance),
        cohen_kappa(judge, person, "quadratic", groups=groups, chance=chance),
        _share(_floats(np.sign(judge - 0.5) == np.sign(person - 0.5)), groups, weight) if pairs else None,
        mean_interval(judge - person, groups, weight) if grades else None,
    )


def left_share(items: pd.DataFrame) -> tuple[int, Interval] | None:
    """Returns of how many decided pairs which share went to the left side; None before one was decided.

    Sides are drawn, so that without a liking for one it is a half. Unweighted: it is a fact about the person.

    Args:
        items: `to_left` (1 where what stood left is better, 0.5, 0) and `group`.
    """
    decided = items[items["to_left"] != 0.5]
    if decided.empty:
        return None
    value = decided["to_left"].to_numpy(dtype=float)
    return len(decided), _share(value, decided["group"].to_numpy(dtype=str), np.ones(len(decided)))


def raters_agree(values: pd.DataFrame) -> pd.DataFrame:
    """Returns how far every two people agree on a batch: rater, other, n, same, alpha, kappa.

    Args:
        values: a column a person, a row an item, NaN where one said nothing.
    """
    rows = []
    names = list(values.columns)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            both = values[[one, other]].dropna()
            if both.empty:
                continue
            first, second = (both[name].to_numpy(dtype=float) for name in (one, other))
            rows.append(
                {
                    "rater": one,
                    "other": other,
                    "n": len(both),
                    "same": int((first == second).sum()),
                    "alpha": krippendorff_alpha(np.stack([first, second])),
                    "kappa": cohen_kappa(first, second, "quadratic"),
                }
            )
    return pd.DataFrame(rows, columns=["rater", "other", "n", "same", "alpha", "kappa"])


def as_plain(value: Any) -> Any:
    """Returns an estimate as JSON holds it."""
    if isinstance(value, Interval):
        return {"mean": value.mean, "ci95": None if value.ci95 is None else list(value.ci95), "method": value.method}
    return asdict(value)


def _drawn(items: pd.DataFrame) -> tuple[npt.NDArray[np.str_], FloatArray]:
    return items["group"].to_numpy(dtype=str), items["weight"].to_numpy(dtype=float)


def _floats(values: BoolArray) -> FloatArray:
    return values.astype(float)


def _share(values: FloatArray, groups: npt.NDArray[np.str_], weight: FloatArray) -> Interval:
    found = mean_interval(values, groups, weight, share=True)
    assert found is not None, "callers pass values that are known"
    return found
