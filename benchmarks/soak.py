"""Ten minutes of mixed load at 500 requests a second while providers fail, slow down and restart.

    python benchmarks/soak.py                    ten minutes
    python benchmarks/soak.py --minutes 0.5      a smoke; what is too short to say is marked so
    python benchmarks/soak.py --keep FOLDER      rows, traces and logs stay there

Three providers, one a wire, with two models each. One fails 30 % of its calls and breaks one stream in fifty, one is
ten times slower for a while, one is killed and comes back ten seconds later. Rules are reloaded meanwhile, by change
of the file and by SIGHUP, and one that does not pass is offered. Each check is a line with ok or FAIL; exit 1 where
one failed.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from gateway_peers import HERE, free_port, started
from gateway_upstream import Running, serve
from processes import cpu_s, descendants, open_files, resident_mb
from soak_checks import Check, Incident, Sample, Seen, checks
from soak_load import Row, ask_of, read_stream

FIRST_S, GAP_S = 0.02, 0.005
FAIL_SHARE, BREAK_SHARE, SLOW_FACTOR, DOWN_S = 0.3, 0.02, 10.0, 10.0
MODELS: Mapping[str, Sequence[str]] = {"openai": ("a1", "a2"), "anthropic": ("b1", "b2"), "gemini": ("c1", "c2")}
PRICES = {name: (0.5 + number, 2.0 + number) for number, name in enumerate(itertools.chain(*MODELS.values()))}
PROBE_S = 0.05
REFUSED = "refused"
PARTING, FIRST_PARTING = 10, 10_000_003
"""Long streams that are under way when the gateway is told to end, and the number of the first."""


def rules(name: str, upstreams: Mapping[str, Running]) -> str:
    models = {
        model: {
            "provider": wire, "model": model, "base_url": upstreams[wire].base_url,
            "price": {"input_usd_per_mtok": PRICES[model][0], "output_usd_per_mtok": PRICES[model][1]},
        }
        for wire, names in MODELS.items()
        for model in names
    }  # fmt: skip
    routes = {"alpha": ["a1", "b1", "c1"], "beta": ["b1", "c1", "a1"], "gamma": ["c1", "a1", "b1"]}
    made: list[dict[str, Any]] = [
        {"name": word, "when": {"any_keyword": [word]}, "route": route} for word, route in routes.items()
    ]
    made.append(
        {"name": "checked", "when": {"any_keyword": ["delta"]}, "route": ["b2", "c2", "a2"], "cascade": "usable"}
    )
    document = {
        "schema": "routebench/rules/v1",
        "name": name,
        "models": models,
        "rules": made,
        "cascade": {"usable": {"finish": ["stop", "tool_calls"]}},
        "default": {"route": ["c2", "a2", "b2"]},
        "health": {},
    }
    if name == REFUSED:
        document["default"] = {"route": ["nobody"]}
    return yaml.safe_dump(document, sort_keys=False)


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Runs something on a thread until the end of the block."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)


def sampling(pid: int, into: list[Sample]) -> Callable[[threading.Event], None]:
    def work(over: threading.Event) -> None:
        while not over.wait(1.0):
            into.append(sample(pid))

    return work


def sample(pid: int) -> Sample:
    children = sum(resident_mb(child) for child in descendants(pid))
    return Sample(time.time(), resident_mb(pid), open_files(pid), children, cpu_s(pid))


def probing(port: int, path: str, into: list[float]) -> Callable[[threading.Event], None]:
    """Asks for something that costs nothing, over and over: what it waits for is the event loop."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()

    def work(over: threading.Event) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as one:
                while not over.wait(PROBE_S):
                    began = time.perf_counter()
                    one.sendall(request)
                    if not one.recv(65536):
                        break
                    into.append(time.perf_counter() - began)

    return work


def timetable(
    seconds: float, upstreams: Mapping[str, Running], reload: Callable[[str, bool], None]
) -> tuple[list[tuple[float, Callable[[], None]]], list[Incident], list[tuple[float, str]]]:
    """What happens when, in parts of the whole time; incidents and reloads are noted as they happen."""
    incidents: list[Incident] = []
    reloads: list[tuple[float, str]] = []
    begun: dict[str, float] = {}

    def begin(wire: str, **how: float) -> Callable[[], None]:
        def act() -> None:
            begun[wire] = time.time()
            upstreams[wire].tell(**how)

        return act

    def end(wire: str, kind: str, **how: float) -> Callable[[], None]:
        def act() -> None:
            upstreams[wire].tell(**how)
            incidents.append(Incident(kind, wire, frozenset(MODELS[wire]), begun[wire], time.time()))

        return act

    def restart() -> None:
        def act() -> None:
            begin("gemini", restart_s=min(DOWN_S, seconds / 12))()
            end("gemini", "restarts")()

        threading.Thread(target=act, daemon=True).start()

    def renew(name: str, *, by_signal: bool = False) -> Callable[[], None]:
        def act() -> None:
            reload(name, by_signal)
            if name != REFUSED:
                reloads.append((time.time(), name))

        return act

    return (
        [
            (0.15, begin("openai", fail_share=FAIL_SHARE, break_share=BREAK_SHARE)),
            (0.25, renew("second")),
            (0.30, begin("anthropic", slow_factor=SLOW_FACTOR)),
            (0.45, end("anthropic", "slows down", slow_factor=1.0)),
            (0.55, renew("third", by_signal=True)),
            (0.60, restart),
            (0.80, renew(REFUSED)),
            (0.85, end("openai", "fails", fail_share=0.0, break_share=0.0)),
        ],
        incidents,
        reloads,
    )


def following(table: Sequence[tuple[float, Callable[[], None]]], seconds: float) -> Callable[[threading.Event], None]:
    def work(over: threading.Event) -> None:
        start_s = time.monotonic()
        for part, act in table:
            if over.wait(max(0.0, start_s + part * seconds - time.monotonic())):
                return
            act()

    return work


def soak(seconds: float, rate: float, folder: Path) -> Seen:
    with ExitStack() as stack:
        upstreams = {wire: stack.enter_context(serve(wire, first_s=FIRST_S, gap_s=GAP_S)) for wire in MODELS}
        path, port = folder / "rules.yaml", free_port()
        path.write_text(rules("first", upstreams))
        command = [
            sys.executable,
            "-m",
            "routebench",
            "serve",
            str(path),
            "--port",
            str(port),
            "--traces",
            str(folder / "traces"),
        ]
        process, ready_s = stack.enter_context(started(command, folder / "gateway.log", port, "/readyz"))
        print(f"ready after {ready_s:.2f} s; {seconds:.0f} s at {rate:.0f} requests a second", flush=True)

        def reload(name: str, by_signal: bool) -> None:  # noqa: FBT001
            new = path.with_suffix(".new")
            new.write_text(rules(name, upstreams))
            new.replace(path)
            if by_signal:
                process.send_signal(signal.SIGHUP)

        table, incidents, reloads = timetable(seconds, upstreams, reload)
        samples: list[Sample] = []
        stalls: list[float] = []
        machine: list[float] = []
        before = sample(process.pid)
        began = time.time()
        load = [sys.executable, str(HERE / "soak_load.py"), "--port", str(port), "--rate", str(rate)]
        load += ["--seconds", str(seconds), "--out", str(folder / "rows.ndjson")]
        works = (
            sampling(process.pid, samples),
            probing(port, "/healthz", stalls),
            probing(upstreams["anthropic"].port, "/", machine),
            following(table, seconds),
        )
        with ExitStack() as running:
            for work in works:
                running.enter_context(beside(work))
            done = subprocess.run(load, stdout=subprocess.PIPE, text=True, check=True)
        time.sleep(2.0)
        after = sample(process.pid)
        told = metrics_cost_usd(port)
        with ThreadPoolExecutor(PARTING) as pool:
            parting = [pool.submit(last_words, port, number) for number in range(PARTING)]
            time.sleep(0.15)
            ending = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            ended_with = process.wait(60)
            drained_s = time.perf_counter() - ending
        last = [one.result() for one in parting]
        seen = {wire: one.tell() for wire, one in upstreams.items()}
    rows = pd.DataFrame(map(json.loads, (folder / "rows.ndjson").read_bytes().splitlines()))
    rows["at_s"] += began
    from routebench.traces import read_traces

    parted = pd.DataFrame([asdict(row) for row in last])
    return Seen(
        rows, parted, read_traces(folder / "traces"), seen, incidents, samples, (before, after), stalls, machine,
        json.loads(done.stdout.splitlines()[-1]), told, PRICES, reloads, REFUSED, ended_with, drained_s,
    )  # fmt: skip


def last_words(port: int, number: int) -> Row:
    """Asks for a long stream, which is under way when the gateway is told to end."""
    ask = ask_of(FIRST_PARTING + 100 * number)
    row = Row(ask.number, ask.kind, ask.stream, time.time())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/v1/chat/completions", ask.body, {"content-type": "application/json"})
        answer = connection.getresponse()
        row.status = answer.status
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        row.what, row.told = "cut", repr(error)
        return row
    finally:
        connection.close()
    if row.status == 200:
        read_stream(ask, row, body)
    else:
        row.what, row.told = "failed", body.decode(errors="replace")[:300]
    return row


def metrics_cost_usd(port: int) -> float | None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    values = re.findall(r"^routebench_cost_usd_total(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, values)) if values else None


def line(one: Check) -> str:
    word = {True: "ok  ", False: "FAIL", None: "    "}[one.ok]
    return f"{word} {one.what:<60} {one.figures}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    if asked.keep is not None and asked.keep.exists() and any(asked.keep.iterdir()):
        parser.error(f"{asked.keep} is not empty: traces of two soaks would be taken for those of one")
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = list(checks(soak(60 * asked.minutes, asked.rate, folder)))
    print(*map(line, found), sep="\n")
    return int(any(one.ok is False for one in found))


if __name__ == "__main__":
    sys.exit(main())
