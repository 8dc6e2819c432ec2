"""Twenty kills at random instants: is anything lost, is anything asked twice?

    python benchmarks/crash.py [--kills 20] [--cases 3000] [--seed 0]

A run is started in a process of its own against a server that counts what it is asked, and killed with SIGKILL after
a random time; then the same command again, until it has been killed so often; then once to the end. After every kill
the answers that the dead process left behind are read from its journals and the store. Checked are:

    lost       answers that a process had reported as done, and that are not on disk after its kill
    repeated   answers that were on disk after a kill, and were asked again later

What was in flight at the instant of a kill was never answered to us; it is asked again, and counted apart.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import lay_out
from mock_upstream import Running, serve

RUN = """
import sys, time
from routebench.bench import Bench
run = Bench(sys.argv[1]).run()
while run.running:
    print(run.progress().done, flush=True)
    time.sleep(0.002)
print(run.wait().done, flush=True)
"""


def reported_before_kill(path: Path, after_s: float) -> int:
    """Starts a run, kills it, and returns how many answers it had reported."""
    with subprocess.Popen([sys.executable, "-c", RUN, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # Time counts from the first report: killing an interpreter that is still importing proves nothing.
        reported = int(process.stdout.readline() or 0)
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            if line.endswith("\n"):
                reported = int(line)
    return reported


def on_disk(path: Path) -> set[str]:
    """The prompts whose answers are safe, after the journals of dead processes were read."""
    from routebench.bench import Bench

    bench = Bench(path)
    frame = bench.sql("SELECT DISTINCT request_key FROM completions WHERE status = 'ok'")
    keys = set(frame["request_key"])
    asked = {
        key: case.request.messages[0]["content"] for case, key in zip(bench.suite, bench.plan().keys["m"], strict=True)
    }
    return {asked[key] for key in keys}


def main(kills: int, cases: int, seed: int) -> int:
    rng = random.Random(seed)
    lost = 0
    repeated: set[str] = set()
    safe: set[str] = set()
    with serve(latency_s=0.05, answer_bytes=200) as upstream, tempfile.TemporaryDirectory() as folder:
        path = lay_out(Path(folder), upstream.url, cases, stream=True, initial=16, max_tokens=100)
        path.write_text(path.read_text().replace("max_concurrency: 256", "max_concurrency: 16"))
        for number in range(1, kills + 1):
            before = counts(upstream)
            reported = reported_before_kill(path, rng.uniform(0.0, 1.2 * cases * 0.05 / 16 / kills))
            now_safe = on_disk(path)
            new = len(now_safe) - len(safe)
            lost += max(0, reported - new)
            asked = {prompt for prompt, times in counts(upstream).items() if times > before.get(prompt, 0)}
            repeated |= asked & safe
            print(
                f"kill {number:2}: {reported:5} reported, {new:5} on disk, {len(asked) - new:3} in flight", flush=True
            )
            safe = now_safe
        before = counts(upstream)
        subprocess.run(
            [sys.executable, "-m", "routebench", "run", str(path), "--json"], check=True, capture_output=True
        )
        asked = {prompt for prompt, times in counts(upstream).items() if times > before.get(prompt, 0)}
        repeated |= asked & safe
        complete = len(on_disk(path))
        total = sum(counts(upstream).values())
    print(
        f"{kills} kills: {lost} lost, {len(repeated)} repeated; {complete} of {cases} answered, {total - cases} asked again that were in flight"
    )
    return 0 if lost == 0 and not repeated and complete == cases else 1


def counts(upstream: Running) -> dict[str, int]:
    found: dict[str, int] = upstream.get("counts")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(main(options.kills, options.cases, options.seed))
