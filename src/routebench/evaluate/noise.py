"""How much of an interval is noise of the answers, and not of which cases were drawn."""

from __future__ import annotations

import numpy as np

from routebench.evaluate.choices import FloatArray
from routebench.evaluate.outcomes import mean_known


def noise_share(samples: FloatArray, weight: FloatArray) -> float | None:
    """Returns the share of the variance of case means that repeating the answers would take away.

    The mean within-case variance over the number of samples, over the variance of the case means. None where hardly
    any case has two samples, or all cases score alike.

    Args:
        samples: score of every sample, NaN where unknown, shape (n, k).
        weight: of each case, shape (n,).
    """
    counts = (~np.isnan(samples)).sum(axis=1)
    several = counts >= 2
    if several.sum() < 2:
        return None
    samples, counts, weight = samples[several], counts[several], weight[several]
    means = mean_known(samples)
    within = np.nansum((samples - means[:, None]) ** 2, axis=1) / (counts - 1) / counts
    total = float(np.average((means - np.average(means, weights=weight)) ** 2, weights=weight))
    return min(1.0, float(np.average(within, weights=weight)) / total) if total > 0 else None
