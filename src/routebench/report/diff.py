"""The comparison of two rule sets as tables, and as the text of a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.diffing import RulesDiff
from routebench.errors import InputError
from routebench.evaluate.examples import RoutedCase
from routebench.evaluate.intervals import Interval
from routebench.messages import last_user_text
from routebench.report.cases import sentence

_SLICES_SHOWN = 5
_FLOWS_SHOWN = 8
_FLOWS_WORTH_A_TABLE = 3
_PUBLIC = "public"
_PROMPT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class DiffTable:
    """A small table.

    Attributes:
        folded: whether a reader opens it first.
        worded: whether its cells are sentences, no numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    folded: bool = False
    worded: bool = False


def diff_tables(diff: RulesDiff) -> list[DiffTable]:
    """Returns the figures, the slices and the harmed cases; without those that have no row."""
    tables = [
        DiffTable("Figures", ("", "old", "new", "difference [95% CI]"), _figures(diff)),
        DiffTable("Moved cases", ("first model", "cases", "requests"), _flows(diff), folded=True),
        DiffTable("Slices, worst first", ("slice", "cases", "difference [95% CI]"), _slices(diff), folded=True),
        DiffTable("Most harmed cases", ("case", "what happened"), _harmed(diff), folded=True, worded=True),
    ]
    return [table for table in tables if table.rows]


def diff_markdown(diff: RulesDiff, *, allowed: bool = False) -> str:
    """Returns the Markdown of a pull request.

    Args:
        diff: what is told.
        allowed: whether loosened guards were asked for.
    """
    from routebench.report.render import render

    grave = [one.text for one in diff.readings if one.topic == "guards" and one.grave]
    page: Any = {
        "title": f"Routing rules: {Path(diff.new).name} against {Path(diff.old).name} on {diff.suite}",
        "heading": "Guards were loosened, as asked for." if allowed else "Guards were loosened.",
        "loosened": grave if diff.loosened else [],
        "findings": [
            (one.text, one.grave)
            for one in diff.readings
            if one.topic != "file" and not (diff.loosened and one.topic == "guards" and one.grave)
        ],
        "tables": diff_tables(diff),
        "changes": [one.text for one in diff.readings if one.topic == "file"],
        "foot": "Replayed on recorded outcomes; no model was called. Differences are new less old on the same cases.",
    }
    return render(page, "diff.md.j2")


def write_diff(path: str | Path, diff: RulesDiff, *, allowed: bool = False) -> Path:
    """Writes the Markdown of a pull request and returns its path.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(diff_markdown(diff, allowed=allowed), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
    return path


def _figures(diff: RulesDiff) -> list[tuple[str, ...]]:
    moved = diff.moved
    quality = moved.quality or (None, None)
    delta = None if moved.quality is None else moved.scores.delta
    cost = (None, None) if moved.cost_usd is None else tuple(1000 * value for value in moved.cost_usd)
    times = (None, None) if moved.tail is None else (moved.tail.before_s, moved.tail.after_s)
    return [
        ("quality", percent(quality[0]), percent(quality[1]), points(delta, moved.scores.ci95)),
        ("cost of 1,000 requests", money(cost[0]), money(cost[1]), _change(moved.cost_change)),
        (
            "p95 latency",
            seconds(times[0]),
            seconds(times[1]),
            _gap(None if moved.tail is None else moved.tail.difference),
        ),
        (
            "first model moves",
            "",
            f"{moved.n_first} of {moved.n}",
            f"{moved.requests_first / moved.requests:.1%} of requests",
        ),
    ]


def _change(one: Interval | None) -> str:
    if one is None:
        return UNKNOWN
    return f"{one.mean:+.1%}" + (f" [{one.ci95[0]:+.1%}, {one.ci95[1]:+.1%}]" if one.ci95 else "")


def _gap(one: Interval | None) -> str:
    if one is None:
        return UNKNOWN
    return f"{one.mean:+.2g} s" + (f" [{one.ci95[0]:+.2g}, {one.ci95[1]:+.2g}]" if one.ci95 else "")


def _flows(diff: RulesDiff) -> list[tuple[str, ...]]:
    if len(diff.moved.flows) < _FLOWS_WORTH_A_TABLE:
        return []
    return [
        (f"{one.before or 'no model'} → {one.after or 'no model'}", str(one.n), f"{one.requests:g}")
        for one in diff.moved.flows[:_FLOWS_SHOWN]
    ]


def _slices(diff: RulesDiff) -> list[tuple[str, ...]]:
    return [(one.name, str(one.n), points(one.delta, one.ci95)) for one in diff.moved.slices[:_SLICES_SHOWN]]


def _harmed(diff: RulesDiff) -> list[tuple[str, ...]]:
    return [(one.case.id, f"{sentence(one, 'the old rules')}{_prompt(one)}") for one in diff.moved.harmed]


def _prompt(one: RoutedCase) -> str:
    """What was asked, of a case that its suite calls public; of others nobody said that it may be shown."""
    if _PUBLIC not in one.case.tags:
        return ""
    asked = " ".join(last_user_text(one.case.request.messages).split())
    return f" Asked: {asked[:_PROMPT_CHARACTERS]}"
