"""The rows that the pictures of production read, with the words of their tooltips."""

from __future__ import annotations

import numpy as np
import pandas as pd

from routebench.dash.format import money, percent, seconds
from routebench.evaluate.paired import MIN_CASES

TIMES = ("p50", "p95", "first token p50")
"""The lines of the picture of times."""


def period_rows(totals: pd.DataFrame) -> pd.DataFrame:
    """Rows of `periods`: every stretch, with its requests."""
    return pd.DataFrame(
        {
            "name": totals["name"],
            "start_ms": totals["start_ms"],
            "end_ms": totals["end_ms"],
            "mid_ms": (totals["start_ms"] + totals["end_ms"]) / 2,
            "n": totals["n"],
            "none": 0,
            "when": totals["when"],
            "told": [f"{n:,} requests" for n in totals["n"]],
        }
    )


def mix_rows(periods: pd.DataFrame, models: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Rows of `mix` and `shifts`, from `Production.periods`."""
    own = periods[periods["model"].notna() & (periods["share"] > 0)]
    totals = periods[periods["model"].isna()].set_index("name")
    rank = {name: place for place, name in enumerate(models)}
    told = [
        f"{percent(share, None if np.isnan(low) else (low, high))} of {round(n / share):,} answered"
        for share, low, high, n in zip(own["share"], own["share_low"], own["share_high"], own["n"], strict=True)
    ]
    made = own.assign(rank=own["model"].map(rank), told=told).sort_values(["start_ms", "rank"], kind="stable")
    ends = made.groupby("name", sort=False)["share"].cumsum() if len(made) else made["share"]
    mixed = pd.DataFrame(
        {
            **{name: made[name] for name in ("name", "start_ms", "end_ms", "model", "told", "when")},
            "from": (ends - made["share"]).clip(lower=0),
            "to": ends.clip(upper=1),
        }
    )
    moved = totals[totals["shifted"] > 0].reset_index()
    shifts = pd.DataFrame(
        {
            "name": moved["name"],
            "mid_ms": (moved["start_ms"] + moved["end_ms"]) / 2,
            "at": 1.06,
            "when": moved["when"],
            "told": [
                f"health moved {n:,} of {of:,} requests" for n, of in zip(moved["shifted"], moved["n"], strict=True)
            ],
        }
    )
    return {"mix": mixed, "shifts": shifts}


def cost_rows(totals: pd.DataFrame, evidence: float | None) -> dict[str, pd.DataFrame]:
    """Rows of `costs` and `evidence`.

    Args:
        totals: of `Production`.
        evidence: US dollars for 1,000 requests by the rule set's own evidence, None while unknown.
    """
    told = [
        f"{money(None if np.isnan(mean) else mean, None if np.isnan(low) else (low, high))} per 1,000"
        + (f", {unknown:,} of unknown cost" if unknown else "")
        for mean, low, high, unknown in zip(
            totals["cost_usd_per_1k"], totals["cost_low"], totals["cost_high"], totals["n_cost_unknown"], strict=True
        )
    ]
    made = pd.DataFrame(
        {
            "name": totals["name"],
            "mid_ms": (totals["start_ms"] + totals["end_ms"]) / 2,
            "cost": totals["cost_usd_per_1k"],
            # Few requests leave a wide interval, which may not reach below nothing.
            "low": totals["cost_low"].clip(lower=0),
            "high": totals["cost_high"],
            "when": totals["when"],
            "told": told,
        }
    )
    said = [] if evidence is None else [(evidence, f"evidence {money(evidence)}")]
    return {"costs": made, "evidence": pd.DataFrame(said, columns=["cost", "told"])}


def time_rows(totals: pd.DataFrame) -> pd.DataFrame:
    """Rows of `times`: three a stretch; of fewer than 30 requests no 95th percentile is told."""
    # Of few requests the 95th percentile is the slowest one.
    few = totals["n"] < MIN_CASES
    found = totals.assign(latency_p95_s=totals["latency_p95_s"].where(~few))
    columns = ("latency_p50_s", "latency_p95_s", "ttft_p50_s")
    mid = (totals["start_ms"] + totals["end_ms"]) / 2
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "name": totals["name"],
                    "mid_ms": mid,
                    "what": what,
                    # A logarithm of nothing has no place.
                    "seconds": found[column].where(found[column] > 0),
                    "when": totals["when"],
                    "told": [f"{what}: {seconds(None if np.isnan(one) else one)}" for one in found[column]],
                }
            )
            for what, column in zip(TIMES, columns, strict=True)
        ],
        ignore_index=True,
    )


def incident_rows(found: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of `incidents` and `lanes`, from `Production.incidents`."""
    kinds = list(dict.fromkeys(found["what"]))
    lane = {what: place for place, what in enumerate(kinds)}
    most = {what: float(found.loc[found["what"] == what, "share"].max()) for what in kinds}
    floor = found["what"].map(lane).astype(float) + 0.95
    height = found["share"] / found["what"].map(most).astype(float)
    bars = found.assign(
        **{"from": floor - 0.85 * height, "to": floor},
        told=[f"{n:,} requests, {percent(share)}" for n, share in zip(found["n"], found["share"], strict=True)],
    )
    lanes = pd.DataFrame(
        [(f"{what} ≤ {_largest(most[what])}", place + 0.95) for what, place in lane.items()], columns=["what", "from"]
    )
    return {"incidents": bars, "lanes": lanes}


def _largest(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else percent(share)


def policy_rows(policies: pd.DataFrame) -> pd.DataFrame:
    """Rows of `policies`: a mark where another rule set begins to decide than the one before."""
    later = policies.iloc[1:]
    return pd.DataFrame(
        {
            "at_ms": later["from_ms"],
            "told": [f"{rules} {policy[:7]}" for rules, policy in zip(later["rules"], later["policy"], strict=True)],
        }
    )
