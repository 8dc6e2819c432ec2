"""What the guards of a rule set cost and bring, and what those of protected classes recognise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routebench.dash.format import UNKNOWN, money, percent, points
from routebench.report.blocks import Block, Grid, Section, Text
from routebench.report.told import Told
from routebench.tune import HeldOut, Insurance, insure

_COVER_COLUMNS = (
    "guard",
    "holds for",
    "$ per 1,000 with it",
    "without it",
    "what it costs [95% CI]",
    "quality of all [95% CI]",
    "of its own cases [95% CI]",
)
_CLASS_COLUMNS = ("protected class", "asked for", "out of fold", "at least", "held out [95% CI]", "false alarms")


def insurance_section(told: Told) -> Section | None:
    """Returns what insurance costs; None where there are no guards, or nobody tells of a rule set."""
    insurance = told.insurance
    if insurance is None and told.tuned is not None:
        half = told.tuned.comparison.half
        insurance = insure(told.tuned.ruleset, half.train, half.test)
    if insurance is None:
        return None
    blocks: list[Block] = [Text(warning, "grave") for warning in insurance.warnings]
    blocks.append(_covers(insurance))
    if insurance.classes:
        blocks.append(_classes(insurance))
    return Section("What insurance costs", blocks)


def _covers(insurance: Insurance) -> Grid:
    shown = insurance.guards if len(insurance.guards) == 1 else (*insurance.guards, insurance.together)
    rows = []
    for one in shown:
        document = one.as_dict()
        whole, part = document["overall"], document["inside"]
        rows.append(
            (
                one.name if one.label is None else f"{one.name} ({one.label})",
                percent(one.share),
                *_costs(whole["cost_usd_per_1k"]),
                _gain(whole["quality"]),
                f"{_gain(part['quality'])} on {part['n']:,}",
            )
        )
    caption = "The same rule set on the same held-out cases, with a guard and without it; all others stay."
    return Grid(_COVER_COLUMNS, rows, caption=caption)


def _costs(cost: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if cost is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    bounds = "" if cost["ci95"] is None else f" [{', '.join(_signed(bound) for bound in cost['ci95'])}]"
    return money(cost["with"]), money(cost["without"]), f"{_signed(cost['delta'])}{bounds}"


def _gain(quality: Mapping[str, Any] | None) -> str:
    return UNKNOWN if quality is None else points(quality["delta"], quality["ci95"])


def _signed(value: float) -> str:
    return money(value) if value >= 0 else f"-{money(-value)}"


def _classes(insurance: Insurance) -> Grid:
    rows = [_class(one) for one in insurance.classes]
    caption = (
        "Share of the class that its guard recognises. False alarms: of the other held-out requests, the share that it "
        "holds for too."
    )
    return Grid(_CLASS_COLUMNS, rows, caption=caption)


def _class(one: HeldOut) -> tuple[str, ...]:
    protected, recall = one.protected, one.recall
    if protected.exact:
        return (protected.protection.label, "all", "all", "all", "all", "none")
    held_out = UNKNOWN if recall is None else percent(recall.share, one.ci95)
    alarms = UNKNOWN if recall is None else percent(recall.alarms)
    known = protected.recall
    asked = percent(protected.protection.min_recall)
    return (protected.protection.label, asked, percent(known.share), percent(known.low), held_out, alarms)
