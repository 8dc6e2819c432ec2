"""From recorded decisions to the panel: rules are read, or tuned for the money that the router of today costs."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from IPython import get_ipython
from IPython.display import HTML, display

from routebench.dash.today.panel import TodayPanel
from routebench.dash.today.state import Standing

if TYPE_CHECKING:
    from routebench.bench import Bench
    from routebench.rules import RuleSet
    from routebench.strategies import Decisions
    from routebench.tune import Tuned

_SEED = 42


def today(
    bench: Bench | str | Path,
    decisions: str | Path | Decisions,
    *,
    rules: str | Path | RuleSet | Tuned | None = None,
    requests_per_month: float | None = None,
) -> TodayPanel:
    """Returns the panel of the router of today beside a rule set; the last expression of a cell displays it.

    Args:
        bench: whose outcomes both are replayed on; or the path of a bench.yaml.
        decisions: what the router of today decided for the suite's cases, as `routebench decisions` records it.
        rules: a rules.yaml, a rule set or what `bench.tune` gave; when left out one is tuned for the best quality at no
            more than the router of today costs.
        requests_per_month: for the money of a month.

    Raises:
        OutcomesError: the decisions are of another suite or other models.
    """
    from routebench.bench import opened

    return TodayPanel(stand(opened(bench), decisions, rules=rules, requests_per_month=requests_per_month))


def stand(
    bench: Bench,
    decisions: str | Path | Decisions,
    *,
    rules: str | Path | RuleSet | Tuned | None = None,
    requests_per_month: float | None = None,
) -> Standing:
    """Returns what the panel shows, which takes its time: `today` without a widget."""
    from routebench.strategies import Decisions, RulesFile
    from routebench.tune import Tuned

    router = decisions if isinstance(decisions, Decisions) else Decisions(decisions)
    if rules is None:
        with waiting("Tuning rules for what the router of today costs: some seconds …"):
            tuned = bench.tune(seed=_SEED, beside=[router], max_cost_usd_per_1k=_cost_of(bench, router))
        return Standing(tuned.comparison, tuned.own.name, requests_per_month=requests_per_month)
    own = RulesFile(rules.ruleset if isinstance(rules, Tuned) else rules)
    comparison = bench.compare([router, own], seeds=(_SEED,))
    return Standing(comparison, own.name, requests_per_month=requests_per_month)


def _cost_of(bench: Bench, router: Decisions) -> float | None:
    """What 1,000 requests cost with the router of today, on the training half; None while unknown."""
    from routebench.evaluate import replay
    from routebench.evaluate.frontier import weighted_mean
    from routebench.evaluate.splits import split

    outcomes = bench.outcomes()
    train = outcomes.take(split(outcomes, _SEED)[0])
    router.fit(train)
    cost = weighted_mean(replay(train, router.peek(train)[0]).cost_usd, train.weight)
    return None if cost is None else 1000 * cost


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Says below the cell that runs what it waits for, until that is done.

    Nothing is said outside of a notebook, nor on a thread: there no cell waits, and who started it says so.
    """
    if get_ipython() is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    line = display(HTML(f"<span role='status'>{html.escape(text)}</span>"), display_id=True)
    try:
        yield
    finally:
        line.update(HTML(""))
