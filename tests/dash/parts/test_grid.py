"""The table: what is sent to the browser, in which order, and what comes back."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

from routebench.dash.parts import Column, Grid


@pytest.fixture
def grid() -> Grid:
    columns = [Column("name", "name"), Column("cost", "cost", "right", lambda value: f"${value:.2f}")]
    made = Grid(columns, name="cases", label="cases", page_size=3, ticks=True, opens=True, search=True)
    frame = pd.DataFrame(
        {"name": ["law", "code", "mail", "math", "law again"], "cost": [0.5, np.nan, 0.1, 0.9, 0.3]},
        index=["a", "b", "c", "d", "e"],
    )
    made.show(frame)
    return made


def keys(grid: Grid) -> list[str]:
    return [row[0] for row in grid._page.rows]


def test_only_the_page_that_is_shown_is_sent(grid: Grid) -> None:
    assert keys(grid) == ["a", "b", "c"]
    assert grid._page.told == "1 to 3 of 5 rows"
    grid._page.page = 1
    assert keys(grid) == ["d", "e"]
    grid._page.page = 7
    assert keys(grid) == ["d", "e"]


def test_what_is_unknown_says_so_and_stands_last_both_ways(grid: Grid) -> None:
    assert grid._page.rows[1] == ["b", "code", "n/a"]
    grid._page.sort = ["cost", False]
    grid._page.page = 1
    assert keys(grid) == ["d", "b"]
    grid._page.sort = ["cost", True]
    assert keys(grid) == ["c", "b"]
    grid._page.page = 0
    assert keys(grid) == ["d", "a", "e"]


def test_numbers_inside_of_texts_are_sorted_as_numbers() -> None:
    grid = Grid([Column("id", "case"), Column("done", "done")], name="t", label="t")
    rows = {
        "id": ["case 10", "case 9", "Case 9", "case 100"],
        "done": ["1,200/2,000", "90/100", None, "n/a (no price)"],
    }
    grid.show(pd.DataFrame(rows, index=["ten", "nine", "Nine", "hundred"]))
    grid._page.sort = ["id", False]
    assert keys(grid) == ["Nine", "nine", "ten", "hundred"]
    grid._page.sort = ["done", False]
    assert keys(grid) == ["nine", "ten", "hundred", "Nine"]
    grid._page.sort = ["done", True]
    assert keys(grid) == ["hundred", "ten", "nine", "Nine"]


def test_a_search_does_not_find_what_is_unknown(grid: Grid) -> None:
    grid.show(pd.DataFrame({"name": ["nan bread", None], "cost": [0.5, np.nan]}, index=["a", "b"]))
    grid._page.wanted = "nan"
    assert keys(grid) == ["a"]
    grid._page.wanted = "none"
    assert keys(grid) == []


def test_rows_that_come_while_a_person_sorts_are_not_mixed_up(grid: Grid) -> None:
    done = threading.Event()

    def come() -> None:
        grid.show(pd.DataFrame({"name": ["x"], "cost": [1.0]}, index=["z"]))
        done.set()

    arriving = threading.Thread(target=come)
    with grid._turning:
        arriving.start()
        assert not done.wait(0.1), "it waits for its turn"
        grid._page.sort = ["name", True]
        assert keys(grid) == ["d", "c", "e"]
    arriving.join(20)
    assert keys(grid) == ["z"]


def test_searching_finds_in_all_pages_and_begins_at_the_first(grid: Grid) -> None:
    grid._page.page = 1
    grid._page.wanted = "LAW"
    assert keys(grid) == ["a", "e"]
    assert grid._page.told == "2 of 5 rows"
    grid._page.wanted = "[z"
    assert keys(grid) == []
    assert grid._page.told == "none of 5 rows has that; clear the search"


def test_the_file_holds_all_rows_as_they_are(grid: Grid) -> None:
    grid._page.sort = ["name", False]
    lines = grid.csv().splitlines()
    assert lines[0] == "key,name,cost"
    assert lines[1] == "b,code,"
    assert len(lines) == 6


def test_what_is_ticked_and_opened_goes_both_ways(grid: Grid) -> None:
    grid._page.ticked = ["b"]
    assert grid.ticked == ("b",)
    grid.ticked = ("a", "c")
    assert grid._page.ticked == ["a", "c"]
    grid._page.opened = "c"
    assert grid.opened == "c"


def test_other_rows_keep_what_is_ticked_and_still_there(grid: Grid) -> None:
    grid.ticked, grid.opened = ("a", "c"), "c"
    grid.show(grid.frame.drop(index="c"))
    assert grid.ticked == ("a",)
    assert grid.opened == ""


def test_a_long_text_is_cut_and_kept_whole_in_the_file(grid: Grid) -> None:
    grid.show(pd.DataFrame({"name": ["x" * 5000], "cost": [0.1]}, index=["a"]))
    assert len(grid._page.rows[0][1]) < 1000
    assert "x" * 5000 in grid.csv()


def test_other_columns_come_with_other_rows_and_a_sort_that_is_gone_is_forgotten() -> None:
    grid = Grid([Column("a", "A")], name="t", label="t")
    grid.show(pd.DataFrame({"a": [2, 1]}, index=["x", "y"]))
    grid._page.sort = ["a", False]
    grid.show(
        pd.DataFrame({"b": [3.0, 4.0]}, index=["x", "y"]), [Column("b", "B", "right", lambda value: f"{value:.1f}")]
    )
    assert [one["title"] for one in grid._page.columns] == ["B"]
    assert grid._page.rows == [["x", "3.0"], ["y", "4.0"]]
    assert grid._page.sort == ["", False]
    assert grid.csv().splitlines()[0] == "key,b"


def test_a_prompt_is_no_formula_to_a_spreadsheet(grid: Grid) -> None:
    frame = pd.DataFrame({"name": ["=HYPERLINK(1)", "a=b", "@sum"], "cost": [-0.5, 0.1, 0.2]}, index=["-x", "b", "c"])
    grid.show(frame)
    assert grid.csv().splitlines()[1:] == ["'-x,'=HYPERLINK(1),-0.5", "b,a=b,0.1", "c,'@sum,0.2"]
