"""The whole path over real connections: bench.yaml, plan, run, judges, caps, cache modes, reprice."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from routebench.bench import Bench
from routebench.cli import main
from routebench.errors import ConfigError, InputError, MissingCellsError, OutcomesError
from routebench.run import Purse
from tests.upstream import Reply, Upstream, chat_stream, error, serve

Answer = Callable[[dict[str, Any], int], Reply]


def verdict_or_answer(body: dict[str, Any], _number: int) -> Reply:
    asked = body["messages"][-1]["content"]
    if "You grade an answer" in asked:
        return chat_stream('{"reason": "fine", "score": 7}', usage={"prompt_tokens": 50, "completion_tokens": 10})
    return chat_stream("an answer", usage={"prompt_tokens": 10, "completion_tokens": 2})


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serve(verdict_or_answer) as server:
        yield server


PRICE = "price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}"


def write(
    folder: Path, url: str, *, rows: list[dict[str, Any]] | None = None, model: str = PRICE, more: str = ""
) -> Path:
    rows = rows or [
        {"id": f"c{i}", "prompt": f"question {i}", "target": "an answer", "grader": "exact"} for i in range(4)
    ]
    (folder / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "bench.yaml").write_text(
        f"""\
suite: suite.jsonl
store: s.duckdb
models:
  - {{name: m, provider: openai, base_url: "{url}", model: mock, params: {{max_tokens: 8}}, {model}}}
limits: {{max_attempts: 1}}
{more}"""
    )
    return folder / "bench.yaml"


JUDGED = [
    {"id": f"j{i}", "prompt": f"write {i}", "grader": {"name": "judge", "rubric": "Is it kind?"}} for i in range(3)
]


def judges(url: str, price: str = PRICE) -> str:
    return f'judges:\n  - {{name: judge, provider: openai, base_url: "{url}", model: big, params: {{max_tokens: 60}}, {price}}}\n'


def test_judges_are_planned_on_a_line_of_their_own_asked_once_and_read(tmp_path: Path, upstream: Upstream) -> None:
    bench = Bench(write(tmp_path, upstream.url, rows=JUDGED, more=judges(upstream.url)))
    plan = bench.plan()
    lines = {(line.name, line.purpose): line for line in plan.lines}
    assert lines["m", "answer"].calls == lines["judge", "judge"].calls == 3
    high = lines["judge", "judge"].cost_high_usd
    assert high is not None
    assert plan.cost_high_usd == pytest.approx(high + (lines["m", "answer"].cost_high_usd or 0))
    bench.run(plan).wait(10)
    assert bench.grade() == 0
    assert bench.plan().lines[1].calls == 3
    run = bench.judge()
    assert run is not None
    progress = run.wait(10)
    assert (progress.done, progress.models[0].name) == (3, "judge")
    assert bench.grade() == 3
    graded = bench.sql("SELECT score, detail, grader_cost_usd FROM grades")
    assert graded["score"].tolist() == [0.7] * 3
    assert graded["detail"].tolist() == ["fine"] * 3
    assert graded["grader_cost_usd"].tolist() == pytest.approx([70e-6] * 3)
    assert bench.judge() is None
    assert [line.purpose for line in bench.plan().lines] == ["answer"]
    prompts = [
        body["messages"][-1]["content"] for body in upstream.requests if "You grade" in body["messages"][-1]["content"]
    ]
    assert len(prompts) == 3
    assert "Is it kind?" in prompts[0]
    assert "an answer" in prompts[0]


def test_one_command_answers_and_judges_under_one_cap(
    tmp_path: Path, upstream: Upstream, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, upstream.url, rows=JUDGED, more=judges(upstream.url))
    monkeypatch.chdir(tmp_path)
    # Room for the answers, and for no judge.
    assert main(["run", "bench.yaml", "--json", "--budget-usd", "0.0005"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["done"], document["judging"]["done"], document["judging"]["status"]) == (3, 0, "budget")
    assert document["spent_usd"] + document["judging"]["spent_usd"] <= 0.0005
    assert main(["run", "bench.yaml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["calls"], document["judging"]["done"], document["graded"]) == (0, 3, 3)
    assert main(["grade", "bench.yaml"]) == 0
    assert "0 answers graded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (chat_stream("seven"), "no verdict"),
        (chat_stream('{"score": 11}'), "no verdict"),
        (chat_stream('{"score": true}'), "no verdict"),
        (chat_stream('["score"]'), "no verdict"),
        (chat_stream('{"score": "7"}'), "no verdict"),
    ],
)
def test_an_unreadable_verdict_leaves_the_answer_unscored(tmp_path: Path, reply: Reply, detail: str) -> None:
    with serve(
        lambda body, n: reply if "You grade" in body["messages"][-1]["content"] else verdict_or_answer(body, n)
    ) as server:
        bench = Bench(write(tmp_path, server.url, rows=JUDGED[:1], more=judges(server.url)))
        bench.run().wait(10)
        run = bench.judge()
        assert run is not None
        run.wait(10)
        assert bench.grade() == 1
        (row,) = bench.sql("SELECT score, detail FROM grades").to_dict("records")
        assert row["score"] != row["score"] or row["score"] is None
        assert detail in row["detail"]
        assert bench.judge() is None
        assert bench.unscored() == 1
        with pytest.raises(OutcomesError, match="none of its 1 answers has a score"):
            bench.compare()


def test_a_judge_that_failed_is_asked_again(tmp_path: Path) -> None:
    with serve(
        lambda body, n: (
            error(503, "busy")
            if "You grade" in body["messages"][-1]["content"] and n < 3
            else verdict_or_answer(body, n)
        )
    ) as server:
        bench = Bench(write(tmp_path, server.url, rows=JUDGED[:1], more=judges(server.url)))
        bench.run().wait(10)
        for expected in (0, 1):
            run = bench.judge()
            assert run is not None
            run.wait(10)
            assert bench.grade() == expected


def test_judges_that_are_missing_or_unclear_are_errors(tmp_path: Path, upstream: Upstream) -> None:
    with pytest.raises(ConfigError, match=r"names no judge; judges of the bench\.yaml: none"):
        Bench(write(tmp_path, upstream.url, rows=JUDGED))
    rows = [{"id": "a", "prompt": "x", "grader": {"name": "judge", "model": "juge"}}]
    with pytest.raises(ConfigError, match=r"names judge 'juge' \(did you mean 'judge'\?\)"):
        Bench(write(tmp_path, upstream.url, rows=rows, more=judges(upstream.url)))


def test_under_a_dollar_cap_an_unpriced_model_or_judge_is_refused_by_name(tmp_path: Path, upstream: Upstream) -> None:
    bench = Bench(write(tmp_path, upstream.url, model="region: eu"))
    with pytest.raises(ConfigError, match=r"a call of m can cost is unknown.*--max-calls"):
        bench.run(budget_usd=1.0)
    assert upstream.requests == []
    assert bench.run(budget_usd=1.0, max_calls=2).wait(10).n_sent == 2
    judged = Bench(
        write(tmp_path, upstream.url, rows=JUDGED, more=judges(upstream.url, "region: eu")), store=tmp_path / "j.duckdb"
    )
    with pytest.raises(ConfigError, match="a call of judge can cost is unknown"):
        judged.run(budget_usd=1.0)


def test_a_judge_s_missing_key_shows_before_anything_is_bought(tmp_path: Path, upstream: Upstream) -> None:
    more = judges(upstream.url, f"{PRICE}, key_env: JUDGE_KEY")
    bench = Bench(write(tmp_path, upstream.url, rows=JUDGED, more=more), environment={})
    with pytest.raises(ConfigError, match="JUDGE_KEY is not set; models judge need it"):
        bench.run()
    assert upstream.requests == []


def test_a_keyring_can_hold_the_keys(tmp_path: Path, upstream: Upstream) -> None:
    config = write(tmp_path, upstream.url, model=f"{PRICE}, key_env: MY_KEY")
    bench = Bench(config, environment={}, secret={"MY_KEY": "sk-from-keyring"}.get)
    assert bench.run().wait(10).errors == 0
    assert upstream.headers[0]["authorization"] == "Bearer sk-from-keyring"
    for path in tmp_path.iterdir():
        assert b"sk-from-keyring" not in path.read_bytes()


def test_cache_only_by_the_environment_sends_nothing(tmp_path: Path, upstream: Upstream) -> None:
    config = write(tmp_path, upstream.url)
    recorded = Bench(config, environment={"ROUTEBENCH_CACHE": "only"})
    with pytest.raises(MissingCellsError, match="4 of 4 cells"):
        recorded.run()
    Bench(config).run().wait(10)
    asked = len(upstream.requests)
    assert recorded.run().wait(10).calls == 0
    assert len(upstream.requests) == asked


def test_two_processes_on_two_shards_of_one_store(tmp_path: Path, upstream: Upstream) -> None:
    rows = [{"id": f"c{i}", "prompt": f"question {i}", "target": "an answer", "grader": "exact"} for i in range(60)]
    write(tmp_path, upstream.url, rows=rows)
    commands = [
        [sys.executable, "-m", "routebench", "run", "bench.yaml", "--json", "--shard", f"{part}/2"] for part in (1, 2)
    ]
    processes = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert json.loads(out)["left"] == 0
    bench = Bench(tmp_path / "bench.yaml")
    assert bench.run().wait(10).calls == 0
    assert bench.sql("SELECT count(*) AS n, count(DISTINCT case_id) AS cases FROM outcomes WHERE score = 1").iloc[
        0
    ].tolist() == [60, 60]
    assert len(upstream.requests) == 60


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_no_part_of_a_whole_is_an_error(
    tmp_path: Path, upstream: Upstream, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path, upstream.url)
    assert main(["plan", str(config), f"--shard={text}"]) == 2
    assert "such as 1/2" in capsys.readouterr().err


def test_failures_are_counted_by_kind_and_exit_0_since_every_cell_has_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def some_fail(body: dict[str, Any], number: int) -> Reply:
        asked = body["messages"][-1]["content"]
        return (
            error(400, "too odd")
            if asked.endswith("1")
            else error(500, "oops")
            if asked.endswith("2")
            else verdict_or_answer(body, number)
        )

    with serve(some_fail) as server:
        write(tmp_path, server.url)
        monkeypatch.chdir(tmp_path)
        assert main(["run", "bench.yaml"]) == 0
    out = capsys.readouterr().out
    assert "2 calls failed" in out
    assert "1 x bad_request" in out
    assert "1 x server" in out


def test_repricing_costs_stored_tokens_anew_without_a_call(
    tmp_path: Path, upstream: Upstream, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(write(tmp_path, upstream.url))
    bench.run().wait(10)
    bench.grade()
    billed = bench.sql("SELECT billed_cost_usd FROM completions")["billed_cost_usd"].tolist()
    asked = len(upstream.requests)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.yaml").write_text(
        "date: 2027-01-01\nprices:\n  m: {input_usd_per_mtok: 10, output_usd_per_mtok: 20}\n"
    )
    assert main(["reprice", "--store", "s.duckdb", "--prices", "p.yaml", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told == {"model": "m", "answers": 4, "n_cost_unknown": 0, "mean_cost_usd": pytest.approx(140e-6)}
    assert len(upstream.requests) == asked
    frame = bench.sql("SELECT cost_usd, billed_cost_usd, price_source, price_date::VARCHAR AS day FROM completions")
    assert frame["cost_usd"].tolist() == pytest.approx([140e-6] * 4)
    assert frame["billed_cost_usd"].tolist() == billed
    assert set(frame["price_source"]) == {"user"}
    assert set(frame["day"]) == {"2027-01-01"}
    assert bench.sql("SELECT price->>'input_usd_per_mtok' AS p FROM models")["p"].tolist() == ["10.0"]
    (tmp_path / "p.yaml").write_text("prices:\n  m: {input_usd_per_mtok: 10}\n")
    assert main(["reprice", "--store", "s.duckdb", "--prices", "p.yaml"]) == 0
    assert "4 at an unknown cost" in capsys.readouterr().out
    assert bench.sql("SELECT cost_usd FROM completions")["cost_usd"].isna().all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prices: {mm: {usd_per_request: 1}}", "did you mean 'm'"),
        ("prices: {m: {usd_per_requests: 1}}", "p.yaml:1:"),
        ("prices: {}", "p.yaml"),
        ("prices: {m: {usd_per_request: -1}}", "not negative"),
        ("date: soon\nprices: {m: {usd_per_request: 1}}", "`date`"),
    ],
)
def test_bad_prices(
    tmp_path: Path, upstream: Upstream, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    Bench(write(tmp_path, upstream.url)).run().wait(10)
    (tmp_path / "p.yaml").write_text(text)
    assert main(["reprice", "--store", str(tmp_path / "s.duckdb"), "--prices", str(tmp_path / "p.yaml")]) == 2
    assert words in capsys.readouterr().err


def test_two_models_that_share_answers_share_a_price(tmp_path: Path, upstream: Upstream) -> None:
    config = write(tmp_path, upstream.url)
    text = config.read_text()
    line = next(line for line in text.splitlines() if "name: m," in line)
    config.write_text(text.replace(line, line + "\n" + line.replace("name: m,", "name: twin,")))
    bench = Bench(config)
    assert bench.run().wait(10).calls == 4
    from routebench.repricing import reprice
    from routebench.types import Price

    prices = {"m": Price(usd_per_request=1.0), "twin": Price(usd_per_request=2.0)}
    with pytest.raises(InputError, match="'m' and 'twin' share answers"):
        reprice(bench.store, prices, bench._now().date())


def test_the_book_is_shown_by_provider(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--provider", "anthropic", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert any(entry["model"] == "claude-sonnet-4-5" and entry["context_window"] == 200_000 for entry in entries)
    assert main(["models", "--provider", "qwen"]) == 0
    assert "qwen3-max" in capsys.readouterr().out
    assert main(["models", "--provider", "nobody"]) == 2


def test_a_plan_shows_time_at_measured_latencies_and_leaves_unmeasured_ones_open(
    tmp_path: Path, upstream: Upstream
) -> None:
    bench = Bench(write(tmp_path, upstream.url))
    assert bench.plan().lines[0].time_s is None
    bench.run().wait(10)
    rows = [{"id": f"n{i}", "prompt": f"new {i}"} for i in range(200)]
    more = Bench(write(tmp_path, upstream.url, rows=rows))
    expected = more.plan().lines[0].time_s
    mean = bench.sql("SELECT avg(latency_s) AS s FROM completions")["s"][0]
    assert expected == pytest.approx(4 * mean)


def test_two_runs_in_one_process_and_a_third_beside_them(tmp_path: Path, upstream: Upstream) -> None:
    # In a process of its own: a fault here has brought the whole interpreter down.
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, upstream.url)
    code = """
import sys
from routebench.bench import Bench
first, second, third = (Bench(f"{folder}/bench.yaml") for folder in sys.argv[1:])
print(first.run().wait(20).done)
runs = second.run(), third.run()
print([run.wait(20).done for run in runs])
"""
    folders = [str(tmp_path / name) for name in ("a", "b", "c")]
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["4", "[4,", "4]"]), done.stderr


def test_nothing_is_judged_when_nothing_may_be_sent(
    tmp_path: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, upstream.url, rows=JUDGED, more=judges(upstream.url))
    monkeypatch.chdir(tmp_path)
    Bench("bench.yaml").run().wait(10)
    asked = len(upstream.requests)
    assert main(["run", "bench.yaml", "--cache", "only"]) == 2
    assert len(upstream.requests) == asked


def test_a_refused_run_leaves_the_store_as_it_was(tmp_path: Path, upstream: Upstream) -> None:
    config = write(tmp_path, upstream.url)
    Bench(config).run().wait(10)
    write(tmp_path, upstream.url, model=f"{PRICE}, key_env: NOT_THERE")
    bench = Bench(config, environment={})
    with pytest.raises(ConfigError, match="NOT_THERE"):
        bench.run(bench.plan(cache="off"))
    assert bench.sql("SELECT count(*) AS n FROM outcomes WHERE status = 'ok'")["n"].tolist() == [4]


def test_runs_of_several_benches_share_a_purse(tmp_path: Path, upstream: Upstream) -> None:
    config = write(tmp_path, upstream.url)
    worst = Bench(config).plan().cost_high_usd
    assert worst is not None
    purse = Purse(tmp_path / "purse.json", 2 * worst)
    first = Bench(config, purse=purse)
    run = first.run(budget_usd=10 * worst)
    progress = run.wait(60)
    assert (progress.status, progress.cap_usd) == ("done", 2 * worst)
    assert purse.left_usd == pytest.approx(2 * worst - progress.spent_usd)
    # Its cap is never raised above what is left, whoever asks.
    with pytest.raises(InputError):
        run.raise_cap(3 * worst)
    second = Bench(config, store=tmp_path / "other.duckdb", purse=purse).run()
    assert second.progress().cap_usd == pytest.approx(2 * worst - progress.spent_usd)
    second.wait(60)


def test_a_cap_of_a_purse_is_not_raised_while_a_run_goes_on(tmp_path: Path) -> None:
    gate = threading.Event()

    def held(_body: dict[str, Any], _number: int) -> Reply:
        gate.wait(60)
        return chat_stream("an answer", usage={"prompt_tokens": 10, "completion_tokens": 2})

    with serve(held) as server:
        bench = Bench(write(tmp_path, server.url), purse=Purse(tmp_path / "purse.json", 1.0))
        run = bench.run(budget_usd=0.5)
        with pytest.raises(InputError, match="more than the \\$1 that are left"):
            run.raise_cap(1.5)
        run.raise_cap(1.0)
        with pytest.raises(ConfigError, match="nothing is left of the cap of \\$1"):
            Bench(
                tmp_path / "bench.yaml", store=tmp_path / "other.duckdb", purse=Purse(tmp_path / "purse.json", 1.0)
            ).run()
        gate.set()
        run.wait(60)


def test_an_empty_purse_sends_nothing_and_leaves_the_store_as_it_was(tmp_path: Path, upstream: Upstream) -> None:
    bench = Bench(write(tmp_path, upstream.url), purse=Purse(tmp_path / "purse.json", 0.0))
    before = bench.store.path.read_bytes()
    with pytest.raises(ConfigError, match="only shows what is known"):
        bench.run(max_calls=1)
    assert bench.store.path.read_bytes() == before
    assert not upstream.requests


def test_a_purse_refuses_what_has_no_price_even_where_calls_are_capped(tmp_path: Path, upstream: Upstream) -> None:
    bench = Bench(write(tmp_path, upstream.url, model="price: null"), purse=Purse(tmp_path / "purse.json", 1.0))
    with pytest.raises(ConfigError, match="m"):
        bench.run(max_calls=1)
    assert not upstream.requests
