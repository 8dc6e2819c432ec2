"""Traces of a made-up gateway, always the same: what the panel is tested on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from routebench.traces import Attempt, Trace

STARTS_S = 1_796_000_000.0
MODELS = ("small", "large")
POLICIES = ("aaaaaaaaaaaa", "bbbbbbbbbbbb")


def traffic(n: int = 600, *, every_s: float = 6.0, seed: int = 0, texts: bool = False, start: int = 0) -> pd.DataFrame:
    """Returns n traces, one every `every_s` seconds, as `read_traces` would.

    `small` answers short prompts by rule `short`, `large` the others by `default`. From 40 % to 50 % of the time `small`
    is ill: every second call to it fails, and then health sends its requests to `large`. In the second half another
    policy decides. Two in a hundred are explored, a shadow sends every tenth request elsewhere, and a conversation has two
    turns.

    Args:
        n: how many.
        every_s: seconds from one to the next.
        seed: of everything that is drawn.
        texts: whether prompts and answers were kept.
        start: number of the first one; traces of other numbers are other traces.
    """
    rng = np.random.default_rng(seed + start)
    number = np.arange(start, start + n)
    place = (np.arange(n) + 0.5) / n
    short = rng.random(n) < 0.7
    ill = (place > 0.4) & (place < 0.5)
    wanted = np.where(short, "small", "large")
    health = ill & short & (rng.random(n) < 0.6)
    explored = ~health & (rng.random(n) < 0.02)
    other = np.where(short, "large", "small")
    first = np.where(health | explored, other, wanted)
    failing = ill & (first == "small") & (rng.random(n) < 0.5)
    lost = failing & (rng.random(n) < 0.5)
    gone = ~failing & (rng.random(n) < 0.01)
    model = np.where(lost | gone, None, np.where(failing, "large", first))
    latency_s = rng.lognormal(np.where(model == "large", 0.2, -1.2), 0.5)
    cost_usd = np.where(model == "large", 0.002, 0.0001) * rng.lognormal(0, 0.3, n)
    cost_usd[rng.random(n) < 0.03] = np.nan
    streamed = rng.random(n) < 0.5
    shadowed = np.where(rng.random(n) < 0.1, other, first)
    policy = np.where(place < 0.5, *POLICIES)
    rows: dict[str, Any] = {
        "trace_id": [f"t{one}" for one in number],
        "at": pd.to_datetime(STARTS_S + every_s * number, unit="s", utc=True),
        "gateway": "g1",
        "rules": "team",
        "policy": policy,
        "status": np.where(lost, 502, np.where(gone, 499, 200)),
        "outcome": np.where(lost, "failed", np.where(gone, "cancelled", "ok")),
        "streamed": streamed,
        "latency_s": latency_s,
        "client": np.where(rng.random(n) < 0.3, "batch", "chat"),
        "conversation": [f"c{one // 2}" for one in number],
        "rule": np.where(short, "short", "default"),
        "chain": [[one, "large" if one == "small" else "small"] for one in first],
        "wanted": wanted,
        "eligible": [list(MODELS)] * n,
        "explored": explored,
        "propensity": np.where(explored, 0.01, 0.99),
        "model": model,
        "deployment": model,
        "error_kind": np.where(lost, "server", None),
        "error": np.where(lost, "every model failed", None),
        "attempts": [_attempts(*one) for one in zip(first, model, failing, latency_s, cost_usd, strict=True)],
        "input_tokens": np.where(short, 20, 300),
        "output_tokens": rng.integers(5, 200, n),
        "cost_usd": cost_usd,
        "ttft_s": np.where(streamed & (model != None), latency_s / 3, np.nan),  # noqa: E711 - of every element
        "decision_s": 0.0002,
        "features": [json.dumps({"input_tokens": 20 if one else 300}) for one in short],
        "shadow_rules": "newer",
        "shadow_rule": "all",
        "shadow_chain": [[one] for one in shadowed],
        "tags": [[] for _ in number],
    }
    if texts:
        rows["messages"] = [
            json.dumps([{"role": "user", "content": f"What is {one} <b>plus</b> 1?"}]) for one in number
        ]
        rows["answer"] = [f"It is {one + 1} <script>alert(1)</script>" for one in number]
    return pd.DataFrame({one.name: rows.get(one.name, [None] * n) for one in fields(Trace)})


def _attempts(first: str, model: str | None, failing: bool, latency_s: float, cost_usd: float) -> Sequence[Any]:
    known = None if np.isnan(cost_usd) else float(cost_usd)
    last = {
        "model": model or "large",
        "deployment": model or "large",
        "verdict": "accepted" if model is not None else "failed" if failing else "cancelled",
        "error_kind": "server" if model is None and failing else None,
        "latency_s": float(latency_s),
        "cost_usd": known,
    }
    if not failing:
        return [last]
    return [{"model": first, "deployment": first, "verdict": "failed", "error_kind": "server", "latency_s": 0.1}, last]


def traces(frame: pd.DataFrame) -> Iterator[Trace]:
    """Gives the rows of a frame as the gateway would write them."""
    for row in frame.assign(at=frame["at"].dt.as_unit("us").astype("int64") / 1e6).to_dict("records"):
        known = {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
        texts = {name: json.loads(known[name]) if known[name] else None for name in ("features", "messages")}
        yield Trace(**{**known, **texts, "attempts": tuple(Attempt(**one) for one in known["attempts"])})
