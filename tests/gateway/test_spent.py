"""The day's sums over a restart."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from routebench.errors import ConfigError
from routebench.gateway.spent import Spent, spent_path
from routebench.rules.budget import Budget, Ledger

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def ledger(at: datetime = NOON, timezone: str = "UTC") -> Ledger:
    return Ledger(Budget(10.0, timezone=timezone), lambda: at)


def kept(path: Path, name: str = "rules", at: datetime = NOON, timezone: str = "UTC") -> tuple[float, int]:
    one = ledger(at, timezone)
    Spent(path).keep(name, one)
    return one.spent_usd, one.n_unknown


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces" / "spent.json"


def test_sums_are_there_after_a_restart_of_the_same_day(path: Path) -> None:
    first, second = ledger(), ledger()
    with Spent(path) as spent:
        spent.keep("rules", first)
        spent.keep("key bot", second)
        first.add(1.5)
        first.add(None)
        second.add(0.25)
    assert kept(path) == (1.5, 1)
    assert kept(path, "key bot") == (0.25, 0)
    assert kept(path, "key other") == (0.0, 0)
    assert kept(path, at=NOON + timedelta(hours=11)) == (1.5, 1)
    assert kept(path, at=NOON + timedelta(hours=12)) == (0.0, 0)
    # The day of Tokyo is another one.
    assert kept(path, timezone="Asia/Tokyo") == (0.0, 0)


def test_it_is_written_while_it_runs(path: Path) -> None:
    one = ledger()
    with Spent(path, every_s=0.001) as spent:
        spent.keep("rules", one)
        one.add(2.0)
        written = threading.Event()
        for _ in range(10_000):
            if path.exists() and json.loads(path.read_bytes())["rules"]["spent_usd"] == 2.0:
                written.set()
                break
            written.wait(0.001)
        assert written.is_set()


def test_it_is_written_when_something_changed_and_not_otherwise(path: Path) -> None:
    one, spent = ledger(), Spent(path)
    spent.keep("rules", one)
    assert spent.write()
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert spent.write()
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    one.add(1.0)
    assert spent.write()
    assert path.stat().st_ino != before[1]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_ledger_in_place_of_another_goes_on(path: Path) -> None:
    first, second, spent = ledger(), ledger(), Spent(path)
    spent.keep("rules", first)
    first.add(1.0)
    spent.keep("rules", second)
    assert second.spent_usd == 1.0
    second.add(1.0)
    spent.close()
    assert kept(path) == (2.0, 0)


def test_sums_that_nobody_keeps_any_more_stay(path: Path) -> None:
    one = ledger()
    with Spent(path) as spent:
        spent.keep("key bot", one)
        one.add(1.0)
    with Spent(path) as spent:
        spent.keep("rules", ledger())
    assert kept(path, "key bot") == (1.0, 0)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"rules": 1}', '{"rules": {"day": "x"}}', "\xff"])
def test_a_file_that_is_not_ours_is_told(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match="remove it, and today's budgets begin at zero"):
        Spent(path)


def test_a_disk_that_takes_nothing_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, spent = ledger(), Spent(path)
    path.parent.write_text("in the way")
    spent.keep("rules", one)
    with caplog.at_level(logging.WARNING):
        assert not spent.write()
        assert not spent.write()
    assert len(caplog.records) == 1
    assert "a restart would forget it" in caplog.text
    path.parent.unlink()
    assert spent.write()
    assert kept(path) == (0.0, 0)


def test_gateways_that_listen_elsewhere_have_files_of_their_own(tmp_path: Path) -> None:
    paths = {spent_path(tmp_path, host, port) for host, port in (("::1", 80), ("127.0.0.1", 80), ("127.0.0.1", 81))}
    assert len(paths) == 3
    assert all(":" not in path.name for path in paths)
