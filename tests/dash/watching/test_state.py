from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.resources import as_file
from pathlib import Path

import pytest
from filelock import FileLock

import routebench as rb
from routebench.dash.watching.priced import Priced
from routebench.dash.watching.scores import SCORED_FROM, Score, mean_scores
from routebench.dash.watching.state import Watch
from routebench.dash.watching.stored import Stored
from routebench.errors import ConfigError, InputError
from routebench.providers.base import failed
from routebench.redact import Secrets
from routebench.run import Limits, Plan, Run, make_plan
from routebench.store import Store, write_run
from routebench.suites import Suite
from routebench.suites.starter import DEMO
from tests.conftest import make_model
from tests.run.test_runner import AT, SUITE, Scripted, ok, start
from tests.run.test_steering import WAIT_S, Held, held


def demo_bench(tmp_path: Path) -> rb.Bench:
    with as_file(DEMO) as folder:
        recorded = folder / "recorded.jsonl.gz"
        return rb.Bench(folder / "bench.yaml", store=tmp_path / "s.duckdb", recorded=recorded)


def keyed_bench(tmp_path: Path, price: str = "", **environment: str) -> rb.Bench:
    (tmp_path / "suite.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    (tmp_path / "bench.yaml").write_text(
        "suite: suite.jsonl\nmodels:\n"
        f"  - {{name: own, provider: openai, model: own-1, key_env: OWN_KEY, params: {{max_tokens: 9}}{price}}}\n"
    )
    return rb.Bench(tmp_path / "bench.yaml", store=tmp_path / "own.duckdb", environment=environment)


def planned(bench: rb.Bench, **settings: object) -> Watch:
    watch = Watch(bench, **settings)  # type: ignore[arg-type]
    watch.find()
    return watch


def test_a_bench_opens_with_its_priced_plan_and_runs_to_the_end(tmp_path: Path) -> None:
    watch = planned(demo_bench(tmp_path))
    assert watch.stage == "plan"
    assert watch.priced is not None
    assert {(row[5], row[8]) for row in watch.priced.rows()} == {("n/a (never asked before)", "nominal CPU rate")}
    assert f"{watch.priced.n_calls} calls to send, 0 of" in watch.priced.reading
    assert watch.priced.n_calls > 0
    assert watch.stored is not None
    assert (watch.stored.last, watch.stored.story) == (None, "")
    run = watch.start()
    assert run.wait(WAIT_S).left == 0
    assert watch.ended() is None
    watch.read_scores()
    assert all(score.mean is not None for score in watch.scores.values() if score.n >= SCORED_FROM)
    watch.find()
    assert watch.stage == "plan"
    assert watch.priced.reading.startswith("Nothing to run: ")
    assert "all its calls have ended" in watch.stored.story
    with pytest.raises(InputError, match="nothing to run"):
        watch.start()


def test_a_second_watch_of_the_same_suite_finds_the_run_that_goes_on(tmp_path: Path) -> None:
    bench = keyed_bench(tmp_path)
    suite = replace(SUITE, name=bench.suite.name)
    provider = Held(1)
    run = start(bench.store, provider, suite=suite)
    assert provider.arrived.wait(WAIT_S)
    again = planned(keyed_bench(tmp_path))
    assert (again.stage, again.run, again.is_going) == ("run", run, True)
    with pytest.raises(InputError, match="a run goes on already"):
        again.start(1.0)
    provider.let_go.set()
    run.wait(WAIT_S)
    assert not again.is_going
    # What somebody else began, somebody else judges.
    assert again.ended() is None


def test_pausing_stopping_and_the_log(tmp_path: Path) -> None:
    provider, run, _store = held(tmp_path, 1, budget=1.0)
    watch = Watch(run=run)
    assert watch.look().progress.status == "running"
    watch.pause_or_resume()
    assert watch.look().progress.status == "paused"
    watch.pause_or_resume()
    assert watch.look().progress.status == "running"
    watch.raise_cap(2.0)
    watch.stop()
    provider.let_go.set()
    progress = run.wait(WAIT_S)
    watch.look()
    assert [text for _, text in watch.log] == [
        "paused",
        "running",
        f"stopped, {progress.left} not sent",
        "cap raised from $1 to $2",
    ]
    with pytest.raises(InputError, match="no run goes on here"):
        watch.stop()


def test_read_only_shows_and_does_nothing(tmp_path: Path) -> None:
    provider, run, _store = held(tmp_path, 1)
    watch = Watch(run=run, read_only=True)
    for work in (watch.pause_or_resume, watch.stop, lambda: watch.raise_cap(2.0), lambda: watch.throttle(1)):
        with pytest.raises(InputError, match="only shows"):
            work()
    assert run.progress().status == "running"
    provider.let_go.set()
    run.wait(WAIT_S)
    shown = planned(keyed_bench(tmp_path), read_only=True)
    with pytest.raises(InputError, match="only shows"):
        shown.start(1.0)


def test_the_cap_of_a_page_holds_for_all_its_runs(tmp_path: Path) -> None:
    price = ", price: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}"
    watch = planned(keyed_bench(tmp_path, price), cap_usd=1.0)
    for cap in (None, 1.5):
        with pytest.raises(InputError, match=r"may spend \$1 at the most"):
            watch.start(cap)
    # What was spent before is spent.
    watch._spent_usd = 0.7
    with pytest.raises(InputError, match=r"may spend \$0.3 at the most"):
        watch.start(0.5)
    # In bounds: what is missing now is the key.
    with pytest.raises(ConfigError, match="OWN_KEY is not set; models own need it"):
        watch.start(0.2)


def test_an_unknown_price_asks_for_a_cap_in_calls(tmp_path: Path) -> None:
    watch = planned(keyed_bench(tmp_path))
    assert watch.priced is not None
    assert watch.priced.unpriced == ("own",)
    assert "the most that own can cost is unknown" in watch.priced.reading
    (row,) = watch.priced.rows()
    assert (row[5], row[6], row[8]) == ("n/a (no price)", "n/a (no bound)", "n/a (no price)")
    with pytest.raises(InputError, match="cap the number of calls"):
        watch.start()
    with pytest.raises(ConfigError, match="OWN_KEY is not set"):
        watch.start(max_calls=2)
    bound = planned(keyed_bench(tmp_path), cap_usd=1.0)
    with pytest.raises(InputError, match="is unknown, and this page may spend"):
        bound.start(1.0, max_calls=2)


def test_expected_cost_is_what_answers_cost_before(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    start(store, Scripted(), max_calls=2).wait(WAIT_S)
    (row,) = Priced.of(make_plan(SUITE, [make_model()], store), store).rows()
    # Two known, four to send, at $0.002 each.
    assert (row[2], row[3], row[5]) == ("2/6", "4", "~$0.008 (as 2 before)")


def test_what_became_of_the_last_run_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    assert Stored.read(store, "s").story == ""
    start(store, Scripted(), max_calls=2).wait(WAIT_S)
    stored = Stored.read(store, "s")
    assert (stored.n_done, stored.n_cells) == (2, 6)
    assert "it ended at its cap, $0.004 spent" in stored.story
    row = {"run_id": "late", "suite": "s", "plan_key": "p", "config": {}, "started_at": AT + timedelta(days=1)}
    write_run(store, {**row, "finished_at": None, "status": "running", "spend_usd": 0.0})
    assert "did not come to its end: its process was ended" in Stored.read(store, "s").story
    with FileLock(tmp_path / ".s.duckdb.late.lock"):
        alive = Stored.read(store, "s")
        assert alive.is_alive
        assert "goes on in another process" in alive.story
    assert stored.rows()[0][:5] == ("small", "2/6", "0", "0", "4")


def test_scores_are_hidden_until_there_are_enough_of_them(tmp_path: Path) -> None:
    bench = demo_bench(tmp_path)
    bench.run(max_calls=40).wait(WAIT_S)
    bench.grade()
    names = [model.name for model in bench.models]
    few = mean_scores(bench.store, bench.suite.name, names)
    assert few
    assert all(score.mean is None for score in few.values() if score.n < SCORED_FROM)
    bench.run().wait(WAIT_S)
    bench.grade()
    many = mean_scores(bench.store, bench.suite.name, names)
    assert set(many) == set(names)
    shown = [score for score in many.values() if score.n >= SCORED_FROM]
    assert shown
    for score in shown:
        assert score.mean is not None
        assert score.ci95 is not None
        assert score.ci95[0] <= score.mean <= score.ci95[1]
    assert all(score.mean is None for score in many.values() if score.n < SCORED_FROM)
    assert Score(3).mean is None


def test_failures_are_points_too(tmp_path: Path) -> None:
    run = start(Store(tmp_path / "s.duckdb"), Scripted(lambda _c, n: failed("timeout", "late") if n == 1 else ok()))
    run.wait(WAIT_S)
    points = Watch(run=run).look().points()
    assert sorted(points["kind"]) == ["answered"] * 5 + ["failed"]
    assert points.loc[points["kind"] == "failed", "latency_s"].isna().all()


class Judged:
    """What a watch asks of a bench whose answers are judged; the judges' calls are no cells."""

    suite = SUITE

    def __init__(self, tmp_path: Path) -> None:
        self.store = Store(tmp_path / "s.duckdb")
        self.asked: list[dict[str, float | None]] = []

    def plan(self) -> Plan:
        return make_plan(SUITE, [make_model()], self.store)

    def run(self, _plan: Plan, *, budget_usd: float | None, max_calls: int | None) -> Run:
        return start(self.store, Scripted(), budget=budget_usd, max_calls=max_calls)

    def judge(self, **caps: float | None) -> Run:
        self.asked.append(caps)
        judges = replace(make_plan(Suite("judging", SUITE.cases), [make_model("judge")], self.store), keys={})
        return Run(
            judges,
            self.store,
            run_id="judging",
            open_provider=lambda _name: Scripted(),
            limits=Limits(),
            secrets=Secrets([]),
            now=lambda: AT,
        ).start()


def test_judges_are_asked_once_with_what_the_caps_have_left(tmp_path: Path) -> None:
    bench = Judged(tmp_path)
    watch = planned(bench, cap_usd=1.0)  # type: ignore[arg-type]
    watch.start(0.5, max_calls=50).wait(WAIT_S)
    judging = watch.ended()
    assert judging is not None
    assert watch.run is judging
    # Six answers at $0.002 are paid for.
    assert bench.asked == [{"budget_usd": pytest.approx(0.488), "max_calls": 44}]
    judging.wait(WAIT_S)
    assert watch.ended() is None
    assert len(bench.asked) == 1
    assert watch.left_usd == pytest.approx(1 - 0.024)


def test_what_a_run_was_billed_is_booked_once_whoever_asks_first(tmp_path: Path) -> None:
    watch = planned(Judged(tmp_path), cap_usd=1.0)  # type: ignore[arg-type]
    watch.start(0.5).wait(WAIT_S)
    # Planned anew before the end was settled.
    watch.find()
    assert watch.left_usd == pytest.approx(1 - 0.012)
    watch.ended()
    assert watch.left_usd == pytest.approx(1 - 0.012)


class HeldBack(Judged):
    """Its answers wait until they are let go."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path)
        self.provider = Held(1)

    def run(self, _plan: Plan, *, budget_usd: float | None, max_calls: int | None) -> Run:
        return start(self.store, self.provider, budget=budget_usd, max_calls=max_calls)


def test_judges_go_no_faster_than_the_answers_were_allowed_to(tmp_path: Path) -> None:
    bench = HeldBack(tmp_path)
    watch = planned(bench)  # type: ignore[arg-type]
    run = watch.start(0.5)
    assert bench.provider.arrived.wait(WAIT_S)
    watch.throttle(2)
    bench.provider.let_go.set()
    run.wait(WAIT_S)
    judging = watch.ended()
    assert judging is not None
    assert judging.max_concurrency == 2
    judging.wait(WAIT_S)
