"""Windows of time in a week, and what a week is made of where rules ask for the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Self
from zoneinfo import ZoneInfo

from routebench.rules.conditions.parts import parts_of
from routebench.rules.reading.once import once

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WEEK = datetime(2026, 6, 1, tzinfo=UTC)
"""The Monday that the week of `situations` begins with; no clock is put forward or back in that week."""


@dataclass(frozen=True)
class TimeWindow:
    """Times of the week, by the clock on the wall of a time zone.

    Attributes:
        after: the first minute of the day, from 0; None for midnight.
        before: the minute of the day that is the first one outside; None for midnight. Not above `after`: the window
            goes on over midnight, and belongs to the day on which it begins.
        days: 0 for Monday to 6 for Sunday.
        timezone: such as Europe/Berlin.
    """

    after: int | None = None
    before: int | None = None
    days: frozenset[int] = frozenset(range(7))
    timezone: str = "UTC"

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Builds a window from its YAML form, which is known to be right: {after, before, days, timezone}."""
        days = data.get("days")
        return cls(
            _minute(data.get("after")),
            _minute(data.get("before")),
            cls.days if days is None else frozenset(DAYS.index(day) for day in days),
            data.get("timezone") or "UTC",
        )

    @once
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def holds(self, at: datetime) -> bool:
        """Whether a time is in the window.

        Args:
            at: with its zone.
        """
        local = at.astimezone(self._zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        begin, end = self._bounds
        if begin < end:
            return begin <= minute < end and day in self.days
        return day in self.days if minute >= begin else minute < end and (day - 1) % 7 in self.days

    @property
    def _bounds(self) -> tuple[int, int]:
        return self.after or 0, _DAY_MINUTES if self.before is None else self.before

    def changes(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Yields the times between two others at which the window may begin or end, in UTC."""
        day = begin.astimezone(self._zone).date() - timedelta(days=1)
        while day <= end.astimezone(self._zone).date() + timedelta(days=1):
            for minute in {0, *self._bounds}:
                date = day + timedelta(days=minute // _DAY_MINUTES)
                clock = time(minute % _DAY_MINUTES // 60, minute % 60)
                at = datetime.combine(date, clock, self._zone).astimezone(UTC)
                if begin < at < end:
                    yield at
            day += timedelta(days=1)

    def __str__(self) -> str:
        hours = [
            f"{word} {minute // 60:02}:{minute % 60:02}"
            for word, minute in (("after", self.after), ("before", self.before))
            if minute is not None
        ]
        days = [] if len(self.days) == 7 else ["on " + ", ".join(DAYS[day] for day in sorted(self.days))]
        return " ".join(["time", *hours, *days, self.timezone])


def windows_of(when: Mapping[str, Any]) -> tuple[TimeWindow, ...]:
    """Returns the windows that a condition asks for, in its parts too.

    Args:
        when: the YAML form of a condition that is known to be right.
    """
    return tuple(dict.fromkeys(TimeWindow.parse(part["time"]) for part in parts_of(when) if part.get("time")))


def situations(windows: Sequence[TimeWindow]) -> tuple[tuple[float, datetime], ...]:
    """Returns what a week is made of as far as some windows can tell: (share of the week, a time of that kind).

    At any time of one kind the same windows hold. The shares add up to 1. The week is that of Monday 1 June 2026 in
    UTC: in another season windows of two time zones may overlap an hour more or less, and in a week in which clocks
    change a window may have an hour more or less.

    Args:
        windows: all that are asked about; none at all make one kind.
    """
    end = _WEEK + timedelta(days=7)
    cuts = sorted({_WEEK, end, *(at for window in windows for at in window.changes(_WEEK, end))})
    kinds: dict[tuple[bool, ...], tuple[timedelta, datetime]] = {}
    for first, last in pairwise(cuts):
        middle = first + (last - first) / 2
        kind = tuple(window.holds(middle) for window in windows)
        length, at = kinds.get(kind, (timedelta(), middle))
        kinds[kind] = (length + last - first, at)
    return tuple((length / (end - _WEEK), at) for length, at in kinds.values())


def _minute(text: str | None) -> int | None:
    if text is None:
        return None
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
