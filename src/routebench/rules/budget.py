"""What was spent today, against what may be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

from routebench.messages import most_output_tokens
from routebench.types import Model, Request, Usage

_ANSWER_TOKENS = 256
"""An answer's length where the request sets no cap, to compare the prices of models by."""
_EARLY = 1 / 24
"""Before the first hour of a day is over its pace is that of a whole hour: a few cents at midnight are no trend."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a day may cost.

    Attributes:
        when_spent: `cheapest`: the cheapest model that may take the request; `refuse`: requests fail.
        timezone: whose midnight ends the day.
    """

    usd_per_day: float
    when_spent: Literal["cheapest", "refuse"] = "cheapest"
    timezone: str = "UTC"


class Ledger:
    """Adds up what calls cost, day by day; safe to use from many threads.

    Args:
        budget: what may be spent.
        now: the time, with its zone.
    """

    def __init__(self, budget: Budget, now: Callable[[], datetime]) -> None:
        self.budget = budget
        self._zone = ZoneInfo(budget.timezone)
        self._now = now
        self._lock = threading.Lock()
        self._day: date | None = None
        self._spent_usd = 0.0
        self._n_unknown = 0

    def add(self, cost_usd: float | None) -> None:
        """Counts one call; one of unknown cost is counted as such, not as free."""
        today = self._now().astimezone(self._zone).date()
        with self._lock:
            self._begin(today)
            if cost_usd is None:
                self._n_unknown += 1
            else:
                self._spent_usd += cost_usd

    def restore(self, spent_usd: float, day: date, n_unknown: int = 0) -> None:
        """Takes over what an earlier process had spent on a day."""
        with self._lock:
            self._day, self._spent_usd, self._n_unknown = day, spent_usd, n_unknown

    def take_over(self, earlier: Ledger) -> None:
        """Goes on with what another ledger counted today; two that count days by other zones have no day in common."""
        if earlier.budget.timezone == self.budget.timezone:
            with earlier._lock:
                day, spent_usd, n_unknown = earlier._day, earlier._spent_usd, earlier._n_unknown
            with self._lock:
                self._day, self._spent_usd, self._n_unknown = day, spent_usd, n_unknown

    @property
    def spent_usd(self) -> float:
        """US dollars known to be spent today."""
        return self._today(self._now())

    @property
    def n_unknown(self) -> int:
        """Calls of today whose cost is unknown."""
        self._today(self._now())
        return self._n_unknown

    @property
    def today(self) -> tuple[date, float, int]:
        """The day, the US dollars known to be spent on it, and its calls of unknown cost; all of one moment."""
        today = self._now().astimezone(self._zone).date()
        with self._lock:
            self._begin(today)
            return self._day or today, self._spent_usd, self._n_unknown

    @property
    def is_spent(self) -> bool:
        """Whether today's budget is used up."""
        return self.spent_usd >= self.budget.usd_per_day

    def pace(self, at: datetime) -> float:
        """Returns what was spent, divided by what an even day would have spent until now: above 1 is too fast."""
        local = at.astimezone(self._zone)
        begun = datetime.combine(local.date(), time(), tzinfo=self._zone)
        share = max((local - begun).total_seconds() / 86_400, _EARLY)
        return self._today(at) / (self.budget.usd_per_day * share)

    def _today(self, at: datetime) -> float:
        today = at.astimezone(self._zone).date()
        with self._lock:
            self._begin(today)
            return self._spent_usd

    def _begin(self, today: date) -> None:
        if self._day is None or today > self._day:
            self._day, self._spent_usd, self._n_unknown = today, 0.0, 0


def cheapest_first(names: tuple[str, ...], models: Mapping[str, Model], request: Request, tokens: int) -> list[str]:
    """Returns models by what the request would cost there; those of unknown price come last, in their order.

    Args:
        names: of the models.
        models: by name.
        request: for its cap on the answer.
        tokens: of input.
    """
    from routebench.pricing import list_cost_usd

    usage = Usage(tokens, most_output_tokens(request.params) or _ANSWER_TOKENS)

    def cost(name: str) -> float:
        found = list_cost_usd(usage, models[name].price)
        return float("inf") if found is None else found

    return sorted(names, key=cost)
