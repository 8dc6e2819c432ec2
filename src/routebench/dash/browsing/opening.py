"""Opening a suite to look through it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from routebench.dash.browsing.panel import BrowsePanel
from routebench.dash.browsing.sources import open_source
from routebench.dash.browsing.state import Browse
from routebench.rules import RuleSet
from routebench.store import Store
from routebench.suites import Suite

if TYPE_CHECKING:
    from routebench.bench import Bench


def browse(
    what: Suite | Bench | str | Path,
    rules: RuleSet | str | Path | None = None,
    *,
    store: Store | str | Path | None = None,
) -> BrowsePanel:
    """Returns the panel of a suite; the last expression of a cell displays it.

    Args:
        what: a suite, the path of its file, a bench, or with `store` the name of a suite that the store holds.
        rules: a rule set, or the path of a rules.yaml, whose coverage is shown.
        store: where answers to the suite are; a bench brings its own.

    Raises:
        SuiteError: the suite cannot be read.
        StoreError: there is no such store, or it holds no such suite.
    """
    source = open_source(what, store)
    given = "" if rules is None else f", rules={'rules' if isinstance(rules, RuleSet) else repr(str(rules))}"
    code = f"panel = rb.browse({source.code}{given})"
    panel = BrowsePanel(Browse(source.suite, source.cells), store=source.store, rules=rules, code=code)
    if source.refused is not None:
        panel.refuse(source.refused)
    return panel
