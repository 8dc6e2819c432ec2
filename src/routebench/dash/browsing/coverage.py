"""Which rule of a rule set takes which cases of a suite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from routebench.errors import NoEligibleModelError
from routebench.rules import Router, RuleSet
from routebench.types import Case

UNKNOWN_TEXT = "(text not kept)"
NOBODY = "(no model)"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Covered:
    """What one rule takes.

    Attributes:
        rule: its name, or what decided in place of a rule.
        n: cases.
        weight: share of the suite's requests.
        models: who is asked first, the most frequent first, with numbers of cases.
        categories: whose cases they are, the most frequent first, with numbers of cases.
    """

    rule: str
    n: int
    weight: float
    models: tuple[tuple[str, int], ...]
    categories: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """A rule set on a suite.

    Attributes:
        name: of the rule set.
        rules: case by case: what decided.
        models: case by case: who is asked first.
        rows: a rule each, in the order in which they are tried; those that take nothing too.
    """

    name: str
    rules: tuple[str, ...]
    models: tuple[str, ...]
    rows: tuple[Covered, ...]

    @property
    def idle(self) -> tuple[str, ...]:
        """The rules that take no case."""
        return tuple(row.rule for row in self.rows if not row.n)

    @property
    def reading(self) -> str:
        """The coverage in a sentence."""
        default = next((row for row in self.rows if row.rule == DEFAULT), None)
        left = "no case is"
        if default is not None and default.n:
            cases = "1 case" if default.n == 1 else f"{default.n:,} cases"
            left = f"{cases} ({default.weight:.0%} of the requests) {'is' if default.n == 1 else 'are'}"
        idle = f" Rules that take no case: {', '.join(self.idle)}." if self.idle else " Every rule takes some."
        return f"{self.name}: {left} left to the default.{idle}"


def cover(cases: Sequence[Case], rules: RuleSet | str | Path) -> Coverage:
    """Decides every case by a rule set, as its runtime would now.

    Args:
        cases: of the suite.
        rules: a rule set, or the path of a rules.yaml.

    Raises:
        RulesError: the rule set cannot be read, or asks a model before it decides.
    """
    ruleset = rules if isinstance(rules, RuleSet) else RuleSet.load(rules)
    router = Router(ruleset)
    decided = [_decide(router, case) for case in cases]
    names = [rule for rule, _ in decided]
    order = [rule.name for rule in ruleset.rules]
    others = [name for name in dict.fromkeys(names) if name not in order and name != DEFAULT]
    total = sum(case.weight for case in cases) or 1.0
    rows = []
    for name in (*order, *others, DEFAULT):
        mine = [place for place, rule in enumerate(names) if rule == name]
        weight = sum(cases[place].weight for place in mine) / total
        models = Counter(decided[place][1] for place in mine)
        categories = Counter(cases[place].category or "none" for place in mine)
        rows.append(Covered(name, len(mine), weight, tuple(models.most_common()), tuple(categories.most_common())))
    return Coverage(ruleset.name, tuple(names), tuple(model for _, model in decided), tuple(rows))


def _decide(router: Router, case: Case) -> tuple[str, str]:
    if not case.request.messages:
        return UNKNOWN_TEXT, UNKNOWN_TEXT
    try:
        decision = router.decide(case.request)
    except NoEligibleModelError:
        return NOBODY, NOBODY
    return decision.rule, decision.model or NOBODY
