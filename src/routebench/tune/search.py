"""Trying every form of a rule set on the training half, choosing one, and measuring its file on the other half."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from routebench.classes import Protection
from routebench.evaluate import Outcomes, Strategy
from routebench.evaluate.frontier import single_models
from routebench.evaluate.splits import split
from routebench.rules import Guard, RuleSet
from routebench.rules.conditions.covering import covered
from routebench.rules.file.beside import artifacts_of, write_beside
from routebench.rules.file.loading import parse_guard
from routebench.strategies import Learned
from routebench.strategies.baselines import cost_of
from routebench.strategies.learned.gain import Gain
from routebench.tune.constraints import Constraints
from routebench.tune.evidence import make_evidence, measure
from routebench.tune.forms import Target, forms
from routebench.tune.golden import GoldenSource, golden_of
from routebench.tune.insurance import insure
from routebench.tune.mix import mix_default, with_best_behind
from routebench.tune.protection import protect, with_guards
from routebench.tune.slices import Slices, slices_of
from routebench.tune.trials import Ground, allowed_by, best_of, exchange_rate
from routebench.tune.tuned import Found, Tuned
from routebench.types import Model

_FILE = "rules.yaml"


def tune(
    outcomes: Outcomes,
    models: Sequence[Model],
    constraints: Constraints,
    *,
    name: str,
    guards: Sequence[Mapping[str, Any]] = (),
    protections: Sequence[Protection] = (),
    golden: GoldenSource = "suite",
    target: Target = "gateway",
    seed: int = 42,
    created: date,
    beside: Sequence[Strategy] = (),
) -> Tuned:
    """Chooses a rule set and measures it.

    Every form that a rules.yaml can take is learned on the training half of the split, for many trades of quality
    against cost. Of each the operating point that meets the constraint best out of fold is taken, and of those the best
    one, or a more readable one that is worth nearly as much. It is used if prompts tell models apart beyond
    chance and it beats the fixed mix of two models at its own cost; else the mix is what comes out. The test half is
    looked at once, with the rule set as its file reads.

    Args:
        outcomes: the matrix.
        models: settings of the models, weakest first.
        constraints: what is asked.
        name: of the rule set.
        guards: guards in the form of a rules.yaml, which the rule set must carry.
        protections: classes of requests that must not go below the models that somebody named for them.
        golden: where the golden prompts come from; of the suite only cases tagged `public` are written down, of others
            a digest and the features.
        target: where the rule set will run: forms that need more than a base install there are left out for a gateway.
        seed: of the split.
        created: the day that the evidence says.
        beside: bars to measure it against besides the baselines, such as the decisions of the router of today.

    Raises:
        InputError: a guard names a model that there is not.
        OutcomesError: there are too few cases.
    """
    settings = {model.name: model for model in models if model.name in outcomes.models}
    inside, outside = split(outcomes, seed)
    train, test = outcomes.take(inside), outcomes.take(outside)
    protected = protect(train, protections)
    held = with_guards([parse_guard(guard) for guard in guards], protected)
    singles = single_models(train)
    frame = RuleSet(
        name=name,
        models={model: settings[model] for model in outcomes.models},
        order=tuple(model for model in settings if model in outcomes.models),
        guards=held,
        default=mix_default(singles, constraints),
    )
    by_quality = sorted(singles, key=lambda single: (-single.quality, cost_of(single)))
    baseline = with_best_behind(by_quality[0].name, by_quality)
    ground = Ground(train, slices_of(train, test, baseline), allowed_by(frame, train), baseline, Gain.of(train))
    found = _search(ground, tuple(settings.values()), held, constraints, target)
    ruleset = frame if found.trial is None else _framed(found.trial.ruleset(), frame, ground.slices)
    with TemporaryDirectory() as folder:
        # Through its files: what is measured is what will be read.
        ruleset = write_beside(ruleset, Path(folder), _stem(name))
        (Path(folder) / _FILE).write_text(ruleset.to_yaml(), encoding="utf-8")
        ruleset = replace(RuleSet.load(Path(folder) / _FILE), source=f"rule set {name!r}")
        files = {one: (Path(folder) / one).read_bytes() for one in _artifacts(ruleset)}
    comparison = measure(ruleset, outcomes, seed, beside)
    evidence = make_evidence(
        comparison,
        outcomes,
        seed=seed,
        abstained=found.trial is None,
        constraint=constraints.describe(),
        created=created,
    )
    insurance = insure(ruleset, train, test, protected)
    if insurance is not None:
        evidence["insurance"] = insurance.evidence()
    ruleset = replace(ruleset, evidence=evidence, golden=golden_of(ruleset, golden, outcomes))
    return Tuned(ruleset, found.trial is None, comparison, constraints, found, ground.slices, files, insurance)


def _search(
    ground: Ground, models: Sequence[Model], guards: Sequence[Guard], constraints: Constraints, target: Target
) -> Found:
    """Tries every form on the training half."""
    train = ground.train
    teacher = Learned().fit(train)
    assert teacher.chance_ is not None
    p_value, gain = teacher.chance_.p_value, teacher.gain_
    if teacher.abstained:
        return Found(
            None,
            None,
            gain,
            p_value,
            "On the training half, prompts do not tell the models apart beyond chance "
            f"(p = {p_value:.2f}): no rules are distinguishable from the fixed mix, which is used.",
        )
    made = forms(train, teacher, models=models, guards=guards, max_rules=_room(constraints, ground), target=target)
    trials = [trial for form in made if (trial := ground.of(form, constraints)) is not None]
    asked = f"Asked for: {constraints.describe()}."
    if not trials:
        return Found(None, None, gain, p_value, f"{asked} No rule set meets that on the training half.")
    told = [trial for trial in trials if trial.told]
    if not told:
        best, _ = best_of(trials, constraints, exchange_rate(train))
        return Found(
            None,
            best,
            gain,
            p_value,
            f"{asked} Out of fold, the best rule set is {100 * best.gain:+.1f} pt from the fixed mix at its own cost, "
            "which is not distinguishable from chance: the fixed mix is used.",
        )
    best, runner_up = best_of(told, constraints, exchange_rate(train))
    return Found(
        best,
        runner_up,
        gain,
        p_value,
        f"{asked} Out of fold, {best.form.name} is {100 * best.gain:+.1f} pt above the fixed mix at its own cost.",
    )


def _room(constraints: Constraints, ground: Ground) -> int:
    """How many rules a form may have beside the one for small slices."""
    return max(1, constraints.max_rules - (ground.slices.stays is not None))


def _framed(policy: RuleSet, frame: RuleSet, slices: Slices) -> RuleSet:
    """A form's policy under the name, the models and the guards that were asked for."""
    rules = policy.rules
    if slices.stays is not None:
        behind = [rule for rule in rules if not covered(rule.when, [slices.stays.when], "user")]
        rules = (slices.stays, *behind)
    return replace(policy, name=frame.name, order=frame.order, models=frame.models, rules=rules)


def _artifacts(ruleset: RuleSet) -> tuple[str, ...]:
    parts = [part.settings for part in (ruleset.learned, ruleset.similarity, ruleset.complexity) if part is not None]
    return tuple(name for settings in (*parts, ruleset.checks) for name in artifacts_of(settings))


def _stem(name: str) -> str:
    """A file name that every system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "rules"
