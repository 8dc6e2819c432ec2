"""Ten thousand bodies that nobody would write, sent to a running gateway: is any answered with a fault of its own?

    python benchmarks/fuzz_gateway.py [--n 10000] [--seed 1] [--connections 8]

Documents are made from a schema of the request, spoilt one to three times, and some of them in their bytes. A
`routebench serve` in a process of its own stands before three upstreams, one of each wire format, that answer
everything. Checked are:

    faults    answers with a status of 500 or above
    unclear   refusals that are no error document of the API, or say nothing
    hung      requests without an answer within ten seconds
    died      whether the process that was started is the one that answers at the end, and its memory is what it was
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
from processes import resident_mb

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402

from tests.gateway.bodies_made import REQUEST, made_from, spoilt  # noqa: E402
from tests.gateway.sdk import wires  # noqa: E402
from tests.gateway.sdk.conftest import PRICE, RULES, WIRES  # noqa: E402
from tests.upstream import serve  # noqa: E402

_HANG_S = 10.0
_LEAST_MB = 10.0
"""Memory may grow by so much without anybody calling it a leak: buffers of large bodies."""


@dataclass
class Seen:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not (self.faults or self.unclear or self.hung)


def documents(number: int) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []

    @seed(20261128)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        phases=[Phase.generate],
    )
    @given(made_from(REQUEST))
    def make(document: dict[str, object]) -> None:
        made.append(document)

    make()
    return made  # fmt: skip


async def send(client: httpx.AsyncClient, bodies: asyncio.Queue[bytes], seen: Seen) -> None:
    while True:
        try:
            body = bodies.get_nowait()
        except asyncio.QueueEmpty:
            return
        start_s = time.perf_counter()
        try:
            async with asyncio.timeout(_HANG_S):
                answer = await client.post(
                    "chat/completions", content=body, headers={"content-type": "application/json"}
                )
        except TimeoutError:
            seen.hung.append(repr(body[:200]))
            continue
        seen.times_s.append(time.perf_counter() - start_s)
        seen.statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            seen.faults.append(f"{answer.status_code} {answer.text[:200]} {body[:300]!r}")
        elif answer.status_code >= 400 and not is_clear(answer):
            seen.unclear.append(f"{answer.status_code} {answer.text[:200]} {body[:200]!r}")


def is_clear(answer: httpx.Response) -> bool:
    try:
        error = orjson.loads(answer.content)["error"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(error["message"]) and error["type"] == "invalid_request_error" and len(error["message"]) < 800


async def fuzz(url: str, bodies: list[bytes], connections: int) -> Seen:
    seen, queue = Seen(), asyncio.Queue[bytes]()
    for body in bodies:
        queue.put_nowait(body)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=None) as client:
        await asyncio.gather(*(send(client, queue, seen) for _ in range(connections)))
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=8)
    asked = parser.parse_args()
    bodies = list(spoilt(documents(400), asked.n, asked.seed))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstreams = {wire: stack.enter_context(serve(getattr(wires, wire))) for wire in WIRES}
        rules = folder / "rules.yaml"
        rules.write_text(RULES.format(price=PRICE, **{wire: one.url for wire, one in upstreams.items()}))
        keys = {f"{wire.upper()}_KEY": "sk-fuzz" for wire in WIRES}
        command = [
            sys.executable,
            "-m",
            "routebench",
            "serve",
            str(rules),
            "--port",
            "0",
            "--traces",
            str(folder / "t"),
        ]
        process = stack.enter_context(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **keys}
            )
        )
        try:
            url = address(process)
            asyncio.run(fuzz(url, bodies[:200], asked.connections))
            before_mb = resident_mb(process.pid)
            seen = asyncio.run(fuzz(url, bodies, asked.connections))
            after_mb, alive = resident_mb(process.pid), process.poll() is None
        finally:
            process.terminate()
    told = ", ".join(f"{status}: {n}" for status, n in sorted(seen.statuses.items()))
    asked_upstream = sum(len(one.requests) for one in upstreams.values())
    print(
        f"bodies {len(bodies)}, of {sum(map(len, bodies)) / 1e6:.1f} MB; statuses {told}; asked upstream {asked_upstream}"
    )
    times = sorted(seen.times_s)
    print(
        f"median {statistics.median(times) * 1e3:.1f} ms, longest {times[-1] * 1e3:.0f} ms at {asked.connections} connections"
    )
    print(
        f"faults {len(seen.faults)}, unclear {len(seen.unclear)}, hung {len(seen.hung)}, died {'no' if alive else 'YES'}"
    )
    print(f"resident {before_mb:.0f} MB before, {after_mb:.0f} MB after")
    for line in [*seen.faults[:5], *seen.unclear[:5], *seen.hung[:5]]:
        print("  ", line)
    return 0 if seen.ok and alive and after_mb < before_mb + _LEAST_MB + max(map(len, bodies)) / 1e5 else 1


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://127\.0\.0\.1:\d+(/v1)?", line)
        if found:
            return found[0] if found[1] else f"{found[0]}/v1"
    raise SystemExit("the gateway did not begin")


if __name__ == "__main__":
    raise SystemExit(main())
