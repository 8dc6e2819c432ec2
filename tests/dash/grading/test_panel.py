"""The grading panel: what reaches the page, what a press does, and what is said when something is in the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import routebench as rb
from routebench.dash.grading.opening import grader
from routebench.dash.grading.pad import Pad, buttons_of
from routebench.dash.grading.panel import GraderPanel
from routebench.dash.grading.shown import SHOWN_CHARACTERS
from routebench.dash.grading.state import Sitting
from routebench.errors import ConfigError, InputError
from routebench.grade.blind import PAIR_WORDS
from routebench.store import Store, purge
from tests.dash.grading.test_state import Clock, right_side
from tests.grade.blinded import answered, suite_of

N = 80


def opened(store: Store, rater: str = "anna", **settings: Any) -> GraderPanel:
    clock = Clock()
    settings = {"kind": "pairwise", **settings}
    suite, models = settings.pop("suite", suite_of(N)), ("small", "large")
    return GraderPanel(
        lambda: Sitting(store, suite, models, rater=rater, now=clock.now, clock=clock, **settings), told="rb.grader(…)"
    )


@pytest.fixture
def panel(tmp_path: Path) -> GraderPanel:
    return opened(answered(tmp_path, n=N))


def press(panel: GraderPanel, word: str, place: int | None = None, **more: Any) -> None:
    """What the page sends for a key."""
    at = panel._pad.shown.get("place", -1) if place is None else place
    panel._pad._pressed(panel._pad, {"do": "say", "word": word, "place": at, "taken_s": 1.5, **more}, None)


def finish(panel: GraderPanel) -> None:
    while panel.shown is not None:
        panel.grade(right_side(panel.shown))


def state_of(widget: Any) -> Iterator[Any]:
    """Everything that a widget and its children have in the page."""
    yield widget.get_state()
    for child in getattr(widget, "children", ()):
        yield from state_of(child)


def sent(panel: GraderPanel) -> str:
    return json.dumps(list(state_of(panel.widget)), default=str)


def test_nothing_in_the_page_tells_who_answered_before_the_reveal(panel: GraderPanel) -> None:
    for _ in range(30):
        assert panel.shown is not None
        panel.grade(right_side(panel.shown))
    panel._look.value = True
    assert "model 1" in sent(panel)
    still = panel._still_html()
    for secret in ("small", "large", "gpt-x", "mock-"):
        assert secret not in sent(panel).replace("small text", "")
        assert secret not in still
    panel.reveal()
    assert "large" in sent(panel)
    assert "gpt-x" in sent(panel)


def test_a_press_saves_and_goes_on(panel: GraderPanel) -> None:
    press(panel, "left", note="close")
    assert (panel.selection, panel.said) == ("2", "saved, 1 of 60")
    assert panel.sitting is not None
    assert panel.sitting.mine[0].note == "close"
    assert panel.sitting.mine[0].taken_s == 1.5
    press(panel, "skip")
    assert panel.said == "skipped, 2 of 60"
    panel._pad._pressed(panel._pad, {"do": "undo"}, None)
    assert (panel.selection, panel.said) == ("2", "taken back: 2 is open again")


def test_a_second_press_for_the_item_before_is_none(panel: GraderPanel) -> None:
    press(panel, "left", place=0)
    press(panel, "left", place=0)
    assert panel.selection == "2"


def test_a_press_that_cannot_be_is_told_in_the_panel(panel: GraderPanel) -> None:
    press(panel, "<b>nonsense</b>")
    assert "is no verdict here" in panel.refusal
    assert "<b>" not in panel.refusal
    assert panel.selection == "1"
    press(panel, "tie")
    assert panel.refusal == ""
    panel._pad._pressed(panel._pad, {"do": "undo"}, None)
    panel._pad._pressed(panel._pad, {"do": "undo"}, None)
    assert "nothing to take back yet" in panel.refusal


def test_from_python_the_same_words_do_the_same_and_errors_are_raised(panel: GraderPanel) -> None:
    panel.grade("left_slightly", note="hm")
    with pytest.raises(InputError, match="is no verdict here"):
        panel.grade("better")
    panel.undo()
    with pytest.raises(InputError, match="names are told from 20 on"):
        panel.reveal()
    assert (panel.selection, panel.result) == ("1", None)


def test_the_reveal_asks_once_more_and_then_shows_the_names(panel: GraderPanel) -> None:
    assert panel._reveal.disabled
    assert panel._look.disabled
    finish(panel)
    assert panel.selection == ""
    assert "All 60 are graded" in panel._pad.blank
    panel._reveal.click()
    assert "Press again to reveal" in panel.said
    assert panel.sitting is not None
    assert panel.sitting.revealed_at is None
    panel._reveal.click()
    assert panel.sitting.revealed_at is not None
    assert panel.reading.startswith("anna prefers large to small: preferred in 100.0%")
    assert "Weighted kappa of judge gpt-x and anna: 1.00 [1.00, 1.00] on 54 items" in panel.reading
    assert not panel._pad.says
    assert not panel._pad.undoes
    assert len(panel.items) == 54
    assert len(panel._cases.frame) == 54
    press(panel, "left")
    assert "the batch is closed" in panel.refusal


def test_a_reveal_in_one_window_closes_the_batch_in_the_other(panel: GraderPanel) -> None:
    assert panel.sitting is not None
    other = opened(Store(panel.sitting._store.path))
    for _ in range(20):
        panel.grade("tie")
    panel.reveal()
    for message in ({"do": "say", "word": "left", "place": 0}, {"do": "undo"}):
        other._pad._pressed(other._pad, message, None)
        assert "the batch is closed" in other.refusal
    assert other.sitting is not None
    assert {one.verdict for one in other.sitting.mine.values()} == {"tie"}
    assert (other._pad.shown, other._pad.says) == ({}, False)


def test_an_open_picture_follows_every_verdict(panel: GraderPanel) -> None:
    for _ in range(20):
        panel.grade("tie")
    panel._look.value = True
    assert panel._picture is not None
    spec, before = panel._picture.spec, panel._picture.frames["sides"]
    panel.grade("left")
    assert panel._picture.frames["sides"] != before
    assert panel._picture.spec == spec


class Heard(Pad):
    """A pad that keeps what it sends to the page."""

    def send(self, content: Any, buffers: Any = None) -> None:
        self.sent = [*getattr(self, "sent", []), content]


def test_a_press_without_its_time_is_timed_here(panel: GraderPanel) -> None:
    place = panel._pad.shown["place"]
    panel.sitting._clock.s += 4.0
    panel._pad._pressed(panel._pad, {"do": "say", "word": "left", "place": place}, None)
    assert panel.sitting.mine[place].taken_s == 4.0


def test_the_page_hears_of_every_press_even_of_one_that_is_none() -> None:
    said: list[str] = []
    pad = Heard(None, said=lambda word, _note, _taken_s: said.append(word), undone=lambda: None)
    pad._pressed(pad, {"do": "say", "word": "skip", "place": -1, "taken_s": 1}, None)
    with pytest.raises(ValueError, match="soon"):
        pad._pressed(pad, {"do": "say", "word": "skip", "place": -1, "taken_s": "soon"}, None)
    assert said == ["skip"]
    assert pad.sent == [{"kind": "heard"}] * 2


def test_results_stand_in_tables_and_a_picture_and_can_be_saved(panel: GraderPanel, tmp_path: Path) -> None:
    assert [table.caption for table in panel.numbers()] == ["Progress"]
    assert panel.pictures() == ()
    finish(panel)
    panel.reveal()
    assert [table.caption for table in panel.numbers()] == [
        *("Wins, ties and losses", "Agreement with judge gpt-x", "anna as a grader"),
    ]
    page = panel.save(tmp_path / "grades.html").read_text()
    assert "<svg" in page
    assert "large" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert panel.code() == "rb.grader(…)"


def test_scores_have_their_own_buttons_tables_and_picture(tmp_path: Path) -> None:
    panel = opened(answered(tmp_path, n=N), kind="score", scale="0-9")
    assert [one["word"] for one in panel._pad.buttons] == [*map(str, range(10)), "skip"]
    while panel.shown is not None:
        panel.grade(9 if panel.shown.left.startswith("right") else 0)
    panel.reveal()
    assert next(table.caption for table in panel.numbers()) == "Mean score"
    assert panel.reading.startswith("anna scores the answers")
    assert "in the mean, on 54 of them; of each model too few to decide." in panel.reading
    assert "scale 0-9 (its ends are 0 and 1)" in panel.footer
    assert panel._picture is not None
    assert set(panel._picture.frames) == {"sides"}


def test_every_button_says_its_key_in_full() -> None:
    assert {one["word"] for one in buttons_of(None)} == set(PAIR_WORDS)
    for one in (*buttons_of(None), *buttons_of("1-5")):
        assert one["label"].rpartition("key ")[2]
        assert len({other["key"] for other in buttons_of(None)}) == len(buttons_of(None))


def test_long_and_hostile_texts_are_cut_and_never_html(tmp_path: Path) -> None:
    long, hostile = "x" * (SHOWN_CHARACTERS + 1234), "<img src=x onerror=alert(1)>"
    texts = {("small", i): long for i in range(4)} | {("large", i): hostile for i in range(4)}
    panel = opened(answered(tmp_path, n=4, texts=texts), suite=suite_of(4))
    shown = panel._pad.shown
    assert hostile in (shown["left"], shown["right"])
    cut = max(shown["left"], shown["right"], key=len)
    assert cut.endswith("… 1,234 more characters: panel.shown has them all")
    assert panel.shown is not None
    assert long in (panel.shown.left, panel.shown.right)
    script = (Path(__file__).parents[3] / "src/routebench/dash/grading/pad.js").read_text()
    assert "innerHTML" not in script
    assert "http" not in script


def test_what_is_in_the_way_is_one_line_and_a_mend(tmp_path: Path) -> None:
    store = answered(tmp_path, n=4, texts={(model, i): None for model in ("small", "large") for i in range(4)})
    panel = opened(store, suite=suite_of(4))
    assert "no text is kept" in panel.refusal
    assert "rb-mend" in panel.refusal
    assert (panel.sitting, panel.result, panel.selection, panel.shown) == (None, None, "", None)
    assert panel.numbers() == ()
    with pytest.raises(ConfigError, match="the panel says why"):
        panel.grade("left")


_HOLDS = """
import duckdb, sys
con = duckdb.connect()
con.execute(f"ATTACH '{sys.argv[1]}' AS held")
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_store_that_another_process_holds_loses_no_verdict(tmp_path: Path) -> None:
    store = answered(tmp_path, n=N)
    panel = opened(Store(store.path, lock_timeout_s=0.0))
    command = [sys.executable, "-c", _HOLDS, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        press(panel, "left")
        assert f"is held by process {other.pid}" in panel.refusal
        assert panel.selection == "1"
        other.communicate("\n")
    press(panel, "left")
    assert (panel.refusal, panel.selection) == ("", "2")


def write(folder: Path, **more: str) -> Path:
    rows = [{"id": f"c{i}", "prompt": f"case {i}", "target": "yes", "grader": "exact"} for i in range(6)]
    (folder / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "bench.yaml").write_text(
        f"suite: suite.jsonl\nstore: s.duckdb\nmodels: [{{name: calc, provider: tool, model: calculator}}]\n{more.get('tail', '')}"
    )
    return folder / "bench.yaml"


def test_a_bench_opens_its_panel_and_says_what_it_lacks(tmp_path: Path) -> None:
    bench = rb.Bench(write(tmp_path))
    panel = grader(bench, "anna", kind="score", n=10, models=["calc"])
    assert "suite 'suite' has no answers yet; " not in panel.refusal
    assert "has no answers yet" in panel.refusal
    assert panel.code() == "rb.grader(bench, 'anna', kind='score', n=10, models=['calc'])"
    assert grader(bench).code() == "rb.grader(bench, 'me')"
    unknown = grader(bench, models=["cal"])
    assert "there is no model &#x27;cal&#x27; (did you mean &#x27;calc&#x27;?)" in unknown.refusal


def test_what_cannot_be_shown_any_more_can_be_skipped(panel: GraderPanel) -> None:
    assert panel.sitting is not None
    store = panel.sitting._store
    purge(store, cases=[panel.sitting.batch.items[0].case_id])
    again = opened(store)
    assert "was purged after the batch was drawn" in again.refusal
    assert (again._pad.shown, again._pad.says, again._pad.blank) == ({}, True, "This one cannot be shown.")
    press(again, "skip")
    assert (again.selection, again.refusal) == ("2", "")
