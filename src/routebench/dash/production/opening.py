"""Opening the traces of a gateway."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from routebench.dash.production.evidence import Evidence
from routebench.dash.production.panel import ProductionPanel
from routebench.dash.production.sources import open_source
from routebench.dash.production.state import Production
from routebench.errors import InputError
from routebench.evaluate import Outcomes
from routebench.rules import RuleSet


def production(
    traces: str | Path | pd.DataFrame,
    rules: RuleSet | str | Path | None = None,
    outcomes: Outcomes | None = None,
) -> ProductionPanel:
    """Returns the panel of what a gateway served; the last expression of a cell displays it.

    Args:
        traces: the folder that a gateway writes to, also while it does and before it has begun; a Parquet file; or what
            `read_traces` returns.
        rules: a rule set, or the path of a rules.yaml, whose evidence the traces are held against.
        outcomes: of the suite that it was measured on, such as `bench.outcomes()`: then mix, rules and prompts are held
            against those of its cases too, and not only against the figures in the file.

    Raises:
        InputError: these are no traces, or there are outcomes but no rules.
        RulesError: the rules.yaml cannot be used.
    """
    return prepared(traces, rules, outcomes)()


def prepared(
    traces: str | Path | pd.DataFrame,
    rules: RuleSet | str | Path | None = None,
    outcomes: Outcomes | None = None,
) -> Callable[[], ProductionPanel]:
    """Does what of `production` takes its time, and returns what makes the panel."""
    if rules is None and outcomes is not None:
        raise InputError("outcomes are held against nothing; give the rules.yaml that decided, too")
    ruleset = rules if rules is None or isinstance(rules, RuleSet) else RuleSet.load(rules)
    what = "traces" if isinstance(traces, pd.DataFrame) else repr(str(traces))
    given = "" if rules is None else f", {'rules' if isinstance(rules, RuleSet) else repr(str(rules))}"
    beside = "" if outcomes is None else ", outcomes=bench.outcomes()"
    code = f"panel = rb.production({what}{given}{beside})"
    evidence = None if ruleset is None else Evidence(ruleset, outcomes)
    state = Production(open_source(traces))
    state.look()
    return partial(ProductionPanel, state, evidence=evidence, code=code)
