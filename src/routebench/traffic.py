"""What production asks for: how many requests a month, and of which categories; a suite is weighted by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from routebench.errors import InputError, nearest

if TYPE_CHECKING:
    from routebench.evaluate import Outcomes

_DAYS_OF_A_MONTH = 30
_COLUMNS = ("requests", "category", "date")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of a month.

    Attributes:
        requests_per_month: those that the figures speak for.
        by_category: category -> its requests; empty where the traffic is not told apart.
        remarks: what the figures cannot speak for, in sentences.
    """

    requests_per_month: float
    by_category: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def weighted(self) -> bool:
        """Whether cases stand for the requests of their category."""
        return bool(self.by_category)

    @classmethod
    def read(cls, path: str | Path) -> Traffic:
        """Reads a CSV file: `requests`, and perhaps `category` and `date`; without dates it is one month.

        With dates the sum is scaled from the days between the first and the last to 30.

        Raises:
            InputError: the file cannot be read, or a value is not what its column says; the row is named.
        """
        import pandas as pd

        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as CSV ({error})") from None
        frame.columns = frame.columns.str.strip()
        if "requests" not in frame.columns:
            found = ", ".join(frame.columns)
            hint = nearest("requests", list(frame.columns))
            raise InputError(f"{path}: no column `requests`{hint}; it has {found}; known: {', '.join(_COLUMNS)}")
        requests = pd.to_numeric(frame["requests"].str.replace(",", ""), errors="coerce")
        wrong = np.flatnonzero(~(requests >= 0))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                f"{path}: row {row + 1}: requests is {frame['requests'].iloc[row]!r}, not a number from 0 on"
            )
        if not requests.sum() > 0:
            raise InputError(f"{path}: there is not one request in it")
        scale = 1.0 if "date" not in frame.columns else _DAYS_OF_A_MONTH / _days(path, frame["date"])
        by_category: dict[str, float] = {}
        if "category" in frame.columns:
            sums = requests.groupby(frame["category"].str.strip()).sum()
            by_category = {str(name): float(value) * scale for name, value in sums.items()}
        return cls(float(requests.sum()) * scale, by_category)

    def weigh(self, outcomes: Outcomes) -> tuple[Outcomes, Traffic]:
        """Returns the outcomes with every case standing for its share of its category's requests, and what they cover.

        Cases of categories without traffic are left out; traffic of categories without cases is not spoken for, and
        the traffic that is returned says so.

        Raises:
            InputError: no category of the traffic has a case.
        """
        if not self.by_category:
            return outcomes, self
        category = outcomes.cases.category
        covered = {name: requests for name, requests in self.by_category.items() if requests and name in set(category)}
        if not covered:
            known = ", ".join(sorted(set(category) - {""})) or "none"
            told = ", ".join(list(self.by_category)[:5])
            raise InputError(
                f"no category of the traffic ({told}) has a case in suite {outcomes.suite!r}; its categories: {known}"
            )
        kept = outcomes.take(np.isin(category, list(covered)))
        weight = kept.weight.copy()
        for name, requests in covered.items():
            inside = kept.cases.category == name
            weight[inside] *= requests / weight[inside].sum()
        # Of mean one, so that they read like the weights of a suite.
        weight /= weight.mean()
        remarks: list[str] = []
        total, spoken = sum(self.by_category.values()), sum(covered.values())
        if spoken < total:
            lacking = ", ".join(sorted(name or "(no category)" for name in self.by_category if name not in covered))
            remarks.append(
                f"{(total - spoken) / total:.0%} of the requests are of categories that the suite has no case of "
                f"({lacking}): nothing here speaks for them."
            )
        if kept.n < outcomes.n:
            remarks.append(f"{outcomes.n - kept.n} cases of categories without traffic are left out.")
        weighed = replace(kept, cases=replace(kept.cases, weight=weight))
        return weighed, Traffic(spoken, covered, tuple(remarks))


def _days(path: str | Path, dates: Any) -> int:
    import pandas as pd

    days = pd.to_datetime(dates, errors="coerce", utc=True)
    wrong = np.flatnonzero(days.isna())
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"{path}: row {row + 1}: date is {dates.iloc[row]!r}; write it as 2026-11-30")
    return int((days.max().normalize() - days.min().normalize()).days) + 1
