"""A gateway over its life: conversations, exploration, the shadow, texts, reloads, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from routebench.errors import ConfigError, RulesError
from routebench.gateway import Gateway
from routebench.providers import Told, find_gateway
from routebench.rules import RuleSet
from routebench.traces import read_traces
from routebench.types import Request, ToolCall
from tests.gateway.scripted import Hangs, fails, running, says
from tests.gateway.wire import Wire
from tests.upstream import Upstream, chat_stream, serve

MODELS = """\
schema: routebench/rules/v1
name: life
models:
  small: {provider: openai, model: s, price: {usd_per_request: 0.1}}
  large: {provider: openai, model: l, price: {usd_per_request: 1.0}}
"""
RULES = (
    MODELS
    + "rules:\n  - {name: hard, when: {any_keyword: [prove]}, route: [large]}\ndefault: {route: [small, large]}\n"
)
OTHER = RULES.replace("[prove]", "[hello]")
BOTH = {"small": [says("from small")], "large": [says("from large")]}


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits for something that happens on another thread or in another process."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


# Conversations


def test_a_conversation_stays_with_the_model_that_answered_it(tmp_path: Path) -> None:
    with running(tmp_path, RULES, BOTH) as run:
        first = [{"role": "user", "content": "prove it"}]
        answer = run.ask(messages=first).json()["choices"][0]["message"]
        again = run.ask(messages=[*first, answer, {"role": "user", "content": "and shorter?"}])
        assert (again.headers["x-routebench-model"], again.headers["x-routebench-rule"]) == ("large", "sticky")
        # Another answer than ours is another conversation: it is decided like one that begins.
        made_up = {"role": "assistant", "content": "something else"}
        other = run.ask(messages=[*first, made_up, {"role": "user", "content": "and shorter?"}])
        assert other.headers["x-routebench-model"] == "small"
        told = run.ask(messages=[*first, made_up, {"role": "user", "content": "x"}], routebench={"previous": "large"})
        assert told.headers["x-routebench-model"] == "large"
        rows = run.rows()
    assert len({row["conversation"] for row in rows}) == 1


def test_a_call_of_a_tool_is_answered_by_the_model_that_made_it(tmp_path: Path) -> None:
    calls = says("", tool_calls=(ToolCall("c1", "weather", '{"city": "Rome"}'),), finish_reason="tool_calls")
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    with running(tmp_path, RULES, {"small": [says("s")], "large": [calls, says("sunny")]}) as run:
        first = [{"role": "user", "content": "prove the weather"}]
        message = run.ask(messages=first, tools=tools).json()["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sun"}
        assert run.ask(messages=[*first, message, result], tools=tools).json()["model"] == "large"


# Names of models


def test_a_model_is_asked_by_its_name_and_an_unknown_one_is_told_with_those_there_are(tmp_path: Path) -> None:
    with running(tmp_path, RULES, BOTH) as run:
        assert run.ask(model="large").headers["x-routebench-rule"] == "named"
        lost = run.ask(model="gpt-5")
        assert (lost.status_code, lost.json()["error"]["code"]) == (404, "model_not_found")
        assert "small, large" in lost.json()["error"]["message"]
        listed = run.client.get("models").json()["data"]
        assert [one["id"] for one in listed] == ["routebench/auto", "small", "large"]
        assert run.client.get("models/large").json()["id"] == "large"
        assert run.client.get("models/none").status_code == 404


def test_a_guard_holds_for_a_named_model_too(tmp_path: Path) -> None:
    rules = RULES + "guards:\n  - {name: legal, when: {any_keyword: [contract]}, at_least: large}\n"
    with running(tmp_path, rules, BOTH) as run:
        refused = run.ask("this contract", model="small")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_eligible_model")
        assert run.ask("this contract").headers["x-routebench-model"] == "large"
        assert run.provider.asked == ["large"]


def test_a_decision_alone_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    async def asked(url: str, *texts: str) -> tuple[str, list[Told]]:
        gateway = await find_gateway(url, "auto", key=None, timeout_s=20)
        try:
            requests = [Request(({"role": "user", "content": text},)) for text in texts]
            return gateway.way, [await gateway.ask(request) for request in requests]
        finally:
            await gateway.aclose()

    with running(tmp_path, RULES.replace("name: life", "name: life\nexplore: 0.5"), BOTH) as run:
        way, (hard, easy) = asyncio.run(asked(run.gateway.url, "prove it", "hello"))
        assert way == "routebench-preview"
        assert (hard.model, hard.detail["rule"], hard.cost_usd) == ("large", "hard", 0.0)
        assert (easy.model, easy.detail["rule"]) == ("small", "default")
        wrong = run.client.post("routebench/decision", json={"model": "auto", "messages": []})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages")
        assert run.provider.asked == []
        assert run.rows() == []


# Exploration and the shadow


def test_exploration_draws_among_eligible_models_and_logs_with_which_chance(tmp_path: Path) -> None:
    rules = RULES.replace("name: life", "name: life\nexplore: 0.5") + (
        "guards:\n  - {name: legal, when: {any_keyword: [contract]}, only: [small]}\n"
    )
    with running(tmp_path, rules, BOTH) as run:
        for _ in range(60):
            run.ask("hi")
        for _ in range(20):
            run.ask("a contract")
        rows = run.rows()
    free = [row for row in rows if row["eligible"] == ("small", "large")]
    bound = [row for row in rows if row["eligible"] == ("small",)]
    assert (len(free), len(bound)) == (60, 20)
    firsts = Counter((row["chain"][0], row["propensity"]) for row in free)
    assert set(firsts) == {("small", 0.75), ("large", 0.25)}
    assert {row["explored"] for row in free if row["chain"][0] == "large"} == {True}
    assert {(row["chain"], row["explored"], row["propensity"]) for row in bound} == {(("small",), False, None)}


def test_the_shadow_is_written_down_and_nothing_is_sent_for_it(tmp_path: Path) -> None:
    shadow = tmp_path / "new.yaml"
    shadow.write_text(OTHER.replace("name: life", "name: next"))
    with running(tmp_path, RULES, BOTH, shadow=shadow) as run:
        run.ask("prove it")
        run.ask("hello")
        assert run.provider.asked == ["large", "small"]
        rows = run.rows()
    assert [(row["shadow_rules"], row["shadow_rule"], row["shadow_chain"]) for row in rows] == [
        ("next", "default", ("small", "large")),
        ("next", "hard", ("large",)),
    ]


# Texts


@pytest.mark.parametrize("mode", ["none", "redacted", "full"])
def test_texts_are_kept_as_the_file_says(tmp_path: Path, mode: str) -> None:
    config = f"traces: {{texts: {mode}}}\n"
    with running(tmp_path, RULES, {**BOTH, "small": [says("write to eve@example.com")]}, config=config) as run:
        run.ask("I am bob@example.com")
        run.ask("bad", temperature="bob@example.com")
        run.gateway.stop()
        files = b"".join(path.read_bytes() for path in run.traces.iterdir())
        frame = read_traces(run.traces)
    kept = frame["messages"].dropna()
    assert len(kept) == (0 if mode == "none" else 1)
    if mode == "none":
        assert b"example" not in files
    else:
        text = json.dumps(next(iter(kept)), default=str) + str(frame["answer"].dropna().iloc[0])
        assert ("bob@example.com" in text and "eve@example.com" in text) == (mode == "full")
        assert "I am" in text


# Reloads


def test_a_changed_file_is_taken_up_and_a_broken_one_is_not(tmp_path: Path) -> None:
    with running(tmp_path, RULES, BOTH) as run:
        rules = tmp_path / "rules.yaml"

        def model() -> str:
            return run.ask("hello").headers["x-routebench-model"]

        assert model() == "small"
        rules.write_text(OTHER)
        run.gateway.reload()
        until(lambda: model() == "large")
        before = run.gateway.ruleset
        rules.write_text(OTHER.replace("[large]", "[lost]"))
        run.gateway.reload()
        metrics = f"{run.gateway.url.removesuffix('/v1')}/metrics"
        until(lambda: 'routebench_reloads_total{result="refused"} 1.0' in run.client.get(metrics).text)
        assert (run.gateway.ruleset, model()) == (before, "large")


def test_a_rule_set_that_does_not_pass_its_check_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    golden = "golden:\n  - {prompt: prove it, decision: [small, large], rule: default}\n"
    with running(tmp_path, RULES, BOTH) as run:
        (tmp_path / "rules.yaml").write_text(RULES + golden)
        run.gateway.reload()
        metrics = f"{run.gateway.url.removesuffix('/v1')}/metrics"
        until(lambda: 'routebench_reloads_total{result="refused"} 1.0' in run.client.get(metrics).text)
        assert not run.gateway.ruleset.golden
    with pytest.raises(RulesError, match="does not pass `routebench check`"):
        Gateway(tmp_path / "rules.yaml", port=0, look=lambda _: "k" * 20)


def test_code_of_the_user_that_fails_at_a_reload_ends_no_reloading(tmp_path: Path) -> None:
    with running(tmp_path, RULES, BOTH, config="limits: {retries: 0}\n") as run:
        metrics = f"{run.gateway.url.removesuffix('/v1')}/metrics"
        code = tmp_path / "mine.py"
        code.write_text("raise ValueError('not today')\n")
        (tmp_path / "gateway.yaml").write_text("traces: {texts: redacted, redact: 'mine.py:clean'}\n")
        run.gateway.reload()
        until(lambda: 'routebench_reloads_total{result="refused"} 1.0' in run.client.get(metrics).text)
        (tmp_path / "gateway.yaml").write_text("limits: {retries: 1}\n")
        run.gateway.reload()
        until(lambda: 'routebench_reloads_total{result="ok"} 1.0' in run.client.get(metrics).text)


def test_health_and_spend_outlive_a_reload(tmp_path: Path) -> None:
    rules = RULES + (
        "health: {window_s: 60, min_requests: 5, max_error_rate: 0.2, min_errors: 2, cooldown_s: 600}\n"
        "budget: {usd_per_day: 1000}\n"
    )
    with running(tmp_path, rules, {**BOTH, "small": [fails("server", billed_cost_usd=0.0)]}) as run:
        while run.provider.asked[-2:] != ["large", "large"]:
            run.ask()
        n_small = run.provider.asked.count("small")
        old = run.gateway.ruleset
        (tmp_path / "rules.yaml").write_text(rules.replace("[prove]", "[show]"))
        run.gateway.reload()
        until(lambda: run.gateway.ruleset is not old)
        run.ask()
        assert run.provider.asked.count("small") == n_small
        spent = run.client.get(f"{run.gateway.url.removesuffix('/v1')}/metrics").text
        assert f"{run.provider.asked.count('large'):.1f}" in next(
            line for line in spent.splitlines() if line.startswith("routebench_spent_usd{")
        )


def test_requests_under_way_end_on_the_rules_they_began_with(tmp_path: Path) -> None:
    slow = {"small": [Hangs()], "large": [says("from large")]}
    config = "limits: {attempt_timeout_s: 2, retries: 0}\n"
    with running(tmp_path, RULES, slow, config=config) as run:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(run.ask("hello")))
        asking.start()
        until(lambda: run.provider.asked == ["small"])
        old = run.gateway.ruleset
        (tmp_path / "rules.yaml").write_text(MODELS + "default: {route: [small]}\n")
        run.gateway.reload()
        until(lambda: run.gateway.ruleset is not old)
        asking.join()
        assert answers[0].headers["x-routebench-model"] == "large"
    assert run.provider.n_closed == 2


# Beginning and end


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with running(tmp_path, RULES, BOTH) as run:
        port = int(run.gateway.url.split(":")[2].removesuffix("/v1"))
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            Gateway(tmp_path / "rules.yaml", port=port, look=lambda _: "k" * 20)


@pytest.mark.parametrize("streamed", [False, True])
def test_who_is_not_served_by_the_end_is_told_so_and_has_a_row(tmp_path: Path, streamed: bool) -> None:
    with running(tmp_path, RULES, {**BOTH, "small": [Hangs("Once upon")]}, drain_s=0.05) as run:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(run.ask("hello", stream=streamed)))
        asking.start()
        until(lambda: run.provider.asked == ["small"])
        (row,) = run.rows()
        asking.join()
    (answer,) = answers
    assert (row["status"], row["error_kind"]) == (answer.status_code, "ending")
    if streamed:
        assert (answer.status_code, row["outcome"]) == (200, "broken")
        assert json.loads(answer.text.rstrip().rpartition("data: ")[2])["error"]["code"] == "ending"
    else:
        assert (answer.status_code, row["outcome"]) == (503, "failed")
        assert (answer.json()["error"]["code"], answer.headers["retry-after"]) == ("ending", "1")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_of_http_1_0_gets_no_chunks(tmp_path: Path, streamed: bool) -> None:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": streamed})
    with running(tmp_path, RULES, BOTH) as run:
        port = int(run.gateway.url.split(":")[2].removesuffix("/v1"))
        with Wire(("127.0.0.1", port)) as wire:
            head = (
                f"POST /v1/chat/completions HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
            )
            told, _, answer = wire.send(f"{head}\r\n\r\n{body}").rest().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in told
    assert b"connection: close" in told
    if streamed:
        assert answer.startswith(b"data: {")
        assert answer.endswith(b"}\n\ndata: [DONE]\n\n")
    else:
        assert json.loads(answer)["choices"][0]["message"]["content"] == "from small"


def test_a_missing_key_is_told_before_anything_is_served(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        Gateway(tmp_path / "rules.yaml", port=0, look=lambda _: None)


@contextmanager
def served(folder: Path, upstream: Upstream) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`routebench serve` as a process of its own."""
    rules = RULES.replace("model: s,", f'model: s, base_url: "{upstream.url}",')
    rules = rules.replace("model: l,", f'model: l, base_url: "{upstream.url}",')
    (folder / "rules.yaml").write_text(rules)
    command = [sys.executable, "-m", "routebench", "serve", "rules.yaml", "--port", "0", "--json"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())["url"]
        finally:
            process.kill()


def ask(url: str, text: str) -> Any:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_the_command_reloads_by_a_signal_and_ends_in_order_by_another(tmp_path: Path) -> None:
    free, asked = threading.Event(), threading.Event()

    def reply(body: dict[str, Any], number: int) -> Any:
        if number == 1:
            asked.set()
            free.wait(20)
        return chat_stream("hello")

    with serve(reply) as upstream, served(tmp_path, upstream) as (process, url):
        answers: list[Any] = []
        slow = threading.Thread(target=lambda: answers.append(ask(url, "hello")))
        slow.start()
        asked.wait(20)
        rules = tmp_path / "rules.yaml"
        text = rules.read_text().replace("[prove]", "[hello]")
        mark = rules.stat()
        rules.write_text(text)
        os.utime(rules, ns=(mark.st_atime_ns, mark.st_mtime_ns))
        process.send_signal(signal.SIGHUP)
        until(lambda: ask(url, "hello")["model"] == "large")
        process.send_signal(signal.SIGTERM)
        free.set()
        slow.join()
        assert process.wait(30) == 0
        assert answers[0]["model"] == "small"
    rows = read_traces(tmp_path / "traces")
    assert rows.trace_id.is_unique
    assert set(rows.outcome) == {"ok"}
    assert len(rows) == len(upstream.requests)
    assert not list((tmp_path / "traces").glob("*.ndjson"))


def test_what_was_exported_reads_back_with_its_exploration() -> None:
    ruleset = RuleSet.parse(RULES.replace("name: life", "name: life\nexplore: 0.02"))
    again = RuleSet.parse(ruleset.to_yaml())
    assert (ruleset.explore, again.explore) == (0.02, 0.02)
    assert RuleSet.parse(RULES).policy_sha256 == ruleset.policy_sha256
