"""From a choice to a file: written, read back, and measured on the half that nobody has looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from routebench.evaluate import Strategy
from routebench.rules import RuleSet
from routebench.rules.file.beside import artifacts_of, write_beside
from routebench.tune.constraints import Constraints
from routebench.tune.evidence import make_evidence, measure
from routebench.tune.found import Found
from routebench.tune.golden import GoldenSource, golden_of
from routebench.tune.insurance import insure
from routebench.tune.study import Study
from routebench.tune.tuned import Tuned

_FILE = "rules.yaml"


def finish(
    study: Study,
    found: Found,
    constraints: Constraints,
    *,
    created: date,
    golden: GoldenSource = "suite",
    beside: Sequence[Strategy] = (),
) -> Tuned:
    """Looks at the test half: writes what was found, reads it back, and measures what was read.

    Args:
        study: what was learned.
        found: what was chosen.
        constraints: what was asked.
        created: the day that the evidence says.
        golden: where the golden prompts come from; of the suite only cases tagged `public` are written down, of others
            a digest and the features.
        beside: bars to measure it against besides the baselines, such as the decisions of the router of today.
    """
    ruleset, files = written(study.ruleset(found, constraints))
    comparison = measure(ruleset, study.outcomes, study.seed, beside)
    evidence = make_evidence(
        comparison,
        study.outcomes,
        seed=study.seed,
        abstained=found.trial is None,
        constraint=constraints.describe(),
        created=created,
    )
    on = {guard.name for guard in ruleset.guards}
    protected = [one for one in study.protected if one.guard.name in on]
    insurance = insure(ruleset, study.ground.train, study.test, protected)
    if insurance is not None:
        evidence["insurance"] = insurance.evidence()
    ruleset = replace(ruleset, evidence=evidence, golden=golden_of(ruleset, golden, study.outcomes))
    return Tuned(ruleset, found.trial is None, comparison, constraints, found, study.ground.slices, files, insurance)


def written(ruleset: RuleSet) -> tuple[RuleSet, Mapping[str, bytes]]:
    """Returns a rule set as its file reads, and the files that it refers to, by name.

    What decides is what was read and not what was meant: sums in a file have sixteen bits.
    """
    with TemporaryDirectory() as folder:
        made = write_beside(ruleset, Path(folder), _stem(ruleset.name))
        (Path(folder) / _FILE).write_text(made.to_yaml(), encoding="utf-8")
        read = replace(RuleSet.load(Path(folder) / _FILE), source=f"rule set {ruleset.name!r}")
        return read, {one: (Path(folder) / one).read_bytes() for one in _artifacts(read)}


def _artifacts(ruleset: RuleSet) -> tuple[str, ...]:
    parts = [part.settings for part in (ruleset.learned, ruleset.similarity, ruleset.complexity) if part is not None]
    return tuple(name for settings in (*parts, ruleset.checks) for name in artifacts_of(settings))


def _stem(name: str) -> str:
    """A file name that every system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "rules"
