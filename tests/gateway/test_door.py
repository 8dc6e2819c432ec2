"""The door of a gateway that runs, tried from outside: keys, rates, budgets, limits, and HTTP that is wrong."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from routebench.errors import ConfigError
from routebench.gateway import Gateway
from routebench.gateway.keys import digest_of, new_key
from routebench.providers import Call, Done, Event, TextDelta
from routebench.traces import read_traces
from routebench.types import Completion, Usage
from tests.gateway.wire import Told, Wire

RULES = """\
schema: routebench/rules/v1
name: door
models:
  small: {provider: openai, model: m-small, price: {usd_per_request: 0.25}}
  large: {provider: openai, model: m-large, price: {usd_per_request: 1.0}}
guards:
  - {name: residency, when: {metadata.data_class: eu_personal}, only: [large]}
rules:
  - {name: urgent, when: {tag: urgent}, route: [large]}
default: {route: [small, large]}
"""
SECRET = "sk-upstream-0123456789abcdef"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass
class Upstream:
    """Answers everything, once it may."""

    calls: list[Call] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)
    usage: Usage = field(default_factory=lambda: Usage(10, 5))
    n_closed: int = 0

    async def complete(self, call: Call) -> Completion:
        self.calls.append(call)
        if not self.free.is_set():
            await asyncio.to_thread(self.free.wait, 20)
        return Completion("ok", text="hello", finish_reason="stop", usage=self.usage, latency_s=0.01)

    async def stream(self, call: Call) -> AsyncIterator[Event]:
        """Tells for ever, while it may."""
        self.calls.append(call)
        try:
            yield TextDelta("once ")
            while self.free.is_set():
                yield TextDelta("upon a time " * 1000)
                await asyncio.sleep(0)
            yield Done(Completion("ok", text="once", finish_reason="stop", usage=self.usage, latency_s=0.01))
        finally:
            self.n_closed += 1

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass
class Door:
    gateway: Gateway
    upstream: Upstream
    folder: Path
    config: Path
    passed: list[timedelta]

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.gateway.url.split(":")[2].split("/")[0])

    def ask(self, key: str | None = None, path: str = "/v1/chat/completions", **fields: Any) -> Told:
        with Wire(self.address) as wire:
            return wire.send(request(key, path, **fields)).answer()

    def get(self, path: str, key: str | None = None, method: str = "GET") -> Told:
        with Wire(self.address) as wire:
            shown = "" if key is None else f"authorization: Bearer {key}\r\n"
            return wire.send(f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{shown}\r\n").answer()

    def change(self, keys: list[dict[str, Any]], done: Callable[[], bool]) -> None:
        write(self.config, keys)
        self.gateway.reload()
        until(done)


def request(key: str | None, path: str = "/v1/chat/completions", headers: str = "", **fields: Any) -> bytes:
    body = json.dumps({"model": "routebench/auto", "messages": [{"role": "user", "content": "hi"}], **fields})
    shown = "" if key is None else f"authorization: Bearer {key}\r\n"
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{shown}{headers}"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def write(path: Path, keys: list[dict[str, Any]], limits: Mapping[str, Any] | None = None) -> None:
    path.write_text(yaml.safe_dump({"keys": keys, "limits": dict(limits or {})}))


def entry(key: str, name: str = "bot", **settings: Any) -> dict[str, Any]:
    return {"name": name, "sha256": digest_of(key).hex(), **settings}


@contextmanager
def opened(tmp_path: Path, *keys: dict[str, Any], port: int = 0, **limits: Any) -> Iterator[Door]:
    rules, config = tmp_path / "rules.yaml", tmp_path / "gateway.yaml"
    rules.write_text(RULES)
    write(config, list(keys), limits)
    upstream, passed = Upstream(), [timedelta()]
    upstream.free.set()
    gateway = Gateway(
        rules,
        config=config,
        port=port,
        look={"OPENAI_API_KEY": SECRET}.get,
        open_provider=lambda _name, _secrets: upstream,
        now=lambda: NOON + passed[0],
        drain_s=2,
    )
    try:
        with gateway:
            yield Door(gateway, upstream, tmp_path, config, passed)
    finally:
        upstream.free.set()


@pytest.fixture
def key() -> str:
    return new_key()


def test_without_keys_this_machine_is_served_and_pages_of_other_sites_are_not(tmp_path: Path) -> None:
    with opened(tmp_path) as door:
        told = door.ask()
        assert told.status == 200
        assert json.loads(told.body)["choices"][0]["message"]["content"] == "hello"
        for headers, code in (("origin: https://evil.example\r\n", "foreign_origin"), ("", "foreign_host")):
            with Wire(door.address) as wire:
                sent = request(None, headers=headers)
                told = wire.send(sent if headers else sent.replace(b"localhost", b"evil.example")).answer()
            assert (told.status, told.error["code"]) == (403, code)
        assert len(door.upstream.calls) == 1


def test_others_than_this_machine_are_not_let_in_without_keys(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    with pytest.raises(ConfigError, match=r"--host 0\.0\.0\.0: others than this machine can reach it"):
        Gateway(tmp_path / "rules.yaml", host="0.0.0.0", port=0, look={"OPENAI_API_KEY": SECRET}.get)


def test_keys_good_and_bad(tmp_path: Path, key: str) -> None:
    old, off = new_key(), new_key()
    entries = [entry(key), entry(old, "old", expires=NOON.date() - timedelta(days=1)), entry(off, "off", disabled=True)]
    with opened(tmp_path, *entries) as door:
        assert door.ask(key).status == 200
        expected = [
            (None, "missing_api_key"), (f"{key}x", "invalid_api_key"), (new_key(), "invalid_api_key"),
            (digest_of(key).hex(), "invalid_api_key"), (old, "expired_api_key"), (off, "disabled_api_key"),
        ]  # fmt: skip
        for shown, code in expected:
            told = door.ask(shown)
            assert (told.status, told.error["type"], told.error["code"]) == (401, "authentication_error", code)
            assert told.headers["www-authenticate"] == "Bearer"
        with Wire(door.address) as wire:
            assert wire.send(request(None, headers=f"x-api-key: {key}\r\n")).answer().status == 200
        for path in ("/v1/models", "/metrics"):
            assert door.get(path).status == 401
            assert door.get(path, key).status == 200
        for path in ("/healthz", "/readyz"):
            assert door.get(path).status == 200
        assert len(door.upstream.calls) == 2


def test_models_of_a_key_hold_whoever_decides(tmp_path: Path, key: str) -> None:
    with opened(tmp_path, entry(key, models=["small"])) as door:
        told = json.loads(door.ask(key).body)
        assert told["model"] == "small"
        assert [one["id"] for one in json.loads(door.get("/v1/models", key).body)["data"]] == [
            "routebench/auto",
            "small",
        ]
        for fields in (
            {"model": "large"},
            # The rule and the guard want the large one, and nothing else may answer.
            {"metadata": {"data_class": "eu_personal"}},
        ):
            refused = door.ask(key, **fields)
            assert refused.status == 403, (fields, refused.body)
            assert (refused.error["type"], refused.error["code"]) == ("permission_error", "model_not_allowed")
        assert {call.model.name for call in door.upstream.calls} == {"small"}


def test_what_a_key_says_of_its_requests_cannot_be_shed(tmp_path: Path, key: str) -> None:
    with opened(tmp_path, entry(key, metadata={"data_class": "eu_personal"}, tags=["urgent"])) as door:
        for fields in ({}, {"metadata": {"data_class": "public"}}, {"routebench": {"tags": ["calm"]}}):
            told = door.ask(key, **fields)
            assert json.loads(told.body)["model"] == "large"
        assert json.loads(told.body)["routebench"]["rule"] == "urgent"
        assert door.ask(key, model="small", metadata={"data_class": "public"}).status in (400, 403)


def test_a_key_that_names_no_model_of_the_rules_is_refused_at_the_start(tmp_path: Path, key: str) -> None:
    said = r"gateway.yaml:\d+:\d+: key 'bot': no model 'smal' \(did you mean 'small'"
    with pytest.raises(ConfigError, match=said), opened(tmp_path, entry(key, models=["smal"])):
        pass


def test_rates(tmp_path: Path, key: str) -> None:
    with opened(tmp_path, entry(key, rate={"requests_per_minute": 2, "burst": 2}), entry("other", "other")) as door:
        first = door.ask(key)
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert door.ask(key).status == 200
        told = door.ask(key)
        assert (told.status, told.error["code"]) == (429, "rate_limit_exceeded")
        assert 28 <= int(told.headers["retry-after"]) <= 30
        assert told.headers["x-ratelimit-remaining-requests"] == "0"
        assert door.ask("other").status == 200


def test_requests_at_once_of_a_key_and_of_all(tmp_path: Path, key: str) -> None:
    with opened(tmp_path, entry(key, concurrency=1), entry("b", "b"), max_concurrency=2) as door:
        door.upstream.free.clear()
        with Wire(door.address) as one, Wire(door.address) as two:
            one.send(request(key))
            until(lambda: len(door.upstream.calls) == 1)
            told = door.ask(key)
            assert (told.status, told.error["code"], told.headers["retry-after"]) == (429, "concurrency_exceeded", "1")
            two.send(request("b"))
            until(lambda: len(door.upstream.calls) == 2)
            told = door.ask("b")
            assert (told.status, told.error["code"], told.headers["retry-after"]) == (503, "overloaded", "1")
            # Who looks after it must see that it lives.
            assert door.get("/healthz").status == door.get("/readyz").status == 200
            door.upstream.free.set()
            assert one.answer().status == two.answer().status == 200
        assert door.ask(key).status == 200


def test_a_client_that_leaves_gives_its_place_back(tmp_path: Path, key: str) -> None:
    with opened(tmp_path, entry(key, concurrency=1)) as door:
        door.upstream.free.clear()
        with Wire(door.address) as wire:
            wire.send(request(key))
            until(lambda: len(door.upstream.calls) == 1)
        door.upstream.free.set()
        until(lambda: door.ask(key).status == 200)


def test_a_budget_is_spent_survives_a_restart_and_is_new_after_midnight(tmp_path: Path, key: str) -> None:
    entries = [entry(key, budget_usd_per_day=0.6)]
    with opened(tmp_path, *entries) as door:
        for _ in range(3):
            assert door.ask(key).status == 200
        told = door.ask(key)
        assert (told.status, told.error["type"], told.error["code"]) == (402, "budget_error", "budget_spent")
        assert int(told.headers["retry-after"]) == 12 * 3600
        metrics = door.get("/metrics", key).body.decode()
        assert 'routebench_spent_usd{budget="key bot"} 0.75' in metrics
        assert 'routebench_client_requests_total{client="bot",outcome="refused"} 1.0' in metrics
        port = door.address[1]
    # The same address is that of the same gateway.
    with opened(tmp_path, *entries, port=port) as door:
        assert door.ask(key).error["code"] == "budget_spent"
        door.passed[0] = timedelta(hours=12)
        assert door.ask(key).status == 200


def test_costs_that_nobody_knows_are_shown_and_not_added(tmp_path: Path, key: str) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    with opened(tmp_path, entry(key, budget_usd_per_day=0.6)) as door:
        (tmp_path / "rules.yaml").write_text(RULES.replace(", price: {usd_per_request: 0.25}", ""))
        door.gateway.reload()
        until(lambda: b'reloads_total{result="ok"} 1.0' in door.get("/metrics", key).body)
        for _ in range(4):
            assert door.ask(key).status == 200
        metrics = door.get("/metrics", key).body.decode()
        assert 'routebench_spent_unknown{budget="key bot"} 4.0' in metrics
        assert 'routebench_spent_usd{budget="key bot"} 0.0' in metrics


def test_keys_are_changed_while_it_runs(tmp_path: Path, key: str) -> None:
    second = new_key()
    with opened(tmp_path, entry(key)) as door:
        door.change([entry(key), entry(second, "second")], lambda: door.ask(second).status == 200)
        assert door.ask(key).status == 200
        door.change([entry(second, "second")], lambda: door.ask(key).status == 401)
        # The last one taken out lets nobody in.
        door.change([], lambda: door.ask(second).status == 401)
        assert door.ask(None).status == 401


def test_a_body_too_large_announced_or_not(tmp_path: Path, key: str) -> None:
    with opened(tmp_path, entry(key), max_body_bytes=2_000) as door:
        assert door.ask(key, user="x" * 1_000).status == 200
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"
        with Wire(door.address) as wire:
            told = wire.send(f"{head}content-length: 1000000000000\r\n\r\n").answer()
            assert (told.status, told.error["code"]) == (413, "body_too_large")
        with Wire(door.address) as wire:
            wire.send(f"{head}transfer-encoding: chunked\r\n\r\n")
            piece = b"x" * 1_000
            for _ in range(3):
                wire.send(b"3e8\r\n" + piece + b"\r\n")
            told = wire.answer()
            assert (told.status, told.error["code"]) == (413, "body_too_large")
        assert len(door.upstream.calls) == 1


def test_slow_heads_slow_bodies_and_floods(tmp_path: Path, key: str) -> None:
    limits = {"header_timeout_s": 0.3, "body_timeout_s": 0.3, "max_header_bytes": 2_000}
    with opened(tmp_path, entry(key), **limits) as door:
        with Wire(door.address) as wire:
            assert wire.send("POST /v1/chat").answer().error["code"] == "header_timeout"
        with Wire(door.address) as wire:
            whole = request(key)
            assert wire.send(whole[:-5]).answer().error["code"] == "body_timeout"
        with Wire(door.address) as wire:
            assert wire.send(request(key, headers=f"x: {'y' * 3000}\r\n")).answer().error["code"] == "headers_too_large"
        assert door.ask(key).status == 200


def test_who_does_not_read_a_stream_is_not_waited_for(tmp_path: Path, key: str) -> None:
    keys = entry(key, concurrency=1)
    with opened(tmp_path, keys, send_timeout_s=0.3) as door, Wire(door.address, receive_buffer=4096) as wire:
        wire.send(request(key, stream=True))
        until(lambda: door.upstream.n_closed == 1)
        # Its place is free while it still holds the connection.
        assert door.ask(key).status == 200
    traces = read_traces(tmp_path / "traces")
    assert list(traces.sort_values("at")["outcome"]) == ["cancelled", "ok"]


@pytest.mark.parametrize("leaves", ["at once", "in the middle"])
def test_who_leaves_a_stream_ends_the_call(tmp_path: Path, key: str, leaves: str) -> None:
    with opened(tmp_path, entry(key, concurrency=1)) as door:
        with Wire(door.address) as wire:
            wire.send(request(key, stream=True))
            if leaves == "in the middle":
                for _ in range(100):
                    assert wire.socket.recv(100_000)
            else:
                until(lambda: len(door.upstream.calls) == 1)
        until(lambda: door.upstream.n_closed == 1)
        until(lambda: door.ask(key).status == 200)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_url"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/../healthz", 404, "unknown_url"),
        ("GET", "//healthz", 404, "unknown_url"),
        ("GET", "/%2e%2e/etc/passwd", 404, "unknown_url"),
        ("GET", "/healthz/x", 404, "unknown_url"),
        ("GET", f"/{'x' * 5000}", 404, "unknown_url"),
    ],
)
def test_what_is_not_there(tmp_path: Path, method: str, path: str, status: int, code: str) -> None:
    with opened(tmp_path) as door:
        told = door.get(path, method=method)
        assert (told.status, told.error["code"], told.headers["content-type"]) == (status, code, "application/json")
        assert set(told.error) == {"message", "type", "param", "code"}
        assert len(told.body) < 1_000
        assert "access-control-allow-origin" not in told.headers


def test_a_head_has_no_body(tmp_path: Path) -> None:
    with opened(tmp_path) as door, Wire(door.address) as wire:
        for path in ("/healthz", "/v1/models", "/nothing"):
            wire.send(f"HEAD {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
        wire.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        answers = wire.rest().split(b"HTTP/1.1 ")[1:]
        assert [one[:3] for one in answers] == [b"200", b"200", b"404", b"200"]
        assert [one.partition(b"\r\n\r\n")[2] for one in answers] == [b"", b"", b"", b'{"status":"ok"}']


@pytest.mark.parametrize(
    "headers",
    ["content-encoding: gzip\r\n", "content-encoding: deflate, br\r\n"],
)
def test_packed_bodies_are_not_unpacked(tmp_path: Path, headers: str) -> None:
    with opened(tmp_path) as door, Wire(door.address) as wire:
        told = wire.send(request(None, headers=headers)).answer()
        assert (told.status, told.error["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize("form", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_other_forms_are_refused(tmp_path: Path, form: str) -> None:
    with opened(tmp_path) as door, Wire(door.address) as wire:
        told = wire.send(request(None).replace(b"application/json", form.encode())).answer()
        assert (told.status, told.error["code"]) == (415, "not_json")
        assert not door.upstream.calls


def test_requests_one_after_the_other_without_waiting(tmp_path: Path, key: str) -> None:
    with opened(tmp_path, entry(key)) as door, Wire(door.address) as wire:
        wire.send(request(key) * 5 + request(None) + request(key))
        assert [wire.answer().status for _ in range(7)] == [200, 200, 200, 200, 200, 401, 200]


def test_no_key_is_in_anything_that_is_left(tmp_path: Path, key: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong, off = new_key(), new_key()
    answers = b""
    with opened(tmp_path, entry(key, budget_usd_per_day=0.3), entry(off, "off", disabled=True)) as door:
        for shown in (key, key, key, wrong, off, None):
            told = door.ask(shown)
            answers += told.body + repr(told.headers).encode()
        for sent in (request(key)[:-3] + b"\xff\xfe}", request(key, headers="content-encoding: gzip\r\n"), b"x" * 100):
            with Wire(door.address) as wire:
                answers += wire.send(sent.replace(b"\r\nhost", f"\r\nx-a: {wrong}\r\nhost".encode())).answer().body
        answers += door.get(f"/v1/models/{wrong}").body + door.get("/metrics", key).body
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) + caplog.text.encode()
    for secret in (key, wrong, off, SECRET):
        assert secret.encode() not in left
        assert secret.encode() not in answers
    assert list((tmp_path / "traces").rglob("*.parquet"))
