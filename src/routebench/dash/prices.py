"""The rows of what is priced: a plan's lines, the models of the price book, and what other prices would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from routebench.dash.format import UNKNOWN, duration, money
from routebench.pricing import BookEntry, Retirement
from routebench.run import Plan
from routebench.types import Price, PriceTier

if TYPE_CHECKING:
    from routebench.repricing import PriceChange

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
BOOK_COLUMNS = (
    "model",
    "provider",
    "input $/M",
    "output $/M",
    "cached $/M",
    "window",
    "max output",
    "end",
    "from",
)
CHANGE_COLUMNS = (
    "model",
    "answers",
    "before per 1,000",
    "after per 1,000",
    "change",
    "unknown before",
    "unknown after",
)


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


@dataclass(frozen=True, slots=True)
class BookTable:
    """Models of the price book as text.

    Attributes:
        rows: of BOOK_COLUMNS: a model each, followed by one for every tier of longer prompts and for every snapshot
            that ends on another day.
        notes: where the figures are from, in the order of the numbers that the rows hold.
    """

    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str]


def book_table(entries: Sequence[BookEntry], today: date) -> BookTable:
    """Returns models of the price book as text, with how far off their ends are."""
    notes: dict[str, str] = {}

    def note(text: str) -> str:
        return notes.setdefault(text, f"[{len(notes) + 1}]")

    rows: list[tuple[str, ...]] = []
    for entry in entries:
        priced = note(f"{entry.source}, {entry.price_date.isoformat()}: prices and windows")
        ends = end(entry.retirement, today, announced=bool(entry.deprecated))
        rows.append(
            (
                entry.model,
                entry.book,
                *_rates(entry.price),
                UNKNOWN if entry.context_window is None else f"{entry.context_window:,}",
                UNKNOWN if entry.max_output is None else f"{entry.max_output:,}",
                ends,
                f"{priced} {note(str(entry.retirement))}" if ends and entry.retirement else priced,
            )
        )
        rows += [
            (f"  above {tier.above_input_tokens:,} tokens", "", *_rates(tier), *[""] * 4) for tier in entry.price.tiers
        ]
        told = [(model, end(one, today), one) for model, one in entry.snapshots.items()]
        rows += [(f"  {model}", *[""] * 6, when, note(str(one))) for model, when, one in told if when]
    return BookTable(rows, [f"{number} {text}" for text, number in notes.items()])


def _rates(rates: Price | PriceTier) -> tuple[str, str, str]:
    return money(rates.input_usd_per_mtok), money(rates.output_usd_per_mtok), money(rates.cached_input_usd_per_mtok)


def end(told: Retirement | None, today: date, *, announced: bool = False) -> str:
    """When a model ends, in words: `2026-12-11, in 16 days`, `since 2026-08-05`, `not before 2027-02-05`.

    Args:
        told: what its provider's page says, None where it says nothing.
        today: the day to count from.
        announced: whether the price book calls the model deprecated; it knows no days.
    """
    if told is None or told.retires is None:
        # A promise that has run out says nothing any more.
        soonest = None if told is None else told.not_before
        if soonest is not None and soonest > today:
            return f"not before {soonest.isoformat()}"
        return "announced" if announced else ""
    days = (told.retires - today).days
    if days <= 0:
        return f"since {told.retires.isoformat()}"
    return f"{told.retires.isoformat()}, in {days} day{'s' if days > 1 else ''}"


def change_rows(changes: Sequence[PriceChange]) -> list[tuple[str, ...]]:
    """Rows of CHANGE_COLUMNS, a model each."""
    return [
        (
            change.model,
            f"{change.answers:,}",
            money(change.before_usd_per_1000),
            money(change.after_usd_per_1000),
            UNKNOWN if change.change_percent is None else f"{change.change_percent:+.1f}%",
            f"{change.n_unknown_before:,}",
            f"{change.n_unknown_after:,}",
        )
        for change in changes
    ]
