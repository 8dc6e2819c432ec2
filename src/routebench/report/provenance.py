"""Where the figures of a report are from, and how they were made."""

from __future__ import annotations

from routebench import __version__
from routebench.evaluate import Comparison
from routebench.report.blocks import Facts, Section, Text
from routebench.report.told import Told
from routebench.store import read_models


def provenance(told: Told) -> Section:
    """Returns the section about suite, prices, splits and methods."""
    comparison = told.comparison
    facts = {
        "suite": comparison.suite,
        "outcomes sha256": comparison.outcomes_sha256,
        "models": ", ".join(comparison.models),
        "splits": f"seeds {', '.join(map(str, comparison.seeds))}; half of the cases or groups each",
        "intervals": ", ".join(sorted({one.quality_ci95.method for one in comparison.evaluations if one.quality_ci95})),
        "comparisons": "Holm and max-T over the candidates; " + "; ".join(_methods(comparison)),
        "prices": _prices(told),
        "routebench": __version__,
    }
    method = (
        "Every strategy is fitted on one half of the cases and measured on the other; groups stay together. Intervals, "
        "tests, costs and the picture are of the first split; `mean of splits` and the figures of the literature are "
        "means over all of them. A failed request scores 0 and costs what it cost; unknown costs and scores stay "
        "unknown and are counted. Differences are paired on the same cases. Verdicts are adjusted for the number of "
        "strategies compared (Holm), intervals of differences hold for all of them at once (max-T); `no worse` means "
        f"less than {100 * comparison.margin:g} points lost. Fewer than 10 pairs that differ get no interval. "
        "AIQ is the area under a strategy's cost–quality hull (RouterBench, arXiv 2403.12031); the deployed gain is "
        "measured against the fixed mix chosen on train; the Arena score is RouterArena's (arXiv 2510.00202), APGR and "
        "CPT are RouteLLM's (arXiv 2406.18665)."
    )
    return Section("Provenance and method", [Facts(facts), Text(method, "soft")])


def _methods(comparison: Comparison) -> list[str]:
    return sorted({one.versus_baseline.method for one in comparison.evaluations if one.versus_baseline is not None})


def _prices(told: Told) -> str:
    if told.store is None:
        return "not told"
    found = {
        f"{model.price_source}{f' of {model.price_date}' if model.price_date else ''}"
        for model in read_models(told.store, told.comparison.suite)
        if model.price_source
    }
    return ", ".join(sorted(found)) or "as the outcomes tell their costs"
