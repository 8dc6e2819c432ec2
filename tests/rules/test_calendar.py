from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routebench.rules.conditions.calendar import TimeWindow, situations, windows_of

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
WORK = {"after": "08:00", "before": "18:00", "days": ["mon", "tue", "wed", "thu", "fri"], "timezone": "Europe/Berlin"}
NIGHT = {"after": "22:00", "before": "06:00", "days": ["fri"]}


def at(day: int, clock: str, offset_h: float = 0) -> datetime:
    hours, minutes = map(int, clock.split(":"))
    return datetime(2026, 6, 1 + day, hours, minutes, tzinfo=timezone(timedelta(hours=offset_h)))


@pytest.mark.parametrize(
    ("window", "moment", "holds"),
    [
        ({"after": "08:00"}, at(0, "08:00"), True),
        ({"after": "08:00"}, at(0, "07:59"), False),
        ({"before": "18:00"}, at(0, "17:59"), True),
        ({"before": "18:00"}, at(0, "18:00"), False),
        ({"days": ["sun"]}, at(6, "23:59"), True),
        ({"days": ["sun"]}, at(0, "00:00"), False),
        # 06:00 in UTC is 08:00 in summer in Berlin.
        (WORK, at(0, "06:00"), True),
        (WORK, at(0, "05:59"), False),
        (WORK, at(0, "15:59"), True),
        (WORK, at(0, "16:00"), False),
        (WORK, at(5, "10:00"), False),
        (WORK, at(0, "08:00", 2), True),
        (WORK, at(0, "18:00", 2), False),
        # Over midnight: what begins on Friday goes on on Saturday morning, and nothing else is of Friday.
        (NIGHT, at(4, "22:00"), True),
        (NIGHT, at(5, "05:59"), True),
        (NIGHT, at(5, "06:00"), False),
        (NIGHT, at(4, "05:59"), False),
        (NIGHT, at(5, "22:00"), False),
        ({**NIGHT, "days": ["sun"]}, at(0, "01:00"), True),
        ({"after": "22:00", "before": "00:00"}, at(0, "23:00"), True),
        ({"after": "22:00", "before": "00:00"}, at(0, "00:00"), False),
    ],
)
def test_windows(window: dict[str, Any], moment: datetime, holds: bool) -> None:
    assert TimeWindow.parse(window).holds(moment) is holds


def test_the_clock_on_the_wall_changes_with_the_season() -> None:
    window = TimeWindow.parse({"after": "08:00", "before": "09:00", "timezone": "Europe/Berlin"})
    assert window.holds(datetime(2026, 1, 5, 7, 30, tzinfo=UTC))
    assert not window.holds(datetime(2026, 7, 6, 7, 30, tzinfo=UTC))


def test_windows_say_what_they_are() -> None:
    assert str(TimeWindow.parse(WORK)) == "time after 08:00 before 18:00 on mon, tue, wed, thu, fri Europe/Berlin"
    assert str(TimeWindow.parse({"before": "06:30"})) == "time before 06:30 UTC"


def test_a_week_without_windows_is_of_one_kind() -> None:
    assert situations(()) == ((1.0, MONDAY + timedelta(days=3.5)),)


def test_a_week_of_working_hours() -> None:
    window = TimeWindow.parse(WORK)
    parts = situations((window,))
    assert {window.holds(moment): share for share, moment in parts} == {
        True: pytest.approx(50 / 168),
        False: pytest.approx(118 / 168),
    }


def test_two_zones_cut_each_other() -> None:
    windows = tuple(
        TimeWindow.parse({"after": "08:00", "before": "16:00", "timezone": zone})
        for zone in ("America/New_York", "Europe/Berlin")
    )
    shares = {tuple(one.holds(moment) for one in windows): share for share, moment in situations(windows)}
    # New York is six hours behind: two of the eight hours are shared.
    assert shares == {
        (True, True): pytest.approx(2 / 24),
        (True, False): pytest.approx(6 / 24),
        (False, True): pytest.approx(6 / 24),
        (False, False): pytest.approx(10 / 24),
    }


clocks = st.integers(0, 24 * 60 - 1)
made = st.builds(
    TimeWindow,
    after=st.none() | clocks,
    before=st.none() | st.integers(1, 24 * 60 - 1),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns"]),
)


@given(st.lists(made, max_size=3), st.integers(0, 7 * 24 * 60 - 1))
def test_every_minute_of_the_week_is_of_a_kind_that_is_there(windows: list[TimeWindow], minute: int) -> None:
    parts = situations(windows)
    assert sum(share for share, _ in parts) == pytest.approx(1)
    kinds = [tuple(window.holds(moment) for window in windows) for _, moment in parts]
    assert len(set(kinds)) == len(kinds)
    moment = MONDAY + timedelta(minutes=minute)
    assert tuple(window.holds(moment) for window in windows) in kinds


@settings(max_examples=20, deadline=None)
@given(made)
def test_shares_are_those_of_a_count_of_minutes(window: TimeWindow) -> None:
    minutes = [MONDAY + timedelta(minutes=minute) for minute in range(7 * 24 * 60)]
    share = sum(share for share, moment in situations((window,)) if window.holds(moment))
    assert share == pytest.approx(sum(map(window.holds, minutes)) / len(minutes))


def test_windows_of_a_condition_are_found_in_its_parts() -> None:
    when = {"any": [{"time": NIGHT}, {"all": [{"not": {"time": WORK}}, {"regex": "x"}]}], "time": WORK}
    assert windows_of(when) == (TimeWindow.parse(WORK), TimeWindow.parse(NIGHT))
    assert windows_of({"regex": "x"}) == ()
