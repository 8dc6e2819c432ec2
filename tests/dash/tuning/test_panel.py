from __future__ import annotations

import html
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import routebench as rb
from routebench.dash.tuning.panel import TunerPanel
from routebench.dash.tuning.seal import Seal
from routebench.dash.tuning.setting import EVERY, MIX
from routebench.dash.tuning.work import in_thread
from routebench.dash.tuning.writing import Target
from routebench.demonstration import lay_out, recording
from routebench.errors import InputError, RoutebenchError, StoreLockedError
from routebench.evaluate import Outcomes
from routebench.rules import RuleSet, check_golden
from routebench.store.looks import count_looks
from routebench.store.packed import open_store, pack_suite

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
WAIT_S = 60


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recorded answers of the starter suite in its store."""
    folder = tmp_path_factory.mktemp("demo")
    lay_out(folder)
    bench = rb.Bench(folder / "bench.yaml", recorded=recording())
    bench.run().wait(WAIT_S)
    bench.grade()
    return folder


@pytest.fixture(scope="module")
def learned(run: Path) -> TunerPanel:
    """A panel to look at; whoever changes it resets it."""
    return opened(run)


def opened(home: Path, **settings: object) -> TunerPanel:
    bench = rb.Bench(home / "bench.yaml")
    at_once: Callable[[Callable[[], None]], None] = lambda work: work()  # noqa: E731
    return TunerPanel(bench, now=lambda: AT, start=settings.pop("start", at_once), **settings)  # type: ignore[arg-type]


@pytest.fixture
def panel(learned: TunerPanel) -> Iterator[TunerPanel]:
    yield learned
    learned.clear()
    learned.reset()
    assert learned.state is not None
    learned.state.versions.clear()


@pytest.fixture
def own(run: Path, tmp_path: Path) -> Path:
    """A store of one's own, to be written."""
    shutil.copytree(run, tmp_path / "own")
    return tmp_path / "own"


class Broken(rb.Bench):
    """A bench with a defect."""

    def outcomes(self) -> Outcomes:
        raise ZeroDivisionError("division of <b> by zero")


def test_a_defect_is_said_in_a_line_and_goes_on_to_the_log(run: Path) -> None:
    later: list[Callable[[], None]] = []
    panel = TunerPanel(Broken(run / "bench.yaml"), now=lambda: AT, start=later.append)
    with pytest.raises(ZeroDivisionError):
        later[0]()
    assert "ZeroDivisionError: division of &lt;b&gt; by zero" in panel.refusal
    assert "its traceback stands in the log" in panel.refusal
    with pytest.raises(ZeroDivisionError):
        panel.wait()


def test_what_it_begins_with_is_what_bench_tune_gives(panel: TunerPanel, run: Path) -> None:
    tuned = rb.Bench(run / "bench.yaml").tune()
    assert panel.state is not None
    study = panel.state.study
    assert study.ruleset(panel.state.found, panel.constraints).rules == tuned.ruleset.rules
    assert panel.state.found.why == tuned.found.why
    assert panel.constraints == tuned.constraints
    assert panel.refusal == ""


def test_before_the_gate_everything_waits_and_says_so(run: Path) -> None:
    later: list[Callable[[], None]] = []
    panel = opened(run, start=later.append)
    assert (panel.reading, panel.selection, panel.versions, panel.numbers(), panel.pictures()) == ("", {}, [], (), ())
    assert panel._controls.form.disabled
    assert panel._test._check.disabled
    # A disabled control is no guard: what a page sends by hand is refused.
    panel._moves.buttons["best"].click()
    assert "nothing is learned yet" in panel.refusal
    panel._test._check.click()
    assert "nothing is learned yet" in panel.refusal
    assert "bench.tune()" in panel.code()
    (learn,) = later
    learn()
    assert not panel._controls.form.disabled
    assert panel.reading.startswith("Train, out of fold: ")
    assert panel._lesson.widget.layout.display == "none"


def test_a_cell_waits_for_what_it_needs(own: Path, tmp_path: Path) -> None:
    panel = opened(own, start=in_thread)
    panel.change(goal="quality", max_cost_usd_per_1k=0.0083)
    assert panel.state is not None, "the gate was waited for"
    panel.change(form="student", place=3)
    assert (panel.state.now.form, panel.state.now.place) == ("student", 3)
    panel.change(off=("legal",))
    assert panel.state.learned.waiting == (), "guards need every form"
    panel.change(off=())
    panel.change(form="distilled", place=2)
    path = panel.export(tmp_path / "rules.yaml")
    assert RuleSet.load(path).rules == panel.state.study["distilled"].form.to_ruleset(2).rules
    assert panel.check() is panel.result
    assert count_looks(panel._bench.store, panel._bench.suite.name, part="test", seed=42) == 1
    assert panel._board.figures.frame["where"].iloc[-1] == "test, held out (look 1)"
    with pytest.raises(InputError, match="exists already"):
        panel.export(path)
    assert "exists already" in panel.refusal
    # A button waits for nothing, and `wait` for what it has begun.
    panel.change(form="distilled", place=3)
    panel._test._check.click()
    assert panel.wait() is panel
    assert panel._board.figures.frame["where"].iloc[-1] == "test, held out (reused: look 2)"


def test_a_cell_is_told_what_ended_the_learning(tmp_path: Path) -> None:
    lay_out(tmp_path)
    panel = opened(tmp_path, start=in_thread)
    for ask in (panel.wait, panel.check, panel.save_version, lambda: panel.change(floor=2.0)):
        with pytest.raises(RoutebenchError, match="has no suite"):
            ask()
    assert "rb-notice" in panel.refusal


def test_a_setting_that_there_is_not_is_refused_and_changes_nothing(panel: TunerPanel) -> None:
    before = panel.selection
    for fields, words in (
        ({"flor": 2.0}, r"no 'flor' \(did you mean 'floor'\?\)"),
        ({"form": "studnet"}, r"no form 'studnet' \(did you mean 'student'\?\)"),
        ({"form": "student", "place": 999}, "has operating points 0 to"),
        ({"place": 3}, "no form 'best of all forms'"),
        ({"goal": "fame"}, "no goal 'fame'"),
        ({"floor_in": "gpt"}, "no floor_in 'gpt'"),
        ({"off": ("legl",)}, r"no guard 'legl' \(did you mean 'legal'\?\)"),
    ):
        with pytest.raises(InputError, match=words):
            panel.change(**fields)
        assert panel.selection == before
    # By a message of the page it is said.
    panel._board.chart.selected = ("student#999",)
    assert "has operating points 0 to" in panel.refusal
    assert panel.selection == before


def test_learning_that_is_stopped_keeps_what_it_has(run: Path) -> None:
    later: list[Callable[[], None]] = []
    panel = opened(run, start=later.append)
    panel.stop()
    later[0]()
    assert panel.state is not None
    assert panel.state.learned.waiting
    assert "Learning was stopped; not learned: cost_threshold" in panel._lesson._told.value
    assert all(box.disabled for box in panel._controls._guards), "a guard is switched once all forms are there"


def test_a_control_moves_the_point_and_the_point_moves_the_slider(panel: TunerPanel) -> None:
    controls, state = panel._controls, panel.state
    assert state is not None
    controls.form.value = "student"
    assert state.now.form in ("student", MIX)
    curve = state.study["student"]
    controls.place.value = controls.place.max
    assert state.now.place == curve.order[-1]
    assert "you: student" in panel._board.figures.frame["what"].iloc[0]
    panel.change(form="student", place=curve.order[0])
    assert controls.place.value == 1
    assert panel._board.chart.selected == (f"student#{curve.order[0]}",)
    # A click on a mark is a pick; on a model it is none.
    panel._board.chart.selected = (f"distilled#{state.study['distilled'].order[2]}",)
    assert (state.now.form, state.now.place) == ("distilled", state.study["distilled"].order[2])
    panel._board.chart.selected = ("smollm2-few",)
    assert state.now.form == "distilled"
    controls.goal.value = "quality"
    assert controls.cap.layout.display is None
    assert controls.floor.layout.display == "none"
    controls.cap.value = 0.0083
    assert panel.constraints.max_cost_usd_per_1k == 0.0083
    assert panel.selection["goal"] == "quality"
    panel._moves.buttons["undo"].click()
    assert panel.constraints.max_cost_usd_per_1k != 0.0083


def test_every_unit_of_the_floor_can_be_picked(panel: TunerPanel) -> None:
    floor_in = panel._controls.floor_in
    for label, unit in list(floor_in.options):
        assert isinstance(label, str)
        floor_in.value = unit
        assert panel.refusal == ""
        assert panel.selection["floor_in"] == unit
    assert ("% of smollm2-few", "smollm2-few") in floor_in.options


def test_a_guard_and_stakes_by_their_controls(panel: TunerPanel) -> None:
    controls = panel._controls
    (legal,) = [box for box in controls._guards if box.description == "legal"]
    legal.value = False
    assert panel.reading.startswith("GUARD SWITCHED OFF: legal")
    assert panel.state is not None
    assert not panel.state.behind
    assert panel.selection["off"] == ["legal"]
    legal.value = True
    assert "SWITCHED OFF" not in panel.reading
    controls.stakes_of.value = EVERY
    controls.stakes.value = 2.0
    assert panel.selection["stakes"] == {EVERY: 2.0}
    assert "damage per 1,000 requests, over the 76 cases" in panel.reading
    controls.stakes.value = 0.0
    assert panel.selection["stakes"] == {}


def test_stakes_and_rules_that_forms_do_not_know_are_learned_on_request(run: Path) -> None:
    panel = opened(run)
    again = panel._moves.buttons["again"]
    assert again.layout.display == "none"
    assert panel.state is not None
    panel.change(stakes=((EVERY, 0.5),), max_rules=2)
    panel.change(form="student", place=2)
    assert again.layout.display is None
    panel.change(off=("legal",))
    again.click()
    assert "switch them on, and learn again" in panel.refusal
    panel.change(off=())
    again.click()
    assert panel.refusal == ""
    assert again.layout.display == "none"
    lists = panel.state.learned["distilled"]
    assert max(point.n_rules for point in lists.points) <= 2
    assert not np.isnan(panel.state.learned.outcomes.cases.stakes_usd).any()
    # What is taken back is taken back of the damage too.
    panel.change(stakes=())
    assert "of 70 others they are unknown" in panel.reading
    assert again.layout.display is None


def test_flips_are_listed_when_somebody_opens_them(panel: TunerPanel) -> None:
    panel.change(form=MIX)
    assert panel.state is not None
    assert panel.state.flips is not None
    assert panel.state.flips.told in html.unescape(panel._board.flipped.value)
    assert not len(panel._board.flips.frame)
    panel._more.selected_index = 0
    assert len(panel._board.flips.frame) == panel.state.flips.better + panel.state.flips.worse > 0
    panel._more.selected_index = None


def test_a_typed_prompt_is_explained_and_escaped(panel: TunerPanel) -> None:
    why = panel._why
    why.ask.click()
    assert "no prompt is typed" in panel.refusal
    why.prompt.value = "Is this contract <script>alert(1)</script> binding?"
    why.ask.click()
    assert panel.refusal == ""
    assert " by " in why.answer.value
    assert "<script>" not in why.answer.value


def test_one_look_is_counted_and_later_changes_say_so(own: Path) -> None:
    panel = opened(own)
    store, name = panel._bench.store, panel._bench.suite.name
    assert panel.result is None
    assert "sealed, no look is counted" in panel._test._told.value
    panel._test._check.click()
    assert panel.result is not None
    assert count_looks(store, name, part="test", seed=42) == 1
    assert count_looks(store, name) == 0
    assert list(panel._board.figures.frame["where"])[-1] == "test, held out (look 1)"
    # The same setting is not looked at twice.
    panel._test._check.click()
    assert count_looks(store, name, part="test", seed=42) == 1
    panel.change(goal="quality", max_cost_usd_per_1k=0.0083)
    assert list(panel._board.figures.frame["where"])[-1] == "test, held out (look 1, of an earlier setting)"
    assert panel.check() is panel.result
    assert list(panel._board.figures.frame["where"])[-1] == "test, held out (reused: look 2)"
    assert "Held-out test reused: 2 looks" in panel._test._told.value
    panel.save_version("checked")
    assert panel.compare().suite == name, "once all versions were looked at, the test half compares them"


def test_writing_measures_first_writes_beside_and_never_over(own: Path, tmp_path: Path) -> None:
    panel = opened(own)
    out = tmp_path / "out" / "rules.yaml"
    panel.change(goal="quality", max_cost_usd_per_1k=0.0083)
    panel._test.path.value = str(out)
    panel._test._write.click()
    assert panel.refusal == ""
    assert panel.result is not None
    written = RuleSet.load(out)
    assert written == panel.result.ruleset
    assert not check_golden(written).failed
    assert count_looks(panel._bench.store, panel._bench.suite.name, part="test", seed=42) == 1
    assert f"Next: routebench check {out}" in panel.said
    assert "golden decisions hold" in panel.said
    panel._test._write.click()
    assert "exists already" in panel.refusal
    assert "tick `replace`" in panel.refusal
    panel._test._replace.value = True
    panel._test._write.click()
    assert panel.refusal == ""
    assert count_looks(panel._bench.store, panel._bench.suite.name, part="test", seed=42) == 1
    panel._more.selected_index = 2
    assert "schema: routebench/rules/v1" in panel._test._preview.value
    for path in ("  ", tmp_path, "a\0b"):
        with pytest.raises(InputError, match="names no file"):
            Target.of(path).check(())


def test_no_look_is_spent_where_no_file_can_come_of_it(own: Path, tmp_path: Path) -> None:
    panel = opened(own)
    (tmp_path / "rules.yaml").write_text("schema: routebench/rules/v1")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "starter.learned.safetensors").write_text("of other rules")
    panel.change(form="student", place=2)
    for path, replace, words in (
        (tmp_path / "rules.yaml", False, "exists already; tick `replace`"),
        (tmp_path / "notes.txt", True, "is there and is no rules.yaml"),
        (tmp_path, True, "names no file"),
        (tmp_path / "beside" / "rules.yaml", False, "starter.learned.safetensors exists already"),
        (tmp_path / f"{'long' * 99}.yaml", False, "cannot be read"),
    ):
        with pytest.raises(InputError, match=words):
            panel.export(path, replace=replace)
        assert panel.result is None
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert count_looks(panel._bench.store, panel._bench.suite.name, part="test", seed=42) == 0
    assert panel.export(tmp_path / "rules.yaml", replace=True).exists()
    assert count_looks(panel._bench.store, panel._bench.suite.name, part="test", seed=42) == 1


@pytest.mark.parametrize(
    "name",
    ["/etc/rules.yaml", "../rules.yaml", "sub/rules.yaml", "rules.py", ".hidden.yaml", "", "a\\b.yaml", "..yaml"],
)
def test_a_page_writes_into_one_folder_only(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="files go into"):
        Target.of(name, folder=tmp_path)


def test_a_page_writes_rules_over_rules_and_over_nothing_else(own: Path, tmp_path: Path) -> None:
    panel = opened(own, folder=own)
    path, replace, write = panel._test.path, panel._test._replace, panel._test._write
    settings = (own / "bench.yaml").read_text()
    (own / "elsewhere.yaml").symlink_to(tmp_path / "outside.yaml")
    replace.value = True
    for name, words in (
        (str(tmp_path / "outside.yaml"), "files go into"),
        ("bench.yaml", "is there and is no rules.yaml"),
        ("elsewhere.yaml", "leads elsewhere"),
    ):
        path.value = name
        write.click()
        assert words in panel.refusal
    assert (own / "bench.yaml").read_text() == settings
    assert not (tmp_path / "outside.yaml").exists()
    assert panel.result is None
    path.value = "tuned.yaml"
    write.click()
    assert panel.refusal == ""
    assert RuleSet.load(own / "tuned.yaml") == panel._test.result.ruleset


def test_what_is_learned_after_a_look_makes_another_candidate_of_the_same_setting(own: Path, tmp_path: Path) -> None:
    panel = opened(own)
    panel.change(stakes=((EVERY, 0.5),), form="student")
    first = panel.check()
    panel.learn_again()
    assert panel.wait().selection["stakes"] == {EVERY: 0.5}
    assert panel._board.figures.frame["where"].iloc[-1] == "test, held out (look 1, of an earlier setting)"
    assert panel.save_version().tuned is None
    panel.export(tmp_path / "rules.yaml")
    assert panel.result is not first, "the file is of what is learned now"
    assert RuleSet.load(tmp_path / "rules.yaml") == panel.result.ruleset
    assert count_looks(panel._bench.store, panel._bench.suite.name, part="test", seed=42) == 2


def test_a_look_that_cannot_be_counted_shows_nothing(own: Path) -> None:
    panel = opened(own)
    panel._test.seal = Uncounted(panel._bench.store, panel._bench.suite.name, 42)
    panel._test._check.click()
    assert "the store is locked" in panel.refusal
    with pytest.raises(StoreLockedError):
        panel.check()
    assert panel.result is None
    assert set(panel._board.figures.frame["where"]) == {"train, out of fold"}
    assert not panel._test._check.disabled, "it can be tried again"


class Uncounted(Seal):
    """A seal whose store is held by somebody else."""

    def look(self, ruleset: RuleSet, at: datetime) -> int:
        raise StoreLockedError("the store is locked; try again")


def test_what_is_written_for_a_picked_point_is_that_point(own: Path, tmp_path: Path) -> None:
    panel = opened(own)
    assert panel.state is not None
    place = panel.state.study["distilled"].order[3]
    panel.change(form="distilled", place=place)
    assert panel.export(tmp_path / "rules.yaml") == tmp_path / "rules.yaml"
    assert panel.result is not None
    assert RuleSet.load(tmp_path / "rules.yaml").rules == panel.state.study["distilled"].form.to_ruleset(place).rules
    assert "Set by hand: distilled" in panel.result.reading


def test_a_read_only_page_looks_at_nothing_and_writes_nothing(own: Path, tmp_path: Path) -> None:
    panel = opened(own, read_only=True)
    assert panel._test._check.disabled
    assert panel._test._write.disabled
    panel._test._check.click()
    assert "the test half stays sealed" in panel.refusal
    panel._test.path.value = str(tmp_path / "rules.yaml")
    panel._test._write.click()
    assert "the test half stays sealed" in panel.refusal
    with pytest.raises(InputError, match="the test half stays sealed"):
        panel.check()
    with pytest.raises(InputError, match="the test half stays sealed"):
        panel.export(tmp_path / "rules.yaml")
    assert panel.result is None
    assert not (tmp_path / "rules.yaml").exists()
    assert count_looks(panel._bench.store, panel._bench.suite.name, part="test", seed=42) == 0
    assert "sealed on this page" in panel._test._told.value


def test_looks_where_nothing_can_be_written_are_counted_here(own: Path, tmp_path: Path) -> None:
    bench = rb.Bench(own / "bench.yaml")
    name, ruleset = bench.suite.name, bench.tune().ruleset
    pack_suite(bench.store, name, tmp_path / "starter.rbpack")
    pack = open_store(tmp_path / "starter.rbpack")
    for seal, store in ((Seal(bench.store, name, 42, writes=False), bench.store), (Seal(pack, name, 42), pack)):
        assert seal.told == "Held-out test: sealed, no look is counted."
        assert [seal.look(ruleset, AT), seal.look(ruleset, AT)] == [1, 2]
        assert "2 of them counted here only: this store cannot be written" in seal.told
        assert count_looks(store, name, part="test", seed=42) == 0


def test_a_bench_without_outcomes_says_so(tmp_path: Path) -> None:
    lay_out(tmp_path)
    panel = opened(tmp_path)
    assert panel.state is None
    assert "rb-notice" in panel.refusal


def test_the_page_that_is_saved_says_everything_without_a_script(panel: TunerPanel, tmp_path: Path) -> None:
    panel.save_version("first")
    page = panel.save(tmp_path / "tuner.html").read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert "train, out of fold" in page
    assert "first" in page
    assert html.escape(panel.reading) in page
