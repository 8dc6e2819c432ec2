"""What the wrong answers of every strategy are expected to cost."""

from __future__ import annotations

from routebench.dash.format import UNKNOWN, money
from routebench.evaluate import Comparison, damage_of
from routebench.report.blocks import Block, Grid, Section, Text


def damage_section(comparison: Comparison) -> Section | None:
    """Returns the expected damage of every strategy; None where no held-out case has stakes."""
    test = comparison.half.test
    found = {
        one.name: damage_of(one.first.replayed.score, test.cases.stakes_usd, test.weight)
        for one in comparison.evaluations
    }
    n, n_unknown = max(((one.n, one.n_unknown) for one in found.values()), default=(0, 0))
    if not n:
        return None
    rows = []
    for one in comparison.evaluations:
        damage, cost = found[one.name].usd_per_1k, one.shown_cost_usd_per_1k
        rows.append((one.name, UNKNOWN if damage is None else money(damage), money(cost)))
    caption = f"Per 1,000 requests, over the {n:,} held-out cases of the first split whose stakes are known."
    blocks: list[Block] = [Grid(("strategy", "expected damage", "price of the answers"), rows, caption=caption)]
    if n_unknown:
        blocks.append(
            Text(
                f"Of {n_unknown:,} held-out cases nobody said what a wrong answer costs: they are left out, not taken "
                "to cost nothing.",
                "soft",
            )
        )
    return Section("What wrong answers cost", blocks)
