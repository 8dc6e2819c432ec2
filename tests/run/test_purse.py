"""Money that several runs share: together they never spend more than the cap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from routebench.errors import ConfigError, StoreError
from routebench.redact import Secrets
from routebench.run import Limits, Purse, Run, make_plan
from routebench.store import Store
from tests.conftest import make_model
from tests.run.test_runner import AT, SUITE, Scripted


def shared(purse: Purse, store: Store) -> Run:
    return Run(
        make_plan(SUITE, [make_model()], store),
        store,
        run_id="r",
        open_provider=lambda _name: Scripted(),
        limits=Limits(),
        secrets=Secrets([]),
        now=lambda: AT,
        share=purse.take("r"),
    )


def test_a_run_books_all_that_is_left_and_gives_back_the_rest(tmp_path: Path) -> None:
    purse = Purse(tmp_path / "purse.json", 1.0)
    share = purse.take("a")
    assert share.usd == 1.0
    with pytest.raises(ConfigError, match=r"cap of \$1,.* wait"):
        Purse(tmp_path / "purse.json", 1.0).take("b")
    share.settle(0.25)
    assert Purse(tmp_path / "purse.json", 1.0).take("b").usd == 0.75


def test_what_a_killed_process_has_booked_stays_booked(tmp_path: Path) -> None:
    Purse(tmp_path / "purse.json", 1.0).take("killed")
    assert Purse(tmp_path / "purse.json", 1.0).left_usd == 0.0
    assert Purse(tmp_path / "purse.json", 3.0).take("next").usd == 2.0


def test_many_at_once_never_book_more_than_there_is(tmp_path: Path) -> None:
    def take(number: int) -> float:
        try:
            return Purse(tmp_path / "purse.json", 1.0).take(f"r{number}").usd
        except ConfigError:
            return 0.0

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(32))) == 1.0


def test_an_empty_purse_says_that_nothing_is_sent(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only shows"):
        Purse(tmp_path / "purse.json", 0.0).take("a")
    assert not (tmp_path / "purse.json").exists()


def test_a_run_gives_back_what_it_has_not_spent(tmp_path: Path) -> None:
    purse = Purse(tmp_path / "purse.json", 1.0)
    shared(purse, Store(tmp_path / "s.duckdb")).start().wait(20)
    assert purse.left_usd == pytest.approx(1 - 6 * 0.002)


def test_a_run_that_could_not_even_begin_gives_all_of_it_back(tmp_path: Path) -> None:
    purse, store = Purse(tmp_path / "purse.json", 1.0), Store(tmp_path / "s.duckdb")
    run = shared(purse, store)
    store.path.write_text("this is no store any more")
    with pytest.raises(StoreError):
        run.start().wait(20)
    assert purse.left_usd == 1.0
