"""All panels on one page: which are there, when they are made, and what stands where one cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import routebench as rb
from routebench.dash.cockpit import Cockpit, cockpit
from routebench.dash.parts import Panel
from routebench.demonstration import TODAY, lay_out, recording
from routebench.errors import InputError


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cockpit")
    lay_out(folder)
    rb.Bench(folder / "bench.yaml", recorded=recording()).run().wait()
    return folder


@pytest.fixture
def bench(answered: Path) -> rb.Bench:
    return rb.Bench(answered / "bench.yaml", recorded=recording())


def test_panels_are_made_when_they_are_looked_at(bench: rb.Bench) -> None:
    page = cockpit(bench)
    assert set(page.panels) == {"Compare"}
    assert page.selection == "Compare"
    assert page.result is page.panels["Compare"]
    page.show("Browse")
    assert set(page.panels) == {"Compare", "Browse"}
    browsed = page.result
    page.show("Compare")
    page.show("Browse")
    assert page.result is browsed


def tabs(page: Cockpit) -> list[str]:
    return list(page._tabs.options)


def test_what_is_given_decides_which_panels_there_are(bench: rb.Bench, answered: Path) -> None:
    assert tabs(cockpit(bench)) == ["Compare", "Tune", "Run", "Browse", "Grade"]
    # Nobody grades what is not kept.
    assert tabs(cockpit(bench, today=answered / TODAY, read_only=True)) == ["Compare", "Today", "Tune", "Run", "Browse"]


def test_traces_of_a_gateway_have_a_panel_of_their_own(bench: rb.Bench, tmp_path: Path) -> None:
    page = cockpit(bench, traces=tmp_path / "traces", read_only=True)
    assert tabs(page) == ["Compare", "Production", "Tune", "Run", "Browse"]
    page.show("Production")
    assert page.result is not None
    assert "0 traces yet" in page.result.reading


def test_the_page_says_what_may_be_done(bench: rb.Bench) -> None:
    assert "nothing is sent, written or exported" in cockpit(bench, read_only=True).reading
    assert "at most $2" in cockpit(bench, cap_usd=2.0).reading
    assert cockpit(bench).reading == "150 cases, 4 models."


def test_a_panel_that_cannot_be_made_says_why_and_is_tried_again(tmp_path: Path) -> None:
    lay_out(tmp_path)
    bench = rb.Bench(tmp_path / "bench.yaml", recorded=recording())
    page = cockpit(bench)
    assert page.result is None
    said = page._places["Compare"].children[0]
    assert "rb-notice" in str([getattr(child, "value", "") for child in said.children])
    bench.run().wait()
    (again,) = [child for child in said.children if getattr(child, "description", "") == "Try again"]
    again.click()
    assert page.result is page.panels["Compare"]


def test_an_unknown_panel_is_told(bench: rb.Bench) -> None:
    with pytest.raises(InputError, match="no panel 'Tuner' here; there are Compare, Tune"):
        cockpit(bench).show("Tuner")


def test_it_is_saved_as_a_page_of_what_is_shown(bench: rb.Bench, tmp_path: Path) -> None:
    page = cockpit(bench)
    text = page.save(tmp_path / "cockpit.html").read_text(encoding="utf-8")
    assert "<svg" in text
    assert "best_single" in text
    assert "<script" not in text


def test_who_grades_is_asked_first(bench: rb.Bench, answered: Path, tmp_path: Path) -> None:
    shutil.copytree(answered, tmp_path / "own")
    page = cockpit(rb.Bench(tmp_path / "own" / "bench.yaml", recorded=recording()))
    page.show("Grade")
    reception = page.result
    assert reception is not None
    reception._begin()
    assert "Nobody is named" in reception.refusal
    reception._who.value = "anna"
    reception._begin()
    assert reception.result is not None
    assert "anna" in reception.code()


def test_a_defect_is_told_on_the_page_and_goes_on_to_the_log(bench: rb.Bench) -> None:
    page = cockpit(bench)

    def broken() -> Panel:
        raise ZeroDivisionError

    page._makers["Browse"] = lambda: broken
    with pytest.raises(ZeroDivisionError):
        page.show("Browse")
    (told,) = page._places["Browse"].children
    assert "role='alert'" in told.value
