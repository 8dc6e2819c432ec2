"""What a run that goes on will have cost and how long it will take, each with its spread, from what was seen."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from routebench.run import ModelProgress, Progress

_Z95 = 1.96
_WINDOW_S = 60.0
_SEEN = 8
"""Calls of a model before anything is foretold of it."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A figure that is not known yet, with the bounds between which it is to be expected 19 times of 20."""

    value: float
    low: float
    high: float


def spend_usd(progress: Progress) -> Forecast | None:
    """Returns what the run will have been billed at its end, in US dollars; None while that cannot be told.

    A model's calls that are left cost the mean of its known bills, with the variance of so many draws and of a mean of
    so few: m * sd^2 * (1 + m / n) for m calls left after n bills. Models that are paused send nothing more.
    """
    total, variance = progress.spent_usd, 0.0
    for model in progress.models:
        left = _left(progress, model)
        if not left:
            continue
        if model.n_billed < _SEEN or model.billed_sd_usd is None:
            return None
        total += left * model.billed_usd / model.n_billed
        variance += left * model.billed_sd_usd**2 * (1 + left / model.n_billed)
    spread = _Z95 * math.sqrt(variance)
    return Forecast(total, max(progress.spent_usd, total - spread), total + spread)


def _left(progress: Progress, model: ModelProgress) -> int:
    return 0 if model.name in progress.paused else model.calls - model.done


class Pace:
    """How fast the calls of every model end, over the last minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def look(self, progress: Progress) -> None:
        """Notes how far a run is; a pause is no pace, so that what was before it is forgotten."""
        if progress.status == "paused":
            self._seen.clear()
            return
        self._seen.append((progress.elapsed_s, {model.name: model.done for model in progress.models}))
        while len(self._seen) > 2 and progress.elapsed_s - self._seen[1][0] > _WINDOW_S:
            self._seen.popleft()

    def left_s(self, progress: Progress) -> Forecast | None:
        """Returns the seconds that are left; None while a model that has calls left has shown no pace.

        Models go side by side, so that the slowest counts. Calls end at random: of k in a window, the pace is known to
        k * (1 +- 1.96 / sqrt(k)), as of a Poisson count.
        """
        if len(self._seen) < 2:
            return None
        start_s, before = self._seen[0]
        window_s = progress.elapsed_s - start_s
        found = [
            _until_done(_left(progress, model), model.done - before.get(model.name, 0), window_s)
            for model in progress.models
            if _left(progress, model)
        ]
        known = [one for one in found if one is not None]
        if len(known) < len(found) or not known:
            return None
        return Forecast(max(one.value for one in known), max(one.low for one in known), max(one.high for one in known))


def _until_done(left: int, ended: int, window_s: float) -> Forecast | None:
    if ended < _SEEN or window_s <= 0:
        return None
    value, spread = left * window_s / ended, _Z95 / math.sqrt(ended)
    return Forecast(value, value / (1 + spread), value / (1 - spread))
