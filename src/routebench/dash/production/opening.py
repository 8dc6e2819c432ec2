"""Opening the traces of a gateway."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from routebench.dash.production.panel import ProductionPanel
from routebench.dash.production.sources import open_source
from routebench.dash.production.state import Production
from routebench.rules import RuleSet


def production(
    traces: str | Path | pd.DataFrame, rules: RuleSet | str | Path | None = None
) -> ProductionPanel:
    """Returns the panel of what a gateway served; the last expression of a cell displays it.

    Args:
        traces: the folder that a gateway writes to, also while it does and before it has begun; a Parquet file; or what
            `read_traces` returns.
        rules: a rule set, or the path of a rules.yaml, whose evidence the traces are held against.

    Raises:
        InputError: these are no traces.
        RulesError: the rules.yaml cannot be used.
    """
    ruleset = rules if rules is None or isinstance(rules, RuleSet) else RuleSet.load(rules)
    what = "traces" if isinstance(traces, pd.DataFrame) else repr(str(traces))
    given = "" if rules is None else f", {'rules' if isinstance(rules, RuleSet) else repr(str(rules))}"
    code = f"panel = rb.production({what}{given})"
    return ProductionPanel(Production(open_source(traces)), rules=ruleset, code=code)
