"""Trying every form of a rule set on the training half, choosing one, and measuring its file on the other half."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from routebench.classes import Protection
from routebench.errors import InputError
from routebench.evaluate import Comparison, Evaluation, Outcomes, Strategy
from routebench.evaluate.frontier import Hull, SingleModel, single_models
from routebench.evaluate.splits import split
from routebench.evaluate.stakes import Damage, damage_of
from routebench.rules import Default, Golden, Guard, RuleSet, check_golden, make_golden
from routebench.rules.conditions.covering import covered
from routebench.rules.file.beside import artifacts_of, write_beside
from routebench.rules.file.loading import parse_guard
from routebench.strategies import Learned
from routebench.strategies.learned.gain import Gain
from routebench.suites import load_starter
from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.evidence import make_evidence, measure
from routebench.tune.forms import Target, forms
from routebench.tune.insurance import Insurance, insure
from routebench.tune.protection import protect, with_guards
from routebench.tune.slices import Slices, slices_of
from routebench.tune.trials import Ground, Trial, allowed_by, best_of, exchange_rate
from routebench.types import Case, Model, Request

GoldenSource = Literal["starter", "suite", "none"]

_PUBLIC = "public"
_MAX_GOLDEN = 60
_SALT_DIGITS = 16
_FILE = "rules.yaml"
_MANY_NAMES = 5


@dataclass(frozen=True)
class Found:
    """What the search on the training half came to.

    Attributes:
        trial: what is used; None for the fixed mix.
        runner_up: the next best of the forms, None where no other met the constraint.
        learned_gain: what the teacher gains over mixes of two models out of fold, in AIQ: what prompts can tell.
        p_value: the probability of what the teacher explains where prompts tell nothing about models.
        why: in one or two sentences.
    """

    trial: Trial | None
    runner_up: Trial | None
    learned_gain: float
    p_value: float
    why: str


@dataclass(frozen=True)
class Tuned:
    """A rule set, and how it did on cases that nobody tuned on.

    Attributes:
        ruleset: with its evidence and golden decisions.
        abstained: whether the evidence was too thin for rules, so that a fixed mix stands in.
        comparison: the rule set beside the baselines, on the test half.
        constraints: what was asked.
        found: how the choice was made, on the training half.
        slices: categories and tags, and which of them are too small to judge.
        files: what the rule set refers to, by name.
        insurance: what its guards cost, and how well protected classes are recognised; None without guards.
    """

    ruleset: RuleSet
    abstained: bool
    comparison: Comparison
    constraints: Constraints
    found: Found
    slices: Slices
    files: Mapping[str, bytes]
    insurance: Insurance | None = None

    @property
    def reading(self) -> str:
        """What came out, in some sentences."""
        own = self.own
        interval = own.quality_ci95
        bounds = "" if interval is None or interval.ci95 is None else f" [{_points(interval.ci95)}]"
        cost = "an unknown cost" if own.cost_usd_per_1k is None else f"${own.cost_usd_per_1k:.3g} per 1,000 requests"
        n_rules = len(self.ruleset.rules)
        what = "the fixed mix" if self.abstained else f"the rule set ({n_rules} rules)"
        held_out = f"Held out, {what} scores {100 * own.quality:.1f}%{bounds} for {cost}."
        said = [
            self.found.why,
            self._distillation(),
            held_out,
            self._optimism(),
            self._runner_up(),
            self._worst_slice(),
            self._too_small(),
            "" if self.insurance is None else self.insurance.reading,
            self._damage(),
            self.comparison.reading,
        ]
        return " ".join(one for one in said if one)

    def _distillation(self) -> str:
        share = self.kept_share
        if share is None or self.found.trial is None:
            return ""
        whole, name = f"{100 * self.found.learned_gain:.1f} pt", self.found.trial.form.name
        if share > 1:
            return f"Over all costs, {name} gains {share:.1f} times the {whole} that the prompt's text alone can tell."
        return f"Over all costs, {name} keeps {share:.0%} of the {whole} that the prompt's text can tell."

    def _optimism(self) -> str:
        if self.optimism is None or self.found.trial is None:
            return ""
        over = 100 * self.found.trial.over_baseline
        by = 100 * self.optimism
        return f"Out of fold it was {over:+.1f} pt from the best single model, an optimism of {by:+.1f} pt."

    def _runner_up(self) -> str:
        one = self.found.runner_up
        if one is None:
            return ""
        cost = "an unknown cost" if one.point.cost_usd_per_1k is None else f"${one.point.cost_usd_per_1k:.3g}"
        return f"Runner-up: {one.form.name}, out of fold {100 * one.point.quality:.1f}% for {cost}."

    def _worst_slice(self) -> str:
        worst = self.own.worst_slice
        if worst is None:
            return ""
        bounds = "" if worst.ci95 is None else f" [{_points(worst.ci95)}]"
        return f"Worst slice: {worst.name}, {100 * worst.delta:+.1f} pt{bounds} on {worst.n} cases."

    def _too_small(self) -> str:
        names = self.slices.too_small
        if not names:
            return ""
        listed = ", ".join(names[:_MANY_NAMES]) + (
            f" and {len(names) - _MANY_NAMES} more" if names[_MANY_NAMES:] else ""
        )
        if self.slices.together:
            return f"Too small to judge one by one, and judged together: {listed}."
        unknown = len(self.slices.unrecognised)
        lost = f", except {unknown} that nothing in a request tells" if unknown else ""
        return f"Too small to judge, and kept on the baseline model{lost}: {listed}."

    def _damage(self) -> str:
        return "" if self.damage.usd_per_1k is None else self.damage.reading

    @property
    def damage(self) -> Damage:
        """What wrong answers cost on the held-out cases whose stakes are known."""
        test = self.comparison.half.test
        return damage_of(self.own.measured[0].replayed.score, test.cases.stakes_usd, test.weight)

    @property
    def kept_share(self) -> float | None:
        """What the form gains over mixes of two models as a share of what the learned strategy gains, out of fold.

        Above 1 where a cascade looks at answers as well; None for the fixed mix.
        """
        trial = self.found.trial
        return None if trial is None or not self.found.learned_gain else trial.curve_gain / self.found.learned_gain

    @property
    def optimism(self) -> float | None:
        """How much further above the best single model it was out of fold than held out; None for the fixed mix."""
        versus = self.own.versus_baseline
        if self.found.trial is None or versus is None:
            return None
        return self.found.trial.over_baseline - versus.delta

    @property
    def own(self) -> Evaluation:
        """The evaluation of the rule set."""
        return next(one for one in self.comparison.evaluations if one.kind == "strategy")

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `tune --json` prints, without the file's name."""
        row = next(row for row in self.comparison.as_dict()["strategies"] if row["name"] == self.own.name)
        trial, other = self.found.trial, self.found.runner_up
        return {
            "abstained": self.abstained,
            "form": None if trial is None else trial.form.name,
            "quality": row["quality"],
            "quality_ci95": row["quality_ci95"],
            "cost_usd_per_1k": row["cost_usd_per_1k"],
            "versus_baseline": row["versus_baseline"],
            "versus_fixed_mix": row["versus_fixed_mix"],
            "worst_slice": row["worst_slice"],
            "slices_too_small": list(self.slices.too_small),
            "optimism": self.optimism,
            "p_value": self.found.p_value,
            "learned_gain": self.found.learned_gain,
            "kept_share": self.kept_share,
            "runner_up": None
            if other is None
            else {
                "form": other.form.name,
                "quality": other.point.quality,
                "cost_usd_per_1k": other.point.cost_usd_per_1k,
            },
            "n_rules": len(self.ruleset.rules),
            "insurance": None if self.insurance is None else self.insurance.as_dict(),
            "damage": self.damage.as_dict(),
            "files": sorted(self.files),
            "reading": self.reading,
        }

    def export(self, path: str | Path) -> Path:
        """Writes the rules.yaml and the files that it refers to beside it, reads it back, and returns its path.

        Raises:
            InputError: a file cannot be written.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for name, content in self.files.items():
                (path.parent / name).write_bytes(content)
            path.write_text(self.ruleset.to_yaml(), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
        failed = check_golden(RuleSet.load(path)).failed
        assert not failed, failed
        return path

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.reading)}</p><pre>{html.escape(replace(self.ruleset, golden=()).to_yaml())}</pre>"


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
    one, or a more readable one that is worth as much within chance. It is used if prompts tell models apart beyond
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
        default=_mix(singles, constraints),
    )
    by_quality = sorted(singles, key=lambda single: (-single.quality, single.cost_usd or 0.0))
    baseline = _with_fallbacks(by_quality[0].name, by_quality)
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
    ruleset = replace(ruleset, evidence=evidence, golden=_golden(ruleset, golden, outcomes))
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


def _mix(singles: Sequence[SingleModel], constraints: Constraints) -> Default:
    """The mix of two models that meets the constraint on the training half; the best model where none does."""
    hull = Hull.of(singles)
    best = max(single.quality for single in singles)
    low, high = hull.cost_range
    budgets = np.linspace(low, high, 101) if high > low else np.array([hull.cost_usd[-1]])
    points = [Point(place, hull.value(cost), 1000 * float(cost), None) for place, cost in enumerate(budgets)]
    point = choose(points, replace(constraints, max_latency_p95_s=None), best)
    # Where no mix meets the constraint: the cheapest under a cap, else the best.
    closest = low if constraints.max_cost_usd_per_1k is not None else float("inf")
    shares = hull.mix_at(float(budgets[point.index]) if point is not None else closest)
    order = sorted(singles, key=lambda single: -single.quality)
    rounded = _rounded(shares)
    if len(rounded) == 1:
        (only,) = rounded
        return Default(route=_with_fallbacks(only, order))
    return Default(mix=tuple((share, _with_fallbacks(name, order)) for name, share in rounded.items()))


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares in whole percent, because a file that says 0.4137 pretends to a precision that nobody measured."""
    names = list(shares)
    first = round(shares[names[0]], 2)
    rounded = {names[0]: first} | ({names[1]: round(1 - first, 2)} if len(names) > 1 else {})
    return {name: share for name, share in rounded.items() if share > 0}


def _with_fallbacks(name: str, by_quality: Sequence[SingleModel]) -> tuple[str, ...]:
    best = next((single.name for single in by_quality if single.usable and single.name != name), None)
    return (name,) if best is None else (name, best)


def _golden(ruleset: RuleSet, source: GoldenSource, outcomes: Outcomes) -> tuple[Golden, ...]:
    """The decisions to hold the rule set to; of prompts that are not public only digests and features are kept."""
    if source == "none":
        return ()
    if source == "starter":
        return make_golden(ruleset, _spread(list(load_starter()), _MAX_GOLDEN))
    readable = [case for case, there in zip(outcomes.cases, outcomes.cases.has_text, strict=True) if there]
    public = _spread([case for case in readable if _PUBLIC in case.tags], _MAX_GOLDEN)
    private = _spread([case for case in readable if _PUBLIC not in case.tags], _MAX_GOLDEN - len(public))
    salt = outcomes.sha256()[:_SALT_DIGITS]
    return (*make_golden(ruleset, public), *make_golden(ruleset, private, salt))


def _spread(cases: Sequence[Case], most: int) -> list[Request]:
    """At most so many requests, taken from every category in turn, in the order of the suite."""
    by_category: dict[str | None, list[int]] = {}
    for place, case in enumerate(cases):
        by_category.setdefault(case.category, []).append(place)
    turns = sorted((turn, place) for places in by_category.values() for turn, place in enumerate(places))
    return [cases[place].request for place in sorted(place for _, place in turns[:most])]


def _points(ci95: tuple[float, float]) -> str:
    return f"{100 * ci95[0]:.1f}, {100 * ci95[1]:.1f}"
