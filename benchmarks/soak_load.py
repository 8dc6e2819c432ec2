"""Mixed load at fixed times of arrival, whatever becomes of it: what is late stays late, and is counted from its time.

A client in a process of its own, raw HTTP/1.1 on asyncio protocols over uvloop. It checks every answer: whether it is
this request's, whole, and in order, and if not, whether it was told so. Writes a row a request as JSON lines.

    python benchmarks/soak_load.py --port N --rate 500 --seconds 600 --out rows.ndjson
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import uvloop
from gateway_answers import TOOL, arguments, mark, text

WORDS = ("alpha", "beta", "gamma", "delta", "other")
"""One of these stands in each prompt; the rule set's rules go by them."""
FILLER = "Please summarise the following notes for a new colleague, and keep every figure as it is. "
_LONGEST = 60_000
_FILL = FILLER * (1 + _LONGEST // len(FILLER))
_HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_END = b"\r\n0\r\n\r\n"
_TRACE_ID = re.compile(rb'"id": ?"([^"]+)"')
_TRACE_HEADER = re.compile(rb"^x-request-id: *(\S+)", re.MULTILINE | re.IGNORECASE)
_FIRST_TOKEN = re.compile(rb'"content": ?"[^"]|"tool_calls"')
PATIENCE_S = 90.0
"""What is not answered by then, after the last arrival, is lost."""

What = Literal["whole", "refused", "told", "left", "wrong", "clean end", "cut", "failed", "lost"]
"""`told`: a stream that broke, and said so. `left`: the client went away, as it was meant to. `refused`: a request that
is wrong, told so. The others are faults: another's answer or a part of one, a broken stream with a clean end, a cut
connection, another status, no answer at all."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, the same for its number every time."""

    number: int
    kind: str
    stream: bool
    leaves: bool
    wrong: bool
    body: bytes


def ask_of(number: int) -> Ask:
    """Whole and streamed, short and long, tools, conversations, one in a hundred who leaves, a few that are wrong."""
    step = number % 100
    leaves = step == 7
    kind = "long" if leaves or step in (3, 53) else "tool" if step % 7 == 5 else "short"
    stream = leaves or kind == "long" or step % 2 == 0
    size = _LONGEST if step == 11 else 8_000 if step % 20 in (2, 9, 15) else 300 + 12 * step
    word = WORDS[number // 3 % len(WORDS)]
    said = f"{word} {_FILL[: size - 40]}{mark(number, kind)}"
    messages: list[Mapping[str, Any]] = [{"role": "user", "content": said}]
    if step % 10 == 6:
        # The first turn is the conversation's name.
        messages = [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": f"{word}, turn one of {number}"},
            {"role": "assistant", "content": "Go on."},
            *messages,
        ]
    document: dict[str, Any] = {"model": "routebench/auto", "messages": messages, "max_tokens": 200}
    if stream:
        document["stream"] = True
        document["stream_options"] = {"include_usage": True}
    if kind == "tool":
        document["tools"] = [TOOL]
    wrong = step == 51
    if wrong:
        document["messages"] = "not a list"
    return Ask(number, kind, stream, leaves, wrong, json.dumps(document).encode())


@dataclass(slots=True)
class Row:
    """What became of a request; `at_s` is when it was due, after the start, `left_at` is in seconds since 1970."""

    number: int
    kind: str
    stream: bool
    at_s: float
    what: What = "lost"
    status: int | None = None
    latency_s: float | None = None
    ttft_s: float | None = None
    trace_id: str | None = None
    model: str | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    told: str | None = None
    left_at: float | None = None


@dataclass
class Load:
    """All requests, the connections that are free, and how late this client itself was."""

    port: int
    rows: list[Row] = field(default_factory=list)
    free: list[Connection] = field(default_factory=list)
    waiting: int = 0
    opened: int = 0
    resent: int = 0
    latest_s: float = 0.0
    all_sent: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, rate: float, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        start_s = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        for number in range(int(rate * seconds)):
            due_s = start_s + number / rate
            ahead_s = due_s - time.perf_counter()
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
            else:
                self.latest_s = max(self.latest_s, -ahead_s)
                if number % 50 == 0:
                    await asyncio.sleep(0)
            ask = ask_of(number)
            row = Row(number, ask.kind, ask.stream, number / rate)
            self.rows.append(row)
            self.waiting += 1
            if self.free:
                self.free.pop().ask(ask, row, due_s)
            else:
                task = loop.create_task(self.open(ask, row, due_s))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        self.all_sent = True
        if self.waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), PATIENCE_S)

    def ended(self) -> None:
        self.waiting -= 1
        if self.all_sent and not self.waiting:
            self.over.set()

    async def open(self, ask: Ask, row: Row, due_s: float) -> None:
        self.opened += 1
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        except OSError as error:
            row.what, row.told = "failed", f"cannot connect: {error}"
            self.ended()
            return
        connection.ask(ask, row, due_s)

    def again(self, ask: Ask, row: Row, due_s: float) -> None:
        """A kept connection was closed as the request went out: every client sends that again."""
        self.resent += 1
        asyncio.get_running_loop().create_task(self.open(ask, row, due_s))


class Connection(asyncio.Protocol):
    """One connection, a request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._row: Row | None = None
        self._used = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, ask: Ask, row: Row, due_s: float) -> None:
        self._again = self._used
        self._used = True
        self._asked, self._row, self._due_s = ask, row, due_s
        self._data = bytearray()
        self._length: int | None = None
        self._transport.write((_HEAD % len(ask.body)).encode() + ask.body)

    def data_received(self, data: bytes) -> None:
        row = self._row
        if row is None:
            return
        first = not self._data
        self._data += data
        if first:
            head = bytes(self._data[: self._data.find(b"\r\n\r\n")])
            row.status = int(head.split(b" ", 2)[1])
            named = _TRACE_HEADER.search(head)
            row.trace_id = named[1].decode() if named else None
            at = head.lower().find(b"content-length:")
            self._length = len(head) + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else None
        if row.ttft_s is None and self._asked.stream and _FIRST_TOKEN.search(data):
            row.ttft_s = time.perf_counter() - self._due_s
            if self._asked.leaves:
                self._leave(row)
                return
        if len(self._data) >= self._length if self._length is not None else self._data.endswith(_END):
            row.latency_s = time.perf_counter() - self._due_s
            self._read(row)
            self._done()
            self._load.free.append(self)

    def _leave(self, row: Row) -> None:
        row.what, row.left_at = "left", time.time()
        named = _TRACE_ID.search(self._data)
        row.trace_id = row.trace_id or (named[1].decode() if named else None)
        self._done()
        self._transport.abort()

    def _done(self) -> None:
        self._row = None
        self._load.ended()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._load.free:
            self._load.free.remove(self)
        row = self._row
        if row is None:
            return
        if not self._data and self._again:
            self._row = None
            self._load.again(self._asked, row, self._due_s)
            return
        row.latency_s = time.perf_counter() - self._due_s
        row.what, row.told = "cut", str(error)
        self._done()

    def _read(self, row: Row) -> None:
        _, _, body = bytes(self._data).partition(b"\r\n\r\n")
        if row.status != 200:
            document = orjson.loads(body)
            refused = self._asked.wrong and row.status == 400
            row.what = "refused" if refused else "failed"
            row.told = str(document.get("error"))[:300]
            return
        if self._asked.stream:
            read_stream(self._asked, row, unframed(body))
        else:
            read_whole(self._asked, row, orjson.loads(body))


def unframed(body: bytes) -> bytes:
    parts, at = [], 0
    while (end := body.find(b"\r\n", at)) >= 0:
        length = int(body[at:end], 16)
        parts.append(body[end + 2 : end + 2 + length])
        at = end + 4 + length
    return b"".join(parts)


def read_whole(ask: Ask, row: Row, document: Mapping[str, Any]) -> None:
    choice = document["choices"][0]
    message = choice["message"]
    calls = [call["function"]["arguments"] for call in message.get("tool_calls") or ()]
    take_facts(row, document)
    judge(ask, row, message.get("content") or "", calls, choice["finish_reason"])


def read_stream(ask: Ask, row: Row, body: bytes) -> None:
    said, finish, calls, done, error = "", None, dict[int, str](), False, None
    for data in events(body):
        if data == b"[DONE]":
            done = True
            continue
        chunk = orjson.loads(data)
        error = chunk.get("error") or error
        take_facts(row, chunk)
        for choice in chunk.get("choices") or ():
            delta = choice["delta"]
            said += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                told = call.get("function", {}).get("arguments") or ""
                calls[call["index"]] = calls.get(call["index"], "") + told
            finish = choice.get("finish_reason") or finish
    if error is not None:
        # An error that comes before the first token takes nothing back: another model could have answered.
        begun = row.ttft_s is not None
        row.what = "clean end" if done or finish else "told" if begun else "failed"
        row.told = str(error)[:300]
    elif not done or finish is None:
        row.what = "cut"
    else:
        judge(ask, row, said, list(calls.values()), finish)


def events(body: bytes) -> Iterator[bytes]:
    return (line[5:].strip() for line in body.split(b"\n") if line.startswith(b"data:"))


def take_facts(row: Row, document: Mapping[str, Any]) -> None:
    row.trace_id = row.trace_id or document.get("id")
    row.model = document.get("model") or row.model
    about = document.get("routebench") or {}
    if about.get("cost_usd") is not None:
        row.cost_usd = about["cost_usd"]
    usage = document.get("usage")
    if usage:
        row.input_tokens, row.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]


def judge(ask: Ask, row: Row, said: str, calls: list[str], finish: str) -> None:
    if ask.kind == "tool":
        right = finish == "tool_calls" and [json.loads(call) for call in calls] == [json.loads(arguments(ask.number))]
    else:
        right = finish == "stop" and said == text(ask.number, ask.kind)
    row.what = "whole" if right else "clean end" if ask.stream and said != text(ask.number, ask.kind) else "wrong"
    if not right:
        row.told = f"{finish}: {said[:80]!r} {calls}"


async def main(port: int, rate: float, seconds: float, out: Path) -> None:
    load = Load(port)
    gc.freeze()
    await load.run(rate, seconds)
    with out.open("wb") as file:
        file.writelines(orjson.dumps(asdict(row)) + b"\n" for row in load.rows)
    facts = {"opened": load.opened, "resent": load.resent, "latest_s": load.latest_s, "cpu_s": time.process_time()}
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    uvloop.run(main(asked.port, asked.rate, asked.seconds, asked.out))
