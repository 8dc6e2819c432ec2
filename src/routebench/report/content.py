"""What stands in a report, and in which order: the findings first, what they rest on last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from routebench.dash.charts import cost_quality, model_mix
from routebench.dash.format import UNKNOWN, percent, points, seconds
from routebench.dash.tables import (
    COMPARISON_COLUMNS,
    chart_hull,
    chart_points,
    comparison_rows,
    is_logarithmic,
    mix_frame,
    mix_rows,
)
from routebench.evaluate import Comparison, Evaluation
from routebench.evaluate.examples import routed_badly, routed_well
from routebench.evaluate.paired import MIN_CASES
from routebench.report.bill import bill
from routebench.report.blocks import Block, Figure, Grid, Page, Points, Section, Source, Text
from routebench.report.cases import Examples
from routebench.report.damage import damage_section
from routebench.report.insurance import insurance_section
from routebench.report.provenance import provenance
from routebench.report.today import today_mistakes, today_section
from routebench.report.told import Told

_GOLDEN_SHOWN = 3
_SLICES_SHOWN = 5


def make_page(told: Told) -> Page:
    """Returns the report's content, the same for every format."""
    comparison = told.comparison
    n_seeds = len(comparison.seeds)
    examples = Examples(told)
    made = (
        today_section(told),
        _picture(comparison),
        _numbers(told),
        bill(comparison, told.traffic),
        insurance_section(told),
        damage_section(comparison),
        _where(comparison, told.pick),
        _slices(told),
        today_mistakes(told, examples),
        examples.section("Mistakes worth reading", routed_badly(comparison, told.pick.name), told.pick),
        examples.section("Routed well", routed_well(comparison, told.pick.name), told.pick),
        _rule_set(told),
        _literature(comparison),
        provenance(told),
    )
    return Page(
        title=f"Which rules are right for {comparison.suite}",
        subtitle=(
            f"{comparison.n_cases} cases, {len(comparison.models)} models, {n_seeds} half-and-half "
            f"split{'s' if n_seeds > 1 else ''}; baseline {comparison.baseline}"
        ),
        demo=told.demo,
        opening=_opening(told),
        sections=[section for section in made if section is not None],
    )


def _opening(told: Told) -> list[Block]:
    readings = told.comparison.readings
    blocks: list[Block] = [Text(one.text, "grave" if one.grave else "finding") for one in readings if one.is_finding]
    if told.tuned is not None:
        blocks.append(Text(told.tuned.found.why))
    blocks.append(Points([(one.text, one.grave) for one in readings if not one.is_finding]))
    return blocks


def _picture(comparison: Comparison) -> Section:
    drawn, hidden = chart_points(comparison)
    picture = cost_quality(drawn, chart_hull(comparison), reading=comparison.reading, log=is_logarithmic(drawn))
    remark = (
        "Dashed: what a fixed mix of two single models reaches, with its 95 % ribbon; a router has to be above it to "
        "earn its keep. Bars: 95 % intervals over held-out cases of the first split. The oracle sees every outcome: an "
        "upper bound, no candidate."
    )
    if hidden:
        remark += f" Not drawn, because they have no price or fail more than half the cases: {', '.join(hidden)}."
    return Section("Cost and quality", [Figure(picture.svg(), picture.reading), Text(remark, "soft")])


def _numbers(told: Told) -> Section:
    comparison = told.comparison
    rows = comparison_rows(comparison)
    caption = f"Held out: {comparison.n_test} cases; {comparison.n_left_out} left out for lack of outcomes."
    if comparison.agreement is not None:
        caption += f" Scores rest on a {comparison.agreement}."
    marked = frozenset(place for place, one in enumerate(comparison.evaluations) if one.name == told.pick.name)
    blocks: list[Block] = [Grid(COMPARISON_COLUMNS, rows, caption=caption, marked=marked)]
    blocks += [Text(f"{one.name}: {one.judged}.", "soft") for one in (told.pick,) if one.judged is not None]
    if told.notes:
        blocks.append(Text(told.notes, "soft"))
    return Section("The numbers", blocks)


def _where(comparison: Comparison, pick: Evaluation) -> Section:
    names = [one.name for one in comparison.evaluations if one.kind != "model" and one.name != "cheapest"]
    reading = "Share of held-out requests that each model answers"
    labels = [*comparison.models, "no answer"]
    rows = [(name, *(percent(share) for share in shares)) for name, shares in mix_rows(comparison, names)]
    blocks: list[Block] = [
        Figure(model_mix(mix_frame(comparison, names), reading=reading).svg(), reading),
        Grid(("strategy", *labels), rows, folded="The same as numbers"),
    ]
    for one in {one.name: one for one in (pick, comparison.today) if one is not None}.values():
        by_category = _mix_by_category(comparison, one)
        if by_category:
            blocks.append(
                Grid(("category", "cases", *labels), by_category, folded=f"By category: where {one.name} sends them")
            )
    return Section("Where the requests go", blocks)


def _mix_by_category(comparison: Comparison, one: Evaluation) -> list[tuple[str, ...]]:
    labels, weight = comparison.half.test.cases.category, comparison.half.test.weight
    rows = []
    for label in np.unique(labels[labels != ""]):
        inside = labels == label
        shares = np.average(one.first.replayed.answered_by[inside], axis=0, weights=weight[inside])
        told = [percent(float(share)) for share in (*shares, 1 - shares.sum())]
        rows.append((str(label), str(int(inside.sum())), *told))
    return rows


def _slices(told: Told) -> Section | None:
    comparison = told.comparison
    shown = [one for one in comparison.evaluations if one.kind in ("strategy", "today")]
    blocks: list[Block] = []
    worst = [(one, part) for one in shown for part in one.slices[: _SLICES_SHOWN if one.name == told.pick.name else 1]]
    if worst:
        n_slices, n_small = worst[0][1].n_slices, worst[0][1].n_too_small
        blocks.append(
            Grid(
                ("strategy", "slice", "cases", f"against {comparison.baseline} [95% CI]"),
                [(one.name, part.name, str(part.n), points(part.delta, part.ci95)) for one, part in worst],
                caption=f"Slices with enough cases: {n_slices}, the worst first; intervals simultaneous over them. "
                f"With fewer than {MIN_CASES} held-out cases, too few to judge: {n_small}.",
            )
        )
    labels = comparison.half.test.cases.category
    names = [one.name for one in comparison.evaluations if one.kind != "model"]
    categories = [str(label) for label in np.unique(labels[labels != ""])]
    if categories:
        counts = [int((labels == label).sum()) for label in categories]
        rows = [
            (label, str(count), *(percent(_mean(comparison, name, labels == label)) for name in names))
            for label, count in zip(categories, counts, strict=True)
        ]
        faint = frozenset(place for place, count in enumerate(counts) if count < MIN_CASES)
        caption = f"Mean score on held-out cases of the first split. Grey: fewer than {MIN_CASES} cases."
        blocks.append(Grid(("category", "cases", *names), rows, caption=caption, faint=faint))
    return Section("By category and slice", blocks) if blocks else None


def _mean(comparison: Comparison, name: str, inside: Any) -> float:
    return float(np.average(comparison[name].first.replayed.score[inside], weights=comparison.half.test.weight[inside]))


def _rule_set(told: Told) -> Section | None:
    # Its keywords come from prompts.
    if told.tuned is None or told.share:
        return None
    golden = told.tuned.ruleset.golden
    text = replace(told.tuned.ruleset, golden=golden[:_GOLDEN_SHOWN]).to_yaml()
    if len(golden) > _GOLDEN_SHOWN:
        text += f"# … and {len(golden) - _GOLDEN_SHOWN} more"
    return Section("The rule set", [Source(text)])


def _literature(comparison: Comparison) -> Section:
    columns = [
        "strategy",
        "AIQ",
        "deployed gain",
        "regret",
        "match cost",
        "Arena score",
        "p50",
        "p95",
        "score when answered",
    ]
    two = len(comparison.models) == 2
    rows = []
    for row in comparison.as_dict()["strategies"]:
        cells = [
            row["name"],
            _decimal(row["aiq"]),
            _decimal(row["deployed_gain"], sign=True),
            _decimal(row["regret"]),
            percent(row["match_cost"]),
            _decimal(row["arena_score"]),
            seconds(row["latency_p50_s"]),
            seconds(row["latency_p95_s"]),
            percent(row["score_when_answered"]),
        ]
        rows.append([*cells, *(_decimal(row["apgr"]), percent(row["cpt50"]), percent(row["cpt80"]))] if two else cells)
    columns += ["APGR", "CPT50", "CPT80"] if two else []
    aiqs = [value for value in comparison.zero_aiq if value is not None]
    zero = _decimal(float(np.mean(aiqs)) if aiqs else None)
    caption = (
        f"Means over {len(comparison.seeds)} splits. Zero router (hull of the single models on the test half): {zero}."
    )
    return Section("In the figures of the literature", [Grid(columns, rows, caption=caption, folded="AIQ and others")])


def _decimal(value: float | None, *, sign: bool = False) -> str:
    return UNKNOWN if value is None else f"{value:+.3f}" if sign else f"{value:.3f}"
