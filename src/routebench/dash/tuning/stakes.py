"""What wrong answers cost, as somebody says by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from routebench.dash.tuning.setting import EVERY
from routebench.evaluate import Outcomes
from routebench.evaluate.choices import FloatArray


def staked(outcomes: Outcomes, stakes_usd: Mapping[str, float]) -> FloatArray:
    """Returns the stakes of every case where some are set by hand; of several classes the highest count.

    What is said of a class replaces what its cases say; what is said of every request only fills what is unknown.
    """
    cases = outcomes.cases
    found: FloatArray = np.full(len(cases), np.nan)
    for label, usd in stakes_usd.items():
        if label != EVERY:
            tagged = np.fromiter((label in tags for tags in cases.tags), dtype=bool, count=len(cases))
            inside = tagged | (cases.category == label)
            found[inside] = np.fmax(found[inside], usd)
    found = np.where(np.isnan(found), cases.stakes_usd, found)
    return np.where(np.isnan(found), stakes_usd.get(EVERY, np.nan), found)
