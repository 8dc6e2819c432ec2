"""A run at one moment, with what its latest calls say of its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from routebench.dash.watching.forecast import Forecast
from routebench.run import Progress, RecentCall


@dataclass(frozen=True, slots=True)
class Look:
    """A run at one moment.

    Attributes:
        spend: what it will have cost, in US dollars; None while that cannot be told.
        left: seconds that are left; None while that cannot be told.
        calls: the latest, newest last.
        problems: those of them, and older ones, that did not go smoothly.
    """

    progress: Progress
    spend: Forecast | None
    left: Forecast | None
    calls: Sequence[RecentCall]
    problems: Sequence[RecentCall]

    def points(self) -> pd.DataFrame:
        """The latest calls for the picture: at_s, model, case, latency_s, kind (`answered` or `failed`), what."""
        rows = [
            (
                call.at_s,
                call.model,
                call.case_id or "",
                np.nan if call.latency_s is None else call.latency_s,
                "failed" if call.has_failed else "answered",
                str(call),
            )
            for call in self.calls
        ]
        return pd.DataFrame(rows, columns=["at_s", "model", "case", "latency_s", "kind", "what"])
