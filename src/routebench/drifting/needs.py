"""How many labelled cases of each kind of request it takes to know the quality of production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from routebench.drifting.expected import Expected
from routebench.drifting.inputs import LENGTH, looked_at
from routebench.drifting.served import Served, Words
from routebench.evaluate.choices import FloatArray
from routebench.evaluate.estimates import ALPHA
from routebench.evaluate.paired import MIN_CASES
from routebench.rules.contents import STICKY
from routebench.traces import features_of

PRECISION = 0.02
"""So narrow is the quality of production to be known, to either side."""
_WORST_SPREAD = 0.5
"""Standard deviation of a score of which nothing is known: that of a coin."""
_EDGES = (100, 1_000, 10_000)
_BANDS = ("up to 100 tokens", "101 to 1,000 tokens", "1,001 to 10,000 tokens", "over 10,000 tokens")
_BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Need:
    """How many labelled cases of one kind of request there are, and how many it would take.

    Attributes:
        rule: that decides.
        band: of lengths, such as `101 to 1,000 tokens`; None where the traces hold no features.
        share: of the requests of production.
        have: cases of the suite of this kind.
        need: cases of it among as many as tell the quality of production to within 2 points (Neyman's allocation: by
            share and spread of scores).
        spread: standard deviation of a score there, None where it was taken for that of a coin.
    """

    rule: str
    band: str | None
    share: float
    have: int
    need: int
    spread: float | None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.rule if self.band is None else f"{self.rule}, {self.band}"

    @property
    def kind(self) -> str:
        """As `kinds_of` calls it."""
        return self.rule if self.band is None else f"{self.rule}{_BETWEEN}{self.band}"

    @property
    def lacking(self) -> int:
        """How many more it takes."""
        return max(0, self.need - self.have)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "rule": self.rule,
            "band": self.band,
            "share": self.share,
            "have": self.have,
            "need": self.need,
            "lacking": self.lacking,
            "spread": self.spread,
        }


def needs(served: Served, expected: Expected | None, *, seed: int = 0) -> tuple[Need, ...]:
    """Returns how many labelled cases each kind of request takes, the kind that lacks most first.

    Args:
        served: requests that one policy decided; later turns that stayed on their model do not count.
        expected: the cases that are labelled.
        seed: of the draw of conversations that are looked at.
    """
    # What keeps a conversation on its model decides no case of a suite.
    anew = served.take(~served.rule.are(STICKY))
    drawn = looked_at(anew, seed)
    drawn = drawn if drawn.n else anew
    kinds = kinds_of(drawn)
    counts = kinds.counts()
    total = sum(counts.values())
    found = []
    for kind, n in counts.items():
        rule, _, band = kind.partition(_BETWEEN)
        weight = None if expected is None else _weight(expected, rule, band)
        have = 0 if weight is None else int(np.count_nonzero(weight))
        spread = None if expected is None or weight is None else _spread(expected.replayed.score, weight)
        found.append((rule, band or None, n / total, have, spread))
    amount = sum(share * (spread or _WORST_SPREAD) for *_, share, _, spread in found)
    z = float(special.ndtri(1 - ALPHA / 2))
    all_cases = (z * amount / PRECISION) ** 2
    made = [
        Need(rule, band, share, have, int(np.ceil(all_cases * share * (spread or _WORST_SPREAD) / amount)), spread)
        for rule, band, share, have, spread in found
    ]
    return tuple(sorted(made, key=lambda one: (-one.lacking, -one.share)))


def kinds_of(served: Served) -> Words:
    """Rule and band of lengths of each request."""
    if "features" not in served.frame or not (told := served.frame["features"].notna()).any():
        return served.rule
    features = features_of(served.frame)
    if LENGTH not in features:
        return served.rule
    bands = _bands(features[LENGTH].to_numpy(dtype=float, na_value=np.nan))
    rules = np.array([*served.rule.names, ""], dtype=object)[served.rule.by]
    names = [f"{rule}{_BETWEEN}{band}" if band else rule for rule, band in zip(rules, bands, strict=True)]
    return Words.of([name if known else None for name, known in zip(names, told | served.rule.known, strict=True)])


def _bands(lengths: FloatArray) -> list[str]:
    return [
        _BANDS[place] if place >= 0 else ""
        for place in np.where(np.isnan(lengths), -1, np.searchsorted(_EDGES, lengths))
    ]


def _weight(expected: Expected, rule: str, band: str) -> FloatArray:
    """How much each scored case tells of a kind of request, shape (n,)."""
    names, chances = expected.rules
    if rule not in names:
        return np.zeros(expected.n)
    weight = chances[:, names.index(rule)] * expected.weight * ~expected.replayed.missing
    if band:
        lengths = np.array([one[LENGTH] for one in expected.features], dtype=float)
        weight = weight * (np.array(_bands(lengths)) == band)
    return weight


def _spread(score: FloatArray, weight: FloatArray) -> float | None:
    """Standard deviation of scores; None for too few of them, or where all are alike by what may be chance."""
    known = ~np.isnan(score) & (weight > 0)
    if known.sum() < MIN_CASES:
        return None
    mean = np.average(score[known], weights=weight[known])
    return float(np.sqrt(np.average((score[known] - mean) ** 2, weights=weight[known]))) or None
