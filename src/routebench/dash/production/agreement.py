"""How often a rule set in the shadow would have asked the same model first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from routebench.dash.production.log import NONE, Log
from routebench.evaluate.intervals import mean_interval


def agreement(log: Log) -> pd.DataFrame:
    """Returns a row a rule: rule, n, agree with low and high, differ, and the pair of models it differs in most."""
    served = log.served
    beside = ~np.isnan(log.shadow)
    rows = []
    for code, name in [(-1, NONE), *enumerate(served.rule.names)]:
        those = beside & (served.rule.by == code)
        if not those.any():
            continue
        found = mean_interval(log.shadow[those], served.conversation[those], np.ones(int(those.sum())), share=True)
        assert found is not None
        differs = np.flatnonzero(those & (log.shadow == 0))
        width = len(log.shadow_first.names) + 1
        pairs = served.first.by[differs] * width + log.shadow_first.by[differs] + 1
        most = int(np.bincount(pairs).argmax()) if len(pairs) and pairs.min() >= 0 else None
        pair = None
        if most is not None:
            there = most % width - 1
            pair = (
                f"{served.first.names[most // width]} → {'no model' if there < 0 else log.shadow_first.names[there]} "
                f"({int((pairs == most).sum()):,})"
            )
        rows.append((name, int(those.sum()), found.mean, found.low, found.high, len(differs), pair))
    columns = ["rule", "n", "agree", "low", "high", "differ", "most"]
    made = pd.DataFrame(rows, columns=columns).sort_values("n", ascending=False, kind="stable")
    return made.set_index(made["rule"])
