"""The rows of what is priced: a plan's lines, and the models of the price book."""

from __future__ import annotations

from collections.abc import Sequence

from routebench.dash.format import UNKNOWN, duration, money
from routebench.pricing import BookEntry
from routebench.run import Plan

PLAN_COLUMNS = (
    "model",
    "for",
    "cells",
    "known",
    "to send",
    "input tokens",
    "output at most",
    "at least",
    "at most",
    "time",
    "price",
)
BOOK_COLUMNS = ("provider", "model", "input $/M", "output $/M", "cached $/M", "window", "end", "source")


def plan_rows(plan: Plan) -> list[tuple[str, ...]]:
    """Rows of PLAN_COLUMNS, a model and purpose each."""
    return [
        (
            line.name,
            line.purpose,
            str(line.cells),
            str(line.answered + line.kept_errors),
            str(line.calls),
            f"{line.input_tokens:,}",
            UNKNOWN if line.output_tokens is None else f"{line.output_tokens:,}",
            money(line.cost_low_usd),
            money(line.cost_high_usd),
            duration(line.time_s),
            _price(line.price_source, line.price_date),
        )
        for line in plan.lines
    ]


def _price(source: str | None, day: str | None) -> str:
    if source is None:
        return "n/a (no price)"
    return source if day is None else f"{source}, {day}"


def book_rows(entries: Sequence[BookEntry]) -> list[tuple[str, ...]]:
    """Rows of BOOK_COLUMNS, a model each."""
    return [
        (
            entry.book,
            entry.model,
            money(entry.price.input_usd_per_mtok) + ("+" if entry.price.tiers else ""),
            money(entry.price.output_usd_per_mtok),
            money(entry.price.cached_input_usd_per_mtok),
            UNKNOWN if entry.context_window is None else f"{entry.context_window:,}",
            "announced" if entry.deprecated else "",
            _price(entry.source, entry.price_date.isoformat()),
        )
        for entry in entries
    ]
