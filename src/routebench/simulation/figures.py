"""What a stretch of time was like for those who asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from routebench.evaluate.choices import BoolArray, FloatArray
from routebench.simulation.course import Course


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests that came within a stretch of time; None where nothing is known to tell by.

    Attributes:
        from_s: where it begins, in seconds from the start.
        to_s: where it ends.
        n: requests that came.
        quality: mean score of the answers given, those of failed requests as 0.
        cost_usd_per_1k: mean cost of 1,000 requests: of all their calls, but for those that an incident made fail.
        latency_p50_s: median of the time from the request to its answer, over those answered.
        latency_p95_s: 95th percentile of the same.
        failed: requests without an answer.
        avoidable: those of them for which a model that the guards allow was in no trouble.
        n_unscored: answers without a score, which quality leaves out.
        n_cost_unknown: requests that the cost leaves out.
        shares: model -> its share of the requests; what is missing to 1 failed.
    """

    from_s: float
    to_s: float
    n: int
    quality: float | None
    cost_usd_per_1k: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    failed: int
    avoidable: int
    n_unscored: int
    n_cost_unknown: int
    shares: Mapping[str, float]

    @classmethod
    def of(cls, course: Course, from_s: float, to_s: float, *, last: bool = True) -> Figures:
        """Works them out for the requests that came from `from_s` on and before `to_s`; at `to_s` too in the last."""
        # In the order in which they came, so that a stretch of time is a slice.
        begin = int(np.searchsorted(course.at_s, from_s))
        end = int(np.searchsorted(course.at_s, to_s, side="right" if last else "left"))
        inside, n = slice(begin, end), end - begin
        by = course.answered_by[inside]
        answered: BoolArray = by >= 0
        score, cost, latency_s = course.score[inside], course.cost_usd[inside], course.latency_s[inside][answered]
        counts = np.bincount(by[answered], minlength=len(course.models))
        p50, p95 = np.percentile(latency_s, (50, 95)) if len(latency_s) else (None, None)
        cost_usd = _mean(cost)
        return cls(
            from_s,
            to_s,
            n,
            _mean(score),
            None if cost_usd is None else 1000.0 * cost_usd,
            None if p50 is None else float(p50),
            None if p95 is None else float(p95),
            int((~answered).sum()),
            int(course.avoidable[inside].sum()),
            int(np.isnan(score).sum()),
            int(np.isnan(cost).sum()),
            {name: float(count / n) for name, count in zip(course.models, counts, strict=True)} if n else {},
        )

    @property
    def failed_share(self) -> float | None:
        """Share of the requests without an answer."""
        return self.failed / self.n if self.n else None

    def as_dict(self) -> dict[str, Any]:
        """The form in which `simulate --json` prints it."""
        return {**asdict(self), "failed_share": self.failed_share}


def binned(course: Course, duration_s: float, bin_s: float) -> tuple[Figures, ...]:
    """Returns the figures of equal stretches one after the other; the last may be shorter."""
    edges = [*np.arange(0.0, duration_s - 1e-9 * bin_s, bin_s).tolist(), duration_s]
    spans = list(pairwise(edges))
    return tuple(Figures.of(course, *span, last=span == spans[-1]) for span in spans)


def _mean(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
