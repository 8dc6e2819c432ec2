"""What stands around the picture of a comparison: badges, notices, how to read it, what it rests on."""

from __future__ import annotations

import html

from routebench import __version__
from routebench.dash.charts import has_place
from routebench.dash.comparing.state import EVERYTHING, Compared
from routebench.evaluate import Comparison


def badges(state: Compared) -> str:
    """Returns what every number rests on, and what must not be missed, as HTML."""
    told = [f"n={state.shown.n_test:,} held-out cases", state.family]
    if state.comparison.n_left_out:
        told.append(f"{state.comparison.n_left_out:,} left out for lack of outcomes")
    if state.comparison.agreement is not None:
        told.append(state.comparison.agreement)
    badges = "".join(f"<span class='rb-badge'>{html.escape(text)}</span>" for text in told)
    notices = "".join(f"<li>{html.escape(text)}</li>" for text in state.notices)
    return f"<div>{badges}</div>" + (f"<ul class='rb-notices'>{notices}</ul>" if notices else "")


def remark(state: Compared) -> str:
    """Returns how the picture is to be read."""
    points, hidden = state.points()
    told = []
    if not has_place(points, state.along):
        told.append("Bars: 95% intervals. The oracle sees every outcome: an upper bound, no candidate.")
    elif state.along == "cost":
        told.append(
            "Dashed: what a fixed mix of two single models reaches, with its 95% ribbon; a router has to be above it. "
            "Crosses: 95% intervals of each alone, so overlap decides nothing: the verdicts do. The oracle sees every "
            "outcome: an upper bound."
        )
        if state.log and not state.is_log:
            told.append("Linear, since something costs nothing.")
    else:
        told.append(
            "No mixes are drawn here: quantiles of times do not mix as costs do. Bars: 95% intervals of scores."
        )
    if hidden:
        told.append(f"Not drawn, without a price or failing more than half the cases: {', '.join(hidden)}.")
    return " ".join(told)


def footer(comparison: Comparison) -> str:
    """Returns suite, outcomes, splits and methods."""
    seeds = ", ".join(map(str, comparison.seeds))
    base = comparison[comparison.baseline]
    methods = [one.versus_baseline.method for one in comparison.evaluations if one.versus_baseline is not None]
    interval = "" if base.quality_ci95 is None else f"intervals of scores: {base.quality_ci95.method}; "
    method = f"differences: paired, {', '.join(dict.fromkeys(methods))}; " if methods else ""
    return (
        f"Suite {comparison.suite}, outcomes {comparison.outcomes_sha256[:12]}; half-and-half splits by seed {seeds}, "
        f"figures and cases of the first; {interval}{method}routebench {__version__}"
    )


def code(state: Compared) -> str:
    """Returns the Python that shows the same."""
    comparison = state.comparison
    names = [one.name for one in comparison.evaluations if one.kind in ("strategy", "today")]
    lines = [
        "import routebench as rb",
        "",
        'bench = rb.Bench("bench.yaml")',
        f"comparison = bench.compare({names!r}, seeds={list(comparison.seeds)}, baseline={comparison.baseline!r})",
        "panel = rb.compare(comparison)",
    ]
    if state.baseline != comparison.baseline:
        lines.append(f"panel.hold_against({state.baseline!r})")
    if state.part != EVERYTHING:
        lines.append(f"panel.look_at({state.part!r})")
    lines += [f"panel.select({list(state.selection)!r})", "panel.cases"]
    return "\n".join(lines)
