"""Figures of single curves that the literature reports; each says where it is from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_ARENA_BETA = 0.1
_ARENA_DEAREST_USD, _ARENA_CHEAPEST_USD = 200.0, 0.0044


def arena_score(quality: float, cost_usd_per_1k: float) -> float | None:
    """Returns RouterArena's trade of accuracy against cost (arXiv 2510.00202).

    None for a free policy, and beyond its dearest cost of 200 US dollars, where the formula means nothing.

    Args:
        quality: mean score in [0, 1].
        cost_usd_per_1k: US dollars for 1,000 requests.
    """
    if not 0 < cost_usd_per_1k <= _ARENA_DEAREST_USD:
        return None
    cost = (np.log2(_ARENA_DEAREST_USD) - np.log2(cost_usd_per_1k)) / (
        np.log2(_ARENA_DEAREST_USD) - np.log2(_ARENA_CHEAPEST_USD)
    )
    below = _ARENA_BETA * quality + cost
    return float((1 + _ARENA_BETA) * quality * cost / below) if below > 0 else None


def gap_recovered(
    strong_share: Sequence[float], quality: Sequence[float], weak_quality: float, strong_quality: float
) -> tuple[float, float | None, float | None] | None:
    """Returns APGR, CPT50 and CPT80 of a curve between two models (RouteLLM, arXiv 2406.18665).

    APGR is the area under the recovered share of the quality gap against the share of calls to the strong model; CPT50
    and CPT80 are the shares of strong calls that recover 50 % and 80 % of it, None where the curve never does.

    Args:
        strong_share: share of calls to the strong model, at every point of the curve.
        quality: mean score at every point.
        weak_quality: of the weak model alone.
        strong_quality: of the strong model alone.
    """
    gap = strong_quality - weak_quality
    if gap <= 0:
        return None
    x = np.concatenate([[0.0], strong_share, [1.0]])
    y = np.concatenate([[0.0], (np.asarray(quality) - weak_quality) / gap, [1.0]])
    # Points with equal shares count once, at the best of them.
    shares = np.unique(x)
    recovered = np.array([y[x == share].max() for share in shares])
    return (
        float(np.trapezoid(recovered, shares)),
        _first_reach(shares, recovered, 0.5),
        _first_reach(shares, recovered, 0.8),
    )


def _first_reach(x: np.ndarray, y: np.ndarray, level: float) -> float | None:
    above = np.flatnonzero(y >= level)
    if not len(above):
        return None
    at = int(above[0])
    if at == 0:
        return float(x[0])
    share = (level - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] + share * (x[at] - x[at - 1]))
