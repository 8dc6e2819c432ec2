"""What must hold after a soak, each a line with its figures."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

COST_USD_ERROR = 1e-9
WITHIN_S = {"fails": 12.0, "slows down": 12.0, "restarts": 5.0}
"""How soon health has moved the traffic (docs/rules.md); a tenfold slow-down shows once a request is overdue."""
MOVED = 0.8
"""Share of a second's requests that go elsewhere when the traffic has moved; the rest are probes."""
RSS_GROWTH_MB = 8.0
FILES_GROWTH = 40
STALL_S = 0.25
NOTICED_S = 0.25
_FAULTS = ("wrong", "cut", "failed", "lost")


@dataclass(frozen=True)
class Incident:
    """One provider's bad time.

    Attributes:
        kind: fails, slows down or restarts.
        models: that it serves.
        from_s: seconds since 1970.
    """

    kind: str
    wire: str
    models: frozenset[str]
    from_s: float
    to_s: float


@dataclass(frozen=True)
class Sample:
    """The gateway at one moment."""

    at_s: float
    resident_mb: float
    files: int
    child_mb: float
    cpu_s: float


@dataclass
class Seen:
    """Everything that a soak has seen.

    Attributes:
        rows: of the client (`soak_load.Row`), `at_s` in seconds since 1970.
        parting: rows of streams that were under way when the gateway was told to end.
        traces: as `read_traces` gives them.
        upstreams: wire -> what it has seen.
        idle: the gateway before the load and after it.
        stalls_s: times to an answer of /healthz; those of a server beside it, for the machine's own.
        metrics_cost_usd: by /metrics.
        prices: model -> US dollars a million tokens, in and out.
        reloads: seconds since 1970 of a rule set that must be taken, with its name.
    """

    rows: pd.DataFrame
    parting: pd.DataFrame
    traces: pd.DataFrame
    upstreams: Mapping[str, Mapping[str, Any]]
    incidents: Sequence[Incident]
    samples: Sequence[Sample]
    idle: tuple[Sample, Sample]
    stalls_s: Sequence[float]
    machine_s: Sequence[float]
    client: Mapping[str, float]
    metrics_cost_usd: float | None
    prices: Mapping[str, tuple[float, float]]
    reloads: Sequence[tuple[float, str]]
    refused_name: str
    ended_with: int
    drained_s: float
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One line; `ok` is None where nothing is asked, or where the soak was too short to say."""

    what: str
    ok: bool | None
    figures: str


def checks(seen: Seen) -> Iterator[Check]:
    yield from answers(seen)
    yield from traces(seen)
    yield from costs(seen)
    yield from health(seen)
    yield from resources(seen)
    yield from lifecycle(seen)


def answers(seen: Seen) -> Iterator[Check]:
    what = Counter(seen.rows["what"])
    lost = {name: what[name] for name in _FAULTS if what[name]}
    told = seen.rows[seen.rows["what"].isin(_FAULTS)]["told"].dropna().head(3).tolist()
    yield Check(
        "no request lost that a healthy model could answer", not lost,
        f"{len(seen.rows):,} asked, {what['whole']:,} whole, {what['told']} broke mid-stream and said so, "
        f"{what['refused']:,} wrong ones refused, {what['left']:,} clients left; lost {lost or 0} {told or ''}".rstrip(),
    )  # fmt: skip
    yield Check(
        "no clean end of a broken stream", not what["clean end"],
        f"{what['clean end']} of {sum(one['broken'] for one in seen.upstreams.values())} streams that were broken on purpose",
    )  # fmt: skip
    left = seen.rows[seen.rows["what"] == "left"].set_index("number")["left_at"]
    ended = {int(number): at for one in seen.upstreams.values() for number, at in one["long_ended"].items()}
    # One that had come to its end before, or just as its client left, could not be ended any more.
    went_on = [number for number, at in left.items() if ended.get(number, 0.0) > at + NOTICED_S]
    closed = {number for one in seen.upstreams.values() for number in one["left"]}
    yield Check(
        "a client that leaves ends the call upstream", not went_on,
        f"{len(left):,} left mid-stream, {len(closed & set(left.index)):,} calls were ended; {len(went_on)} went on "
        f"for more than {NOTICED_S} s {went_on[:5] or ''}".rstrip(),
    )  # fmt: skip


def traces(seen: Seen) -> Iterator[Check]:
    named, rows = pd.concat([seen.rows["trace_id"], seen.parting["trace_id"]]), seen.traces["trace_id"]
    known = named.dropna()
    twice = int(rows.duplicated().sum())
    missing, besides = set(known) - set(rows), set(rows) - set(known)
    unnamed = int(named.isna().sum())
    yield Check(
        "traces complete to the row", not (twice or missing or besides or unnamed),
        f"{len(known):,} names that clients saw, {len(rows):,} rows; missing {len(missing)}, twice {twice}, "
        f"besides {len(besides)}, answers without a name {unnamed}",
    )  # fmt: skip
    both = seen.rows.dropna(subset=["trace_id"]).merge(seen.traces, on="trace_id", suffixes=("", "_traced"))
    expected = {"whole": "ok", "refused": "refused", "told": "broken"}
    differing = both[both["what"].map(expected).notna() & (both["what"].map(expected) != both["outcome"])]
    # Of one who leaves all may have been written before, or the answer may break in the same moment.
    odd = both[(both["what"] == "left") & ~both["outcome"].isin(["cancelled", "ok", "broken"])]
    pairs = Counter(zip([*differing["what"], *odd["what"]], [*differing["outcome"], *odd["outcome"]], strict=True))
    yield Check("traces say what clients saw", not pairs, f"{len(both):,} compared; differing {dict(pairs) or 0}")


def costs(seen: Seen) -> Iterator[Check]:
    whole = seen.rows[seen.rows["what"] == "whole"].merge(seen.traces, on="trace_id", suffixes=("", "_traced"))
    untold = int(whole["cost_usd"].isna().sum())
    known = whole.dropna(subset=["cost_usd", "cost_usd_traced"])
    differ = int((abs(known["cost_usd"] - known["cost_usd_traced"]) > COST_USD_ERROR).sum())
    single = known[known["attempts"].map(len) == 1]
    prices = np.array([seen.prices[name] for name in single["model"]]).reshape(-1, 2)
    listed = (single["input_tokens"] * prices[:, 0] + single["output_tokens"] * prices[:, 1]) / 1e6
    wrong = int((abs(listed - single["cost_usd"]) > COST_USD_ERROR).sum())
    yield Check(
        "costs are tokens times price, the same for client and trace", not differ and not wrong,
        f"{len(known):,} compared, {differ} differ; {len(single):,} of one call, {wrong} are another sum; "
        f"{untold} unknown",
    )  # fmt: skip
    # A request with one call of unknown cost has no cost; what is known of it counts all the same in /metrics.
    counted = seen.traces[~seen.traces["trace_id"].isin(seen.parting["trace_id"])]
    calls = [call["cost_usd"] for calls in counted["attempts"] for call in calls]
    known_usd = math.fsum(cost for cost in calls if cost is not None and not math.isnan(cost))
    told = seen.metrics_cost_usd
    same = told is not None and math.isclose(told, known_usd, rel_tol=1e-6)
    shown = "n/a" if told is None else f"${told:.6f}"
    unknown = int(counted["cost_usd"].isna().sum())
    yield Check(
        "costs add up", same,
        f"calls in the traces ${known_usd:.6f}, /metrics {shown}; requests ${counted['cost_usd'].sum():.6f}, "
        f"{unknown:,} of unknown cost",
    )  # fmt: skip


def health(seen: Seen) -> Iterator[Check]:
    at = seen.traces["at"].astype("datetime64[us, UTC]").astype("int64").to_numpy() / 1e6
    wanted = seen.traces["wanted"].to_numpy(dtype=object)
    first = seen.traces["chain"].map(lambda chain: chain[0] if len(chain) else None).to_numpy(dtype=object)
    for one in seen.incidents:
        its = np.array([name in one.models for name in wanted])
        gone = np.array([name not in one.models for name in first])
        moved_s = moved_after(at[its], gone[its], one.from_s, one.to_s)
        back_s = moved_after(at[its], ~gone[its], one.to_s, at.max())
        shown, back = ("n/a" if value is None else f"{value:.1f} s" for value in (moved_s, back_s))
        # Where the incident is shorter than the bar, nothing is said.
        too_short = one.to_s - one.from_s < WITHIN_S[one.kind]
        ok = None if too_short and moved_s is None else moved_s is not None and moved_s <= WITHIN_S[one.kind]
        yield Check(
            f"health moves traffic while {one.wire} {one.kind}", ok,
            f"moved after {shown} (asked {WITHIN_S[one.kind]:.0f} s), back {back} after its end",
        )  # fmt: skip
    yield Check("latency outside incidents", None, _latencies(seen, inside=False))
    yield Check("latency during incidents", None, _latencies(seen, inside=True))


def moved_after(at: Any, moved: Any, from_s: float, to_s: float) -> float | None:
    """Seconds until a second comes in which most requests have moved; None where none does."""
    for start_s in np.arange(from_s, to_s, 0.25):
        inside = (at >= start_s) & (at < start_s + 1.0)
        if inside.sum() >= 5 and moved[inside].mean() >= MOVED:
            return float(start_s - from_s)
    return None


def _latencies(seen: Seen, *, inside: bool) -> str:
    rows = seen.rows[seen.rows["what"] == "whole"]
    bad = np.zeros(len(rows), dtype=bool)
    for one in seen.incidents:
        bad |= ((rows["at_s"] >= one.from_s) & (rows["at_s"] < one.to_s)).to_numpy()
    parts = []
    for what, of, column in (
        ("whole", rows[(bad == inside) & ~rows["stream"]], "latency_s"),
        ("first token", rows[(bad == inside) & rows["stream"]], "ttft_s"),
    ):
        values = of[column].dropna().to_numpy()
        if len(values) < 30:
            parts.append(f"{what} n/a (too few)")
            continue
        p50, p95, p99 = np.quantile(values, (0.5, 0.95, 0.99)) * 1000
        parts.append(f"{what} p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, longest {values.max() * 1000:.0f} ms")
    return "; ".join(parts)


def resources(seen: Seen) -> Iterator[Check]:
    samples = seen.samples
    warm = samples[len(samples) // 4 :]
    minutes = (warm[-1].at_s - warm[0].at_s) / 60 if len(warm) > 1 else 0.0
    early, late = (statistics.median(one.resident_mb for one in part) for part in thirds(warm))
    slope = float(np.polyfit([one.at_s / 60 for one in warm], [one.resident_mb for one in warm], 1)[0])
    yield Check(
        "memory flat", None if minutes < 1 else late - early <= RSS_GROWTH_MB,
        f"resident {early:.0f} MB early, {late:.0f} MB late, {slope:+.2f} MB a minute after warm-up, most "
        f"{max(one.resident_mb for one in samples):.0f} MB; the packing child most {max(one.child_mb for one in samples):.0f} MB",
    )  # fmt: skip
    before, after = seen.idle
    # Connections to upstreams are kept for a while, so that after a load there are more than before it.
    first, last = (statistics.median(one.files for one in part) for part in thirds(warm))
    yield Check(
        "open files flat", None if minutes < 1 else last - first <= FILES_GROWTH,
        f"{first:.0f} early, {last:.0f} late, most {max(one.files for one in samples)}; idle {before.files} before, "
        f"{after.files} after",
    )  # fmt: skip
    share = (samples[-1].cpu_s - samples[0].cpu_s) / max(samples[-1].at_s - samples[0].at_s, 1e-9)
    worst, beside = max(seen.stalls_s), max(seen.machine_s)
    p99, p99_beside = (1000 * float(np.quantile(one, 0.99)) for one in (seen.stalls_s, seen.machine_s))
    yield Check(
        "event loop does not stall", worst <= max(STALL_S, 3 * beside),
        f"/healthz longest {1000 * worst:.0f} ms, p99 {p99:.1f} ms of {len(seen.stalls_s):,}; beside, a server that "
        f"does nothing else: {1000 * beside:.0f} ms, {p99_beside:.1f} ms; the gateway used {share:.0%} of a core",
    )  # fmt: skip
    yield Check(
        "the client kept its times", seen.client["latest_s"] < 0.5,
        f"at most {1000 * seen.client['latest_s']:.0f} ms late itself; {seen.client['opened']:.0f} connections, "
        f"{seen.client['resent']:.0f} sent again because a kept one was closed",
    )  # fmt: skip


def thirds(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The first and the last third."""
    n = max(len(samples) // 3, 1)
    return samples[:n], samples[-n:]


def lifecycle(seen: Seen) -> Iterator[Check]:
    names = seen.traces["rules"]
    at = seen.traces["at"].astype("datetime64[us, UTC]").astype("int64") / 1e6
    for asked_s, name in seen.reloads:
        mine = at[names == name]
        took = float(mine.min() - asked_s) if len(mine) else None
        shown = "never" if took is None else f"after {took:.1f} s"
        yield Check(f"rules are taken while it serves: {name}", took is not None and took < 5, f"deciding {shown}")
    used = int((names == seen.refused_name).sum())
    yield Check("a rule set that does not pass is refused", not used, f"{used} requests were decided by it")
    whole = int((seen.parting["what"] == "whole").sum())
    yield Check(
        "it ends in order", seen.ended_with == 0 and whole == len(seen.parting),
        f"exit code {seen.ended_with}, {seen.drained_s:.1f} s after SIGTERM; of {len(seen.parting)} streams under way "
        f"{whole} came whole",
    )  # fmt: skip
