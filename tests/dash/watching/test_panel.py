from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import routebench as rb
from routebench.dash.watching.panel import RunPanel
from routebench.dash.watching.pictures import described, frames, latencies
from routebench.dash.watching.state import Watch
from routebench.providers.base import failed
from routebench.store import Store
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
