"""The runner against a server with a fixed latency, beside other clients, in one run: ratios matter.

    python benchmarks/harness.py                          everything; a few minutes
    python benchmarks/harness.py --peers-python PYTHON    other clients from another environment; may be repeated
    python benchmarks/harness.py --cases 0                without the large suite

Every row is measured in a process of its own. "Ideal" is calls x latency / in flight.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mock_upstream import Running, serve
from peers import MISSING, PEERS, cpu_s

HERE = Path(__file__).parent
CALLS, IN_FLIGHT, LATENCY_S = 2000, 256, 0.2
IDEAL_S = CALLS * LATENCY_S / IN_FLIGHT
PRICE = "price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}"


def lay_out(folder: Path, url: str, cases: int, *, stream: bool, initial: int, max_tokens: int = 16) -> Path:
    rows = (
        {
            "id": f"c{number}",
            "prompt": f"question number {number}: what is the capital?",
            "target": "yes",
            "grader": "contains",
        }
        for number in range(cases)
    )
    (folder / "suite.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "bench.yaml"
    path.write_text(
        f"""\
suite: suite.jsonl
store: s.duckdb
models:
  - {{name: m, provider: openai, base_url: "{url}", model: mock-1, {PRICE},
     params: {{max_tokens: {max_tokens}, stream: {str(stream).lower()}}}}}
limits: {{max_concurrency: {IN_FLIGHT}, initial_concurrency: {initial}}}
"""
    )
    return path


def one_run(path: Path) -> dict[str, Any]:
    """Loads, plans, registers, runs and grades in this process; CPU time is all of it after the imports."""
    from routebench.bench import Bench

    before, start = cpu_s(), time.perf_counter()
    bench = Bench(path)
    plan = bench.plan()
    run = bench.run(plan)
    began = time.perf_counter()
    progress = run.wait()
    wall_s = time.perf_counter() - began
    bench.grade()
    used_s, whole_s = cpu_s() - before, time.perf_counter() - start
    latencies_s = bench.sql("SELECT latency_s FROM completions")["latency_s"].tolist()
    assert progress.done == progress.calls == len(latencies_s), progress
    return {"wall_s": wall_s, "whole_s": whole_s, "cpu_s": used_s, "latencies_s": latencies_s}


def large_run(path: Path) -> dict[str, Any]:
    """Runs a large suite in this process and watches the resident memory while it goes."""
    from routebench.bench import Bench

    start = time.perf_counter()
    bench = Bench(path)
    plan = bench.plan()
    ready_s = time.perf_counter() - start
    run = bench.run(plan)
    seen: list[float] = []
    while run.running:
        seen.append(resident_mb())
        time.sleep(0.5)
    progress = run.wait()
    ran_s = time.perf_counter() - start - ready_s
    bench.grade()
    return {
        "calls": progress.calls,
        "ready_s": ready_s,
        "run_s": ran_s,
        "whole_s": time.perf_counter() - start,
        "quarters_mb": [
            round(statistics.median(seen[i * len(seen) // 4 : (i + 1) * len(seen) // 4] or [0])) for i in range(4)
        ],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def resident_mb() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def store_rate(folder: Path, rows: int) -> float:
    """Rows a second from a journal of 1 KB answers into the store."""
    from routebench.store import Store, add_journal

    store = Store(folder / "rate.duckdb")
    segments = []
    per_segment = 10_000
    for first in range(0, rows, per_segment):
        path = folder / f"{first}.journal"
        with path.open("w") as file:
            for number in range(first, first + per_segment):
                row = {
                    "request_key": f"{number:064x}",
                    "run_id": "r",
                    "status": "ok",
                    "text": "x" * 1024,
                    "input_tokens": 20,
                }
                file.write(
                    json.dumps({**row, "latency_s": 0.2, "cost_usd": 1e-5, "usage_raw": {"prompt_tokens": 20}}) + "\n"
                )
        segments.append(path)
    start = time.perf_counter()
    for path in segments:
        add_journal(store, path)
    return rows / (time.perf_counter() - start)


def child(*arguments: str, python: str = sys.executable, script: str = "harness.py") -> dict[str, Any] | None:
    done = subprocess.run([python, str(HERE / script), *arguments], capture_output=True, text=True, check=False)
    if done.returncode == MISSING:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def centiles(values: Sequence[float]) -> tuple[float, float]:
    cut = statistics.quantiles(values, n=100)
    return cut[49], cut[98]


def row(name: str, measured: dict[str, Any] | None, truth: Sequence[float]) -> str:
    if measured is None:
        return f"{name:<34} not installed"
    p50, p99 = centiles(measured["latencies_s"])
    true50, true99 = centiles(truth)
    return (
        f"{name:<34} {measured['wall_s']:7.2f} s {measured['wall_s'] / IDEAL_S:6.2f} x  {1000 * measured['cpu_s'] / CALLS:6.2f} ms"
        f"   {1000 * p50:6.0f} ms {100 * (p50 / true50 - 1):+5.0f} %   {1000 * p99:6.0f} ms {100 * (p99 / true99 - 1):+5.0f} %"
    )


def against_others(pythons: Sequence[str], repeat: int) -> None:
    print(f"{CALLS} calls, {IN_FLIGHT} in flight, {1000 * LATENCY_S:.0f} ms each; ideal {IDEAL_S:.2f} s")
    print(
        f"{'':<34} {'wall':>9} {'of ideal':>8} {'CPU a call':>10}   {'recorded p50':>15}   {'recorded p99':>15}   (against the server's own clock)"
    )
    with serve(latency_s=LATENCY_S) as upstream:
        for name, stream, initial in (
            ("routebench, whole answers", False, IN_FLIGHT),
            ("routebench, streamed", True, IN_FLIGHT),
            ("routebench, slow start from 16", False, 16),
        ):
            print(
                row(
                    f"{name} (median of {repeat})",
                    ours(upstream, repeat, stream=stream, initial=initial),
                    upstream.get("latencies"),
                )
            )
        for name in PEERS:
            options = ("--url", upstream.url, "--calls", str(CALLS), "--concurrency", str(IN_FLIGHT))
            found = (child(name, *options, python=python, script="peers.py") for python in pythons)
            try:
                measured = next((one for one in found if one is not None), None)
                print(row(name, measured, upstream.get("latencies")), flush=True)
            except RuntimeError as error:
                print(f"{name:<34} failed: {str(error).strip().splitlines()[-1][:120]}")
        whole_process(upstream)


def ours(upstream: Running, repeat: int, *, stream: bool, initial: int) -> dict[str, Any]:
    """The run whose wall time is the median of several."""
    runs = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            measured = child("--one", str(lay_out(Path(folder), upstream.url, CALLS, stream=stream, initial=initial)))
        assert measured is not None
        runs.append(measured)
    return sorted(runs, key=lambda measured: measured["wall_s"])[len(runs) // 2]


def whole_process(upstream: Running) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = lay_out(Path(folder), upstream.url, CALLS, stream=False, initial=IN_FLIGHT)
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "routebench", "run", str(path), "--json"], check=True, capture_output=True
        )
        whole_s = time.perf_counter() - start
        start = time.perf_counter()
        imports = "import routebench.bench, routebench.dash.terminal, pandas, httpx, routebench.providers.presets"
        subprocess.run([sys.executable, "-c", imports], check=True)
        import_s = time.perf_counter() - start
    print(
        f"`routebench run`, the whole process: {whole_s:.2f} s, of which a bare process that imports the same takes {import_s:.2f} s"
    )


def large(cases: int) -> None:
    print(f"\n{cases} cases with answers of 1 KB")
    with serve(latency_s=0.05, answer_bytes=1024) as upstream, tempfile.TemporaryDirectory() as folder:
        path = lay_out(Path(folder), upstream.url, cases, stream=False, initial=IN_FLIGHT, max_tokens=300)
        first = child("--large", str(path))
        assert first is not None
        print(
            f"  load and plan {first['ready_s']:.1f} s, run {first['run_s']:.1f} s ({cases / first['run_s']:.0f} calls a second), with grading {first['whole_s']:.1f} s"
        )
        print(
            f"  resident memory by quarters of the run {first['quarters_mb']} MB, peak of the process {first['peak_mb']:.0f} MB"
        )
        start = time.perf_counter()
        again = child("--large", str(path))
        assert again is not None
        assert again["calls"] == 0
        print(
            f"  the finished run again: {again['whole_s']:.2f} s, {time.perf_counter() - start:.2f} s with the interpreter and its imports"
        )
        print(f"  journal into store: {store_rate(Path(folder), 100_000):,.0f} rows a second")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", action="append", default=[])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--large", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one_run(options.one)))
    elif options.large:
        print(json.dumps(large_run(options.large)))
    else:
        against_others([sys.executable, *options.peers_python], options.repeat)
        if options.cases:
            large(options.cases)
