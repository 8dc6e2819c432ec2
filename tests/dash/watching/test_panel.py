from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

import routebench as rb
from routebench.dash.watching.look import Look
from routebench.dash.watching.panel import RunPanel
from routebench.dash.watching.pictures import described, frames, latencies
from routebench.dash.watching.state import Watch
from routebench.providers.base import failed
from routebench.store import Store
from tests.dash.watching.test_forecast import model, progress
from tests.dash.watching.test_state import demo_bench, keyed_bench
from tests.run.test_runner import Scripted, ok, start
from tests.run.test_steering import WAIT_S, held


def seen(widget: object) -> bool:
    return widget.layout.display != "none"  # type: ignore[attr-defined]


def opened(bench: rb.Bench, **settings: object) -> RunPanel:
    return RunPanel(Watch(bench, **settings), follow=False)  # type: ignore[arg-type]


def test_from_the_plan_to_the_end_by_buttons(tmp_path: Path) -> None:
    panel = opened(demo_bench(tmp_path))
    controls = panel._controls
    assert "calls to send" in panel.reading
    assert (seen(controls.start), seen(controls.pause), seen(controls.again)) == (True, False, False)
    assert float(controls.cap.value) > 0, "the worst case is suggested"
    controls.start.click()
    run = panel.watch.run
    assert run is not None
    run.wait(WAIT_S)
    panel.end()
    assert panel.result is not None
    assert panel.result.left == 0
    assert "It is done." in panel.reading
    assert panel.refusal == ""
    assert [table.caption for table in panel.numbers()] == ["Models", "Log"]
    assert len(panel.pictures()) == 1
    controls.again.click()
    assert panel.reading.startswith("Nothing to run")
    assert not seen(controls.start)


def test_a_missing_key_is_told_before_the_start(tmp_path: Path) -> None:
    panel = opened(keyed_bench(tmp_path))
    assert "OWN_KEY is not set" in panel.refusal
    assert "models own need it" in panel.refusal
    controls = panel._controls
    assert seen(controls.calls), "no price: calls must be capped"
    controls.start.click()
    assert "cap the number of calls" in panel.refusal
    for text, said in (("many", "is no number of calls"), ("0", "is no number of calls"), ("2", "OWN_KEY is not set")):
        controls.calls.value = text
        controls.start.click()
        assert said in panel.refusal
    controls.cap.value = "nan"
    controls.start.click()
    assert "is no sum in US dollars" in panel.refusal
    assert panel.watch.run is None


def test_the_end_at_a_cap_says_how_to_go_on(tmp_path: Path) -> None:
    run = start(Store(tmp_path / "s.duckdb"), Scripted(), max_calls=2)
    run.wait(WAIT_S)
    panel = RunPanel(Watch(run=run), follow=False)
    panel.end()
    assert "Stopped at the cap: 4 calls were not sent" in panel.refusal
    assert "with a higher cap" in panel.refusal
    assert panel.selection == ("small",)


def test_a_model_that_only_fails_is_told_while_the_run_goes(tmp_path: Path) -> None:
    run = start(Store(tmp_path / "s.duckdb"), Scripted(lambda _c, _n: failed("auth", "no such <b>key</b>")))
    run.wait(WAIT_S)
    panel = RunPanel(Watch(run=run), follow=False)
    panel.end()
    assert "small is paused: 5 calls in a row failed" in panel.refusal
    assert "<b>key</b>" not in panel.refusal, "what providers say is a text and no markup"
    saved = panel.save(tmp_path / "run.html").read_text()
    assert "no such &lt;b&gt;key" in saved
    assert "<b>key</b>" not in saved


def test_pause_and_resume_share_a_button_and_read_only_has_none(tmp_path: Path) -> None:
    provider, run, _store = held(tmp_path, 1, budget=1.0)
    panel = RunPanel(Watch(run=run), follow=False)
    controls = panel._controls
    assert (seen(controls.pause), seen(controls.raise_cap), seen(controls.concurrency)) == (True, True, True)
    controls.pause.click()
    assert controls.pause.description == "Resume"
    assert panel.said.startswith("Paused: ")
    controls.pause.click()
    assert controls.pause.description == "Pause"
    controls.concurrency.value = 1
    assert run.max_concurrency == 1
    controls.cap.value = "$2.50"
    controls.raise_cap.click()
    assert run.progress().cap_usd == 2.5
    controls.cap.value = "1"
    controls.raise_cap.click()
    assert "is not higher" in panel.refusal
    shown = RunPanel(Watch(run=run, read_only=True), follow=False)
    for widget in (shown._controls.pause, shown._controls.stop, shown._controls.cap, shown._controls.concurrency):
        assert not seen(widget)
    controls.stop.click()
    assert "Nothing is lost" in panel.said
    provider.let_go.set()
    run.wait(WAIT_S)


def test_what_is_hidden_refuses_by_itself(tmp_path: Path) -> None:
    provider, run, _store = held(tmp_path, 1, budget=1.0)
    panel = RunPanel(Watch(run=run, read_only=True), follow=False)
    controls = panel._controls
    # A page may send these though it shows no such buttons.
    controls.cap.value = "2"
    for button in (controls.pause, controls.stop, controls.raise_cap):
        panel.clear()
        button.click()
        assert "this page only shows" in panel.refusal
    panel.clear()
    controls.concurrency.value = 1
    assert "this page only shows" in panel.refusal
    assert (run.progress().status, run.progress().cap_usd, run.max_concurrency) == ("running", 1.0, 3)
    controls.again.click()
    assert "a run goes on" in panel.refusal
    provider.let_go.set()
    run.wait(WAIT_S)
    shown = opened(keyed_bench(tmp_path), read_only=True)
    shown._controls.start.click()
    assert "this page only shows" in shown.refusal
    assert shown.watch.run is None


def test_live_follows_a_run_to_its_end_by_itself(tmp_path: Path) -> None:
    provider, run, _store = held(tmp_path, 1)
    panel = rb.live(run)
    ended = threading.Event()
    panel._status.observe(lambda change: ended.set() if "has ended: done" in change["new"] else None, "value")
    assert f"run {run.run_id}" in panel.footer
    provider.let_go.set()
    assert ended.wait(WAIT_S)
    assert panel.result is not None
    assert panel.result.left == 0
    assert "It is done." in panel.reading


def test_what_is_left_can_be_planned_and_started_from_python_too(tmp_path: Path) -> None:
    panel = opened(demo_bench(tmp_path))
    panel._controls.calls.value = "3"
    first = panel.start()
    first.wait(WAIT_S)
    panel.end()
    assert panel.start() is first, "it was started already"
    panel._controls.again.click()
    assert panel.result is None
    panel._controls.calls.value = ""
    second = panel.start()
    assert second is not first
    assert second.wait(WAIT_S).left == 0
    assert f"run {second.run_id}" in panel.footer


def test_a_model_that_is_paused_is_told_once_and_not_over_what_a_click_was_told(tmp_path: Path) -> None:
    provider, run, _store = held(tmp_path, 1, budget=1.0)
    panel = RunPanel(Watch(run=run), follow=False)
    look = Look(progress(model(), paused={"m": "5 calls in a row failed"}), None, None, (), ())
    panel._show_run(look)
    assert "m is paused: 5 calls in a row failed" in panel.refusal
    panel._controls.cap.value = ""
    panel._controls.raise_cap.click()
    panel._show_run(look)
    assert "no sum is given" in panel.refusal
    provider.let_go.set()
    run.wait(WAIT_S)


def test_the_code_holds_caps_that_python_can_read(tmp_path: Path) -> None:
    panel = opened(keyed_bench(tmp_path))
    panel._controls.cap.value, panel._controls.calls.value = "$1,250.50", "many"
    assert "run = bench.run(budget_usd=1250.5)\n" in panel.code()


def test_bills_that_are_unknown_are_told_with_those_that_are_known(tmp_path: Path) -> None:
    run = start(Store(tmp_path / "s.duckdb"), Scripted(lambda _c, _n: failed("timeout", "late")))
    run.wait(WAIT_S)
    panel = RunPanel(Watch(run=run), follow=False)
    assert "6 failed, $0 spent and 6 bills unknown." in panel.reading


def test_a_table_that_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    run = start(Store(tmp_path / "s.duckdb"), Scripted())
    run.wait(WAIT_S)
    panel = RunPanel(Watch(run=run), follow=False)
    before = panel._board.models.frame
    panel.refresh()
    assert panel._board.models.frame is before


def test_a_store_that_cannot_be_read_is_told_and_no_traceback(tmp_path: Path) -> None:
    bench = keyed_bench(tmp_path)
    bench.store.path.write_text("this is no store")
    panel = opened(bench)
    assert "store" in panel.refusal
    assert panel.reading == "The plan could not be made."
    assert seen(panel._controls.again)


def test_a_store_that_another_process_holds_is_told_and_looked_at_again(tmp_path: Path) -> None:
    keyed_bench(tmp_path)
    bench = rb.Bench(tmp_path / "bench.yaml", store=tmp_path / "own.duckdb", environment={}, lock_timeout_s=0.0)
    hold = f"import duckdb; con = duckdb.connect({str(bench.store.path)!r}); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        panel = opened(bench)
        assert f"is held by process {holder.pid}" in panel.refusal
        assert "close that notebook or command" in panel.refusal
        holder.communicate(b"\n")
    panel._controls.again.click()
    assert "2 calls to send" in panel.reading
    assert "is held" not in panel.refusal


def test_the_picture_is_drawn_without_a_browser(tmp_path: Path) -> None:
    def answer(_call: object, number: int):
        return failed("timeout", "late") if number == 1 else ok()

    run = start(Store(tmp_path / "s.duckdb"), Scripted(answer))
    run.wait(WAIT_S)
    panel = RunPanel(Watch(run=run), follow=False)
    svg = panel.pictures()[0].svg()
    assert "seconds since the run began" in svg
    assert panel.pictures()[0].description.startswith(
        "Latency of the latest 6 calls over time, a row a model, 1 of them"
    )


@pytest.mark.parametrize("latencies_s", [[], [0.2], [0.01, 0.1, 1.0, 10.0], [float("nan"), 0.3]])
def test_every_call_has_its_place_in_the_row(latencies_s: list[float]) -> None:
    n = len(latencies_s)
    columns = {"at_s": [float(i) for i in range(n)], "model": ["m"] * n, "case": ["c"] * n, "latency_s": latencies_s}
    points = pd.DataFrame({**columns, "kind": ["answered"] * n, "what": ["ok"] * n}).astype({"latency_s": float})
    drawn = frames(points, ["m"])
    assert drawn["points"]["height"].between(0, 1).all()
    assert drawn["guides"]["height"].between(0, 1).all()
    assert len(drawn["guides"]) <= 3
    assert latencies(["m"]).to_dict()
    assert bool(n) == ("Latency" in described(points, ["m"]))
