"""Arguments that several commands take, and how their texts are read."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_store(made: argparse.ArgumentParser, *, required: bool, suite: bool = False) -> None:
    """Adds the store, and with `suite` the name of a suite in it."""
    made.add_argument("--store", type=Path, required=required, help="the DuckDB file, or a pack (.rbpack)")
    made.add_argument("--lock-timeout-s", type=positive, default=30.0, help="wait so long for another process")
    if suite:
        made.add_argument("--prompts", type=Path, help="the suite's file, for a store or pack that keeps no texts")
        made.add_argument("--suite", required=required, help="the suite's name in the store")


def add_gates(made: argparse.ArgumentParser) -> None:
    """Adds the bounds that a rule set must keep."""
    made.add_argument("--min-quality", type=share, help="lowest mean score")
    made.add_argument("--max-cost-usd-per-1k", type=positive, help="highest mean cost of 1,000 requests")
    made.add_argument("--max-latency-p95-s", type=positive, help="highest 95th percentile of latency")


def positive(text: str) -> float:
    """Reads a number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def count(text: str) -> int:
    """Reads a whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def share(text: str) -> float:
    """Reads a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def seeds(text: str) -> tuple[int, ...]:
    """Reads whole numbers with commas between."""
    return tuple(int(part) for part in text.split(","))
