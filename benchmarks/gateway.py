"""What the gateway takes above the way without it, side by side with others in one run: ratios matter.

    python benchmarks/gateway.py                       everything that is installed; about five minutes
    python benchmarks/gateway.py --quick               a smoke of it; under a minute
    python benchmarks/gateway.py --portkey FOLDER      where `npm install @portkey-ai/gateway` was run
    python benchmarks/gateway.py --only bare,ours      some of them
    python benchmarks/gateway.py --json F              the figures for a machine too

One worker each, an upstream that answers at once. Client, gateway and upstream are processes of their own, and each
one's CPU time is told apart: where the client or the upstream is what bounds a figure, its line says so. Rounds of all
contenders are interleaved, so that a noisy minute of the machine is everybody's.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway_load import Asked, Client, Job, client
from gateway_peers import HERE, Contender, NotThereError, bare, direct, litellm, ours, portkey
from gateway_upstream import Running, serve
from processes import command, descendants, proportional_mb, resident_mb

ADDED_MS, RATE, RESIDENT_MB, READY_S, ADDED_TTFT_MS = 0.35, 3000.0, 90.0, 1.0, 0.5
"""What is asked of ours."""
CONNECTIONS = (1, 8, 32, 128)
SIZES = (1024, 8 * 1024, 100 * 1024)
GAP_S = 0.001
BUSY = 0.85
"""A process that uses more of a core than this may be what bounds the rate."""
Figures = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """How much is asked: rounds, requests a round, seconds of full load."""

    rounds: int
    n: int
    seconds: float

    def of(self, contender: Contender) -> int:
        return max(10, self.n // 10) if contender.slow else self.n


FULL, QUICK = Effort(12, 250, 3.0), Effort(3, 60, 0.5)


class Bench:
    """The contenders, and everything they are asked."""

    def __init__(
        self, asking: Client, upstreams: Mapping[str, Running], contenders: Sequence[Contender], effort: Effort
    ):
        self.asking = asking
        self.upstreams = upstreams
        self.contenders = contenders
        self.effort = effort
        self._told: set[str] = set()

    @property
    def reference(self) -> Contender:
        return self.contenders[0]

    def ask(self, contender: Contender, **job: Any) -> Asked:
        asked = self.asking.ask(Job(contender.port, headers=contender.headers, **{"model": contender.model, **job}))
        if asked.wrong and asked.told not in self._told:
            self._told.add(asked.told)
            print(f"  ! {contender.name}: {asked.wrong} of {asked.n} answers are wrong: {asked.told[:160]!r}")
        return asked

    def warm_up(self) -> None:
        """What compiles itself while it runs is measured when it has."""
        for one in self.contenders:
            self.ask(one, n=20 if one.slow else 4 * self.effort.n, connections=4)

    def rounds(self, contenders: Sequence[Contender], share: float = 1.0, **job: Any) -> dict[str, list[Asked]]:
        """All of them in turn, round by round; the first round warms up and is thrown away."""
        found: dict[str, list[Asked]] = {one.name: [] for one in contenders}
        for number in range(self.effort.rounds + 1):
            for one in contenders:
                asked = self.ask(one, n=max(10, int(share * self.effort.of(one))), **job)
                if number:
                    found[one.name].append(asked)
        return found


def added(
    rounds: Mapping[str, Sequence[Asked]], name: str, reference: str, centile: int, what: str = "latency_us"
) -> float | None:
    """Milliseconds above the reference: of the median in each round, of the tails over all rounds.

    None where its answers were wrong: how soon they came says nothing.
    """

    def at(asked: Sequence[Asked]) -> float:
        return statistics.quantiles([one for each in asked for one in getattr(each, what)], n=100)[centile - 1]

    if any(one.wrong for one in rounds[name]):
        return None
    if centile == 50:
        pairs = zip(rounds[name], rounds[reference], strict=True)
        return statistics.median(at([mine]) - at([its]) for mine, its in pairs) / 1000
    return (at(rounds[name]) - at(rounds[reference])) / 1000


def latency(bench: Bench) -> Figures:
    print(f"\nadded at one connection, 1 KB of prompt, ms  {'p50':>22}{'p95':>9}{'p99':>9}{'of bare':>10}")
    rounds = bench.rounds(bench.contenders)
    floor = statistics.median([one for each in rounds[bench.reference.name] for one in each.latency_us]) / 1000
    print(f"  {'direct, itself':<56}{floor:9.3f}")
    found: Figures = {"direct_p50_ms": floor}
    names = [one.name for one in bench.contenders[1:]]
    least = next((added(rounds, name, bench.reference.name, 50) for name in names if name.startswith("bare")), None)
    for name in names:
        centiles = {centile: added(rounds, name, bench.reference.name, centile) for centile in (50, 95, 99)}
        middle = centiles[50]
        ratio = "" if least is None or middle is None else f"{middle / least:.2f}x"
        note = _asked(met(middle, ADDED_MS), f"{ADDED_MS} ms") if is_ours(name) else ""
        print(f"  {name:<56}" + "".join(map(shown, centiles.values())) + f"{ratio:>10}  {note}".rstrip())
        found[name] = {f"added_p{centile}_ms": value for centile, value in centiles.items()}
    return found


def sizes(bench: Bench) -> Figures:
    print(f"\nadded p50 by size of the prompt, ms{'':<23}" + "".join(f"{size // 1024:>6} KB" for size in SIZES))
    found: Figures = {one.name: {} for one in bench.contenders[1:]}
    for size in SIZES:
        rounds = bench.rounds(bench.contenders, n_bytes=size)
        for name, of in found.items():
            of[f"{size // 1024} KB"] = added(rounds, name, bench.reference.name, 50)
    for name, of in found.items():
        print(f"  {name:<56}" + "".join(map(shown, of.values())))
    return found


def rate(bench: Bench) -> Figures:
    print(f"\nrequests a second at so many connections{'':<18}" + "".join(f"{n:>9}" for n in CONNECTIONS))
    found: Figures = {}
    for one in bench.contenders:
        rates, costs, children, notes = [], [], [], set()
        for n in CONNECTIONS:
            asked, cost_us, child_us, bounds = _pressed(bench, one, n)
            rates.append(math.nan if asked.wrong else asked.n / asked.wall_s)
            costs.append(cost_us)
            children.append(child_us)
            notes |= bounds
        if is_ours(one.name):
            notes.add(_asked(max(rates) >= RATE, f"{RATE:.0f}"))
        print(f"  {one.name:<56}" + "".join(f"{value:9,.0f}" for value in rates) + "  " + ", ".join(sorted(notes)))
        if one.pid is not None:
            print(f"  {'    its CPU a request, us':<56}" + "".join(f"{value:9,.0f}" for value in costs))
        if any(children):
            print(f"  {'    its children, us':<56}" + "".join(f"{value:9,.0f}" for value in children))
        found[one.name] = {
            str(n): {"per_s": per_s, "cpu_us": cost_us, "children_cpu_us": child_us}
            for n, per_s, cost_us, child_us in zip(CONNECTIONS, rates, costs, children, strict=True)
        }
    return found


def _pressed(bench: Bench, one: Contender, connections: int) -> tuple[Asked, float, float, set[str]]:
    """Full load for some seconds: what came of it, CPU microseconds a request, its children's, and who was busy."""
    upstream = bench.upstreams["openai"]
    before, children_before, upstream_before = one.cpu_s(), one.children_cpu_s(), upstream.cpu_s
    asked = bench.ask(one, connections=connections, seconds=bench.effort.seconds)
    cost_us = 1e6 * (one.cpu_s() - before) / max(asked.n, 1)
    # A child that packs traces may have ended and been replaced meanwhile.
    child_us = 1e6 * max(0.0, one.children_cpu_s() - children_before) / max(asked.n, 1)
    shares = {"client": asked.cpu_s / asked.wall_s, "upstream": (upstream.cpu_s - upstream_before) / asked.wall_s}
    bound = {f"the {who} was {share:.0%} busy at {connections}" for who, share in shares.items() if share > BUSY}
    return asked, cost_us, child_us, bound if one.pid is not None else set()


def memory(bench: Bench) -> Figures:
    print(f"\nafter that load{'':<43}{'resident':>9}{'PSS':>9}{'ready':>9}")
    found: Figures = {}
    for one in bench.contenders[1:]:
        assert one.pid is not None
        assert one.ready_s is not None
        resident, proportional = resident_mb(one.pid), proportional_mb(one.pid)
        children = [(command(child), resident_mb(child), proportional_mb(child)) for child in descendants(one.pid)]
        note = ""
        if is_ours(one.name):
            note = _asked(resident < RESIDENT_MB and one.ready_s < READY_S, f"{RESIDENT_MB:.0f} MB, {READY_S:.0f} s")
        print(f"  {one.name:<56}{resident:6.0f} MB{proportional:6.0f} MB{one.ready_s:7.2f} s  {note}".rstrip())
        for what, its, shared in children:
            print(f"  {'    its child ' + what[-40:]:<56}{its:6.0f} MB{shared:6.0f} MB")
        found[one.name] = {
            "resident_mb": resident,
            "pss_mb": proportional,
            "ready_s": one.ready_s,
            "children": [{"command": what, "resident_mb": its, "pss_mb": shared} for what, its, shared in children],
        }
    return found


def streaming(bench: Bench) -> Figures:
    print(f"\nstreams at one connection, added, ms{'':<22}{'first token p50':>16}{'p95':>9}{'whole p50':>11}")
    found: Figures = {}
    for kind, what in (("whole", "all chunks at once"), ("paced", f"20 chunks, {GAP_S * 1000:.0f} ms apart")):
        # The gaps take their time too.
        rounds = bench.rounds(bench.contenders, 0.1 if kind == "paced" else 1.0, kind=kind, stream=True)
        print(f"  {what}")
        for one in bench.contenders[1:]:
            first, tail = (added(rounds, one.name, bench.reference.name, at, "ttft_us") for at in (50, 95))
            whole = added(rounds, one.name, bench.reference.name, 50)
            note = _asked(met(first, ADDED_TTFT_MS), f"{ADDED_TTFT_MS} ms") if is_ours(one.name) else ""
            print(f"    {one.name:<54}{shown(first, 16)}{shown(tail)}{shown(whole, 11)}  {note}".rstrip())
            found.setdefault(one.name, {})[kind] = {"ttft_p50_ms": first, "ttft_p95_ms": tail, "whole_p50_ms": whole}
    return found


def long_streams(bench: Bench) -> Figures:
    print(
        f"\nlong streams{'':<46}{'chunks/s':>9}{'CPU a chunk':>14}   {'(32 streams of paced chunks: chunks/s, CPU)':>16}"
    )
    found: Figures = {}
    for one in bench.contenders:
        flood = _chunks(bench, one, 5000, kind="flood", n=max(3, bench.effort.rounds // (3 if one.slow else 1)))
        paced = _chunks(bench, one, 20, kind="paced", connections=32, seconds=bench.effort.seconds)
        print(f"  {one.name:<56}{flood[0]:9,.0f}{flood[1]:11.1f} us   {paced[0]:16,.0f}{paced[1]:11.1f} us")
        found[one.name] = {
            "flood_per_s": flood[0],
            "flood_cpu_us": flood[1],
            "paced_per_s": paced[0],
            "paced_cpu_us": paced[1],
        }
    return found


def _chunks(bench: Bench, one: Contender, each: int, **job: Any) -> tuple[float, float]:
    """Chunks a second, and its CPU microseconds for each; NaN where the answers were wrong."""
    before = one.cpu_s()
    asked = bench.ask(one, stream=True, **job)
    if asked.wrong:
        return math.nan, math.nan
    return asked.n * each / asked.wall_s, 1e6 * (one.cpu_s() - before) / max(asked.n * each, 1)


def other_ways(bench: Bench, mine: Contender) -> Figures:
    """Ours alone: models of other wires, a model named directly, a cascade."""
    print(f"\nours, added at one connection, p50, ms{'':<20}{'whole':>9}{'stream':>9}{'first token':>13}")
    ways: Mapping[str, Mapping[str, Any]] = {
        "the policy decides": {},
        "a model named directly": {"model": "small"},
        "Anthropic's wire": {"model": "claude"},
        "Gemini's wire": {"model": "gemini"},
        "a cascade whose first answer passes": {"kind": "cascaded"},
        "a tool is called": {"kind": "tool"},
    }
    found: Figures = {}
    for what, job in ways.items():
        named = replace(mine, name=what)
        kind = {"kind": job.get("kind", "whole")}
        figures = []
        for stream in (False, True):
            rounds: dict[str, list[Asked]] = {what: [], bench.reference.name: []}
            for number in range(bench.effort.rounds + 1):
                one = bench.ask(bench.reference, n=bench.effort.n, stream=stream, **kind)
                two = bench.ask(named, n=bench.effort.n, stream=stream, **job)
                if number:
                    rounds[bench.reference.name].append(one)
                    rounds[what].append(two)
            figures.append(added(rounds, what, bench.reference.name, 50))
        first = added(rounds, what, bench.reference.name, 50, "ttft_us") if rounds[what][0].ttft_us else None
        print(f"  {what:<56}{shown(figures[0])}{shown(figures[1])}{shown(first, 13)}")
        found[what] = {"whole_p50_ms": figures[0], "stream_p50_ms": figures[1], "ttft_p50_ms": first}
    return found


def is_ours(name: str) -> bool:
    return name.startswith("routebench")


def met(value: float | None, bar: float) -> bool:
    return value is not None and value <= bar


def shown(value: float | None, width: int = 9) -> str:
    return f"{'n/a':>{width}}" if value is None else f"{value:{width}.3f}"


def _asked(met: bool, bar: str) -> str:  # noqa: FBT001
    return f"asked: {bar}{'' if met else '   NOT MET'}"


def without_nan(found: Any) -> Any:
    """The figures with None for what is unknown, as JSON has it."""
    if isinstance(found, dict):
        return {name: without_nan(value) for name, value in found.items()}
    return None if isinstance(found, float) and math.isnan(found) else found


def present(
    stack: ExitStack, ways: Mapping[str, Callable[[], AbstractContextManager[Contender]]]
) -> Iterator[Contender]:
    for name, way in ways.items():
        try:
            yield stack.enter_context(way())
        except NotThereError as error:
            print(f"{name}: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="bare,ours,litellm,portkey")
    parser.add_argument("--portkey", type=Path, action="append", default=[HERE.parent / "interop" / "portkey"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstreams = {wire: stack.enter_context(serve(wire, gap_s=GAP_S)) for wire in ("openai", "anthropic", "gemini")}
        openai = upstreams["openai"]
        ways: dict[str, Callable[[], AbstractContextManager[Contender]]] = {
            "bare": lambda: bare(openai, folder),
            "ours": lambda: ours(upstreams, folder),
            "litellm": lambda: litellm(openai, folder),
            "portkey": lambda: portkey(openai, folder, asked.portkey),
        }
        wanted = {name: ways[name] for name in asked.only.split(",")}
        contenders = [direct(openai), *present(stack, wanted)]
        bench = Bench(stack.enter_context(client()), upstreams, contenders, QUICK if asked.quick else FULL)
        bench.warm_up()
        found = {"latency": latency(bench), "rate": rate(bench), "memory": memory(bench), "sizes": sizes(bench)}
        found |= {"streaming": streaming(bench), "long_streams": long_streams(bench)}
        for mine in contenders:
            if is_ours(mine.name):
                found["ours"] = other_ways(bench, mine)
    if asked.json:
        asked.json.write_text(json.dumps(without_nan(found), indent=1, allow_nan=False))


if __name__ == "__main__":
    main()
