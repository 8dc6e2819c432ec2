"""Traces beside the evidence of their rules, as rows of tables; without a widget."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from routebench.dash.figures import TOO_FEW, Figure, figure_text
from routebench.dash.format import UNKNOWN, money, percent, points, seconds
from routebench.dash.parts import Column
from routebench.drifting import Drift, Expected, Row, drift, expect
from routebench.drifting.labelling import REASONS
from routebench.evaluate import Outcomes
from routebench.evaluate.intervals import Interval
from routebench.evaluate.paired import MIN_CASES
from routebench.rules import RuleSet

DRIFT_COLUMNS = (
    Column("topic", "about"),
    Column("name", "figure"),
    Column("verdict", "verdict", help="drifted: it surely moved, by more than the bound, to where it harms"),
    Column("production", "production [95% CI]", "right", figure_text),
    Column("evidence", "evidence [95% CI]", "right", figure_text),
    Column("change", "change [95% CI]", "right", figure_text),
    Column("n", "requests", "right", lambda value: f"{value:,}"),
)
LABEL_COLUMNS = (
    Column("rule", "rule"),
    Column("model", "answered by"),
    Column("why", "why it is worth a label"),
    Column("trace", "trace"),
)
NEED_COLUMNS = (
    Column("kind", "rule, and length of the prompt"),
    Column("share", "share of requests", "right", percent),
    Column("have", "labelled cases", "right", lambda value: f"{value:,}"),
    Column("need", "needed", "right", lambda value: f"{value:,}", "to know the quality of production to 2 points"),
)
_WORDS = {"within": "within the bound", "cannot_tell": "cannot tell", "too_few": TOO_FEW}


class Evidence:
    """What traces are held against.

    Args:
        ruleset: the policy, with its own evidence.
        outcomes: of a suite, to replay it on; None for the figures in its file.

    Attributes:
        ruleset: as given.
    """

    def __init__(self, ruleset: RuleSet, outcomes: Outcomes | None = None) -> None:
        self.ruleset = ruleset
        self._outcomes = outcomes
        self._expected: Expected | None = None

    @property
    def cost_usd_per_1k(self) -> float | None:
        """What 1,000 requests cost by the rule set's file, None while unknown."""
        cost = self.ruleset.evidence.get("cost_usd_per_1k") or {}
        return cost.get("mean")

    def measure(self, traces: pd.DataFrame) -> Drift:
        """Holds traces against it, which takes its time.

        Raises:
            InputError: none of them was decided by this policy.
            OutcomesError: the suite lacks a model, or its prompts.
        """
        if self._outcomes is not None and self._expected is None:
            # Replayed once: the suite does not change while people look.
            self._expected = expect(self.ruleset, self._outcomes)
        return drift(traces, self.ruleset, self._expected)


def drift_rows(found: Drift) -> pd.DataFrame:
    """Returns a row of DRIFT_COLUMNS a figure; what drifted comes first."""
    ranked = sorted(found.rows, key=lambda row: (not row.harmful, row.verdict != "moved", not row.decides))
    rows = [
        (
            row.topic,
            row.name,
            _verdict(row),
            _figure(row, row.production, row.n),
            _figure(row, row.evidence, row.n_evidence or 0),
            _change(row),
            row.n,
        )
        for row in ranked
    ]
    return _frame(DRIFT_COLUMNS, rows, [f"{row.topic}: {row.name}" for row in ranked])


def label_rows(found: Drift) -> pd.DataFrame:
    """Returns a row of LABEL_COLUMNS a request that is worth a label, by its trace id, the most telling first."""
    rows = [
        (one.rule, one.model, "; ".join(REASONS[reason] for reason in one.reasons), one.trace_id)
        for one in found.label_next
    ]
    return _frame(LABEL_COLUMNS, rows, [one.trace_id for one in found.label_next])


def need_rows(found: Drift) -> pd.DataFrame:
    """Returns a row of NEED_COLUMNS a kind of request, the one that lacks most labelled cases first."""
    rows = [(one.name, one.share, one.have, one.need) for one in found.needs]
    return _frame(NEED_COLUMNS, rows, [one.name for one in found.needs])


def _verdict(row: Row) -> str:
    if row.verdict is None:
        return "nothing to compare with"
    if row.verdict == "moved":
        return "drifted" if row.harmful else "moved"
    return _WORDS[row.verdict]


def _figure(row: Row, one: Interval | None, n: int) -> Figure:
    if one is None:
        return Figure(None, UNKNOWN)
    bounds = one.ci95 if n >= MIN_CASES else None
    if row.unit == "share":
        return Figure(one.mean, percent(one.mean, bounds))
    if row.unit == "usd":
        return Figure(one.mean, money(one.mean, bounds))
    if row.unit == "s":
        around = "" if bounds is None else f" [{bounds[0]:.3g}, {bounds[1]:.3g}]"
        return Figure(one.mean, f"{seconds(one.mean)}{around}")
    around = "" if bounds is None else f" [{bounds[0]:,.3g}, {bounds[1]:,.3g}]"
    return Figure(one.mean, f"{one.mean:,.3g}{around}")


def _change(row: Row) -> Figure:
    if row.change is None:
        return Figure(None, UNKNOWN)
    if row.change_kind == "points":
        return Figure(row.change, points(row.change, row.change_ci95))
    if row.change_kind == "distance":
        chance = "" if row.by_chance is None else f", by chance up to {row.by_chance:.2f}"
        return Figure(row.change, f"distance {row.change:.2f}{chance}")
    # Whole numbers, so that what rounds to nothing is not written as -0.
    told = [round(100 * value) for value in (row.change, *(row.change_ci95 or ()))]
    around = f" [{told[1]:+d}, {told[2]:+d}]" if len(told) > 1 else ""
    return Figure(row.change, f"{told[0]:+d}%{around}")


def _frame(columns: Sequence[Column], rows: Sequence[tuple[object, ...]], index: Sequence[str]) -> pd.DataFrame:
    made = {column.name: pd.Series([row[place] for row in rows], dtype=object) for place, column in enumerate(columns)}
    return pd.DataFrame(made).set_axis(list(index))
