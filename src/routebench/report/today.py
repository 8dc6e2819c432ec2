"""The router that the team runs today, beside what it could run."""

from __future__ import annotations

from routebench.dash.format import money, percent, points
from routebench.evaluate import Comparison, Evaluation
from routebench.evaluate.examples import routed_badly
from routebench.report.blocks import Block, Grid, Section, Text
from routebench.report.cases import Examples
from routebench.report.told import Told


def today_section(told: Told) -> Section | None:
    """Returns the section about the recorded decisions; None where there are none."""
    comparison, today = told.comparison, told.comparison.today
    if today is None:
        return None
    rivals = [today.name, comparison.baseline, comparison.cheapest_model, told.pick.name]
    blocks: list[Block] = []
    if today.constant:
        blocks.append(
            Text(
                f"Constant router: {today.largest_share:.0%} of the requests go to "
                f"{today.most_sent(comparison.models)}. It costs and scores hardly anything else than that one model.",
                "grave",
            )
        )
    rows = [_row_beside(comparison, today, name) for name in dict.fromkeys(rivals)]
    mix = today.versus_fixed_mix
    if mix is not None:
        quality, cost = percent(today.shown_quality - mix.delta), money(today.shown_cost_usd_per_1k)
        rows.insert(1, ("the fixed mix at its cost", quality, cost, points(-mix.delta, _flip(mix.ci95))))
    blocks.append(
        Grid(
            ("", "quality [95% CI]", "$ per 1,000", "quality against today [95% CI]"),
            rows,
            caption="Paired on the same held-out cases of the first split.",
            marked=frozenset({0}),
        )
    )
    # What it gets wrong is seen best beside what could take its place.
    other = told.pick.name
    own, beside = today.first.replayed.score, comparison[other].first.replayed.score
    below, above = int((own < beside).sum()), int((own > beside).sum())
    counts = f"Of {comparison.n_test} held-out cases it scores below {other} on {below} and above it on {above}."
    blocks.append(Text(counts))
    return Section("The router of today", blocks)


def today_mistakes(told: Told, examples: Examples) -> Section | None:
    """Returns cases that it loses against what could take its place; None where there are none."""
    today, other = told.comparison.today, told.pick.name
    if today is None or not (cases := routed_badly(told.comparison, today.name, against=other)):
        return None
    return Section("What the router of today gets wrong", examples.blocks(cases, other))


def _row_beside(comparison: Comparison, today: Evaluation, name: str) -> tuple[str, ...]:
    names = {one.name for one in comparison.evaluations}
    one = comparison[name if name in names else f"always:{name}"]
    against = comparison.between(one.name, today.name)
    same = one.name == today.name or against.n_discordant == 0
    return (
        one.name,
        _quality(one),
        money(one.shown_cost_usd_per_1k),
        ("" if one.name == today.name else "same scores") if same else points(against.delta, against.ci95),
    )


def _flip(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if bounds is None else (-bounds[1], -bounds[0])


def _quality(one: Evaluation) -> str:
    return percent(one.shown_quality, None if one.quality_ci95 is None else one.quality_ci95.ci95)
