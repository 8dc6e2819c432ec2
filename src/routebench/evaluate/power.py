"""What a comparison of so many cases can and cannot see."""

from __future__ import annotations

from scipy import special

from routebench.evaluate.estimates import ALPHA

_POWER = 0.8


def minimum_detectable(n: int, discordance: float, comparisons: int = 1) -> float:
    """Returns the smallest true difference that 80 % of such comparisons would find, in mean score.

    About 2.8 * sqrt(d / n) for one comparison; a half-and-half split of 1,000 cases has n = 500 pairs.

    Args:
        n: paired cases.
        discordance: share of them on which the two strategies differ.
        comparisons: how many are made at once (Bonferroni).
    """
    if n < 1:
        return float("nan")
    return detectable((discordance / n) ** 0.5, comparisons)


def detectable(error: float, comparisons: int = 1) -> float:
    """Returns the smallest true difference that 80 % of comparisons with such a standard error would find.

    Args:
        error: standard error of the difference.
        comparisons: how many are made at once (Bonferroni).
    """
    return float(special.ndtri(1 - ALPHA / 2 / comparisons) + special.ndtri(_POWER)) * error


def false_winner_probability(comparisons: int) -> float:
    """Returns how often so many independent, unadjusted comparisons find a difference where there is none."""
    return float(1 - (1 - ALPHA) ** comparisons)
