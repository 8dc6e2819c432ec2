"""Learning rule sets on the training half, choosing one, and measuring its file on the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np

from routebench.errors import InputError
from routebench.evaluate import Choices, Comparison, Evaluation, Outcomes, Replayed, Strategy, replay
from routebench.evaluate.frontier import Hull, SingleModel, single_models, weighted_mean
from routebench.evaluate.paired import paired
from routebench.evaluate.splits import split
from routebench.rules import Default, Golden, Guard, RuleSet, check_golden, make_golden
from routebench.rules.file.loading import parse_guard
from routebench.strategies import Rules
from routebench.suites import load_starter
from routebench.tune.constraints import Constraints, Point, choose
from routebench.tune.evidence import make_evidence, measure
from routebench.types import Case, Model, Request

GoldenSource = Literal["starter", "suite", "none"]

_PUBLIC = "public"
_MAX_GOLDEN = 60
_SALT_DIGITS = 16
_GATE_T = 1.0
"""Standard errors by which a rule set has to beat the fixed mix at its own cost, out of fold; below it, abstain."""


@dataclass(frozen=True)
class Tuned:
    """A rule set, and how it did on cases that nobody tuned on.

    Attributes:
        ruleset: with its evidence and golden decisions.
        abstained: whether the evidence was too thin for rules, so that a fixed mix stands in.
        comparison: the rule set beside the baselines, on the test half.
        constraints: what was asked.
        why: how the choice was made, one sentence.
    """

    ruleset: RuleSet
    abstained: bool
    comparison: Comparison
    constraints: Constraints
    why: str

    @property
    def reading(self) -> str:
        """What came out, in two sentences."""
        own = self.own
        interval = own.quality_ci95
        bounds = "" if interval is None or interval.ci95 is None else f" [{_points(interval.ci95)}]"
        cost = "an unknown cost" if own.cost_usd_per_1k is None else f"${own.cost_usd_per_1k:.3g} per 1,000 requests"
        n_rules = len(self.ruleset.rules)
        what = "the fixed mix" if self.abstained else f"the rule set ({n_rules} rules)"
        held_out = f"Held out, {what} scores {100 * own.quality:.1f}%{bounds} for {cost}."
        return f"{self.why} {held_out} {self.comparison.reading}"

    @property
    def own(self) -> Evaluation:
        """The evaluation of the rule set."""
        return next(one for one in self.comparison.evaluations if one.kind == "strategy")

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `tune --json` prints, without the file's name."""
        row = next(row for row in self.comparison.as_dict()["strategies"] if row["name"] == self.own.name)
        return {
            "abstained": self.abstained,
            "quality": row["quality"],
            "quality_ci95": row["quality_ci95"],
            "cost_usd_per_1k": row["cost_usd_per_1k"],
            "versus_baseline": row["versus_baseline"],
            "versus_fixed_mix": row["versus_fixed_mix"],
            "n_rules": len(self.ruleset.rules),
            "reading": self.reading,
        }

    def export(self, path: str | Path) -> Path:
        """Writes the rules.yaml, reads it back, and returns its path.

        Raises:
            InputError: the file cannot be written.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.ruleset.to_yaml(), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
        failed = check_golden(RuleSet.load(path)).failed
        assert not failed, failed
        return path

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(self.reading)}</p><pre>{html.escape(replace(self.ruleset, golden=()).to_yaml())}</pre>"


def tune(
    outcomes: Outcomes,
    models: Sequence[Model],
    constraints: Constraints,
    *,
    name: str,
    guards: Sequence[Mapping[str, Any]] = (),
    golden: GoldenSource = "suite",
    seed: int = 42,
    created: date,
    beside: Sequence[Strategy] = (),
) -> Tuned:
    """Chooses a rule set and measures it.

    Rule lists for many trades of quality against cost are learned on the training half of the split; the one that
    meets the constraint best out of fold is kept if it beats the fixed mix of two models at its own cost, else the mix
    is what comes out. The test half is looked at once, with the rule set as its file reads.

    Args:
        outcomes: the matrix.
        models: settings of the models, weakest first.
        constraints: what is asked.
        name: of the rule set.
        guards: guards in the form of a rules.yaml, which the rule set must carry.
        golden: where the golden prompts come from; of the suite only cases tagged `public` are written down, of others
            a digest and the features.
        seed: of the split.
        created: the day that the evidence says.
        beside: bars to measure it against besides the baselines, such as the decisions of the router of today.

    Raises:
        InputError: a guard names a model that there is not.
        OutcomesError: there are too few cases.
    """
    settings = {model.name: model for model in models if model.name in outcomes.models}
    held = tuple(parse_guard(guard) for guard in guards)
    inside, _ = split(outcomes, seed)
    train = outcomes.take(inside)
    chosen, why = _search(train, tuple(settings.values()), held, constraints)
    ruleset = RuleSet(
        name=name,
        models={model: settings[model] for model in outcomes.models},
        order=tuple(model for model in settings if model in outcomes.models),
        guards=held,
        rules=() if chosen is None else chosen.rules,
        default=_mix(single_models(train), constraints) if chosen is None else chosen.default,
    )
    # Through its text: what is measured is what will be read.
    ruleset = RuleSet.parse(ruleset.to_yaml(), name=f"rule set {name!r}")
    comparison = measure(ruleset, outcomes, seed, beside)
    evidence = make_evidence(
        comparison,
        outcomes,
        seed=seed,
        abstained=chosen is None,
        constraint=constraints.describe(),
        created=created,
    )
    ruleset = replace(ruleset, evidence=evidence, golden=_golden(ruleset, golden, outcomes))
    return Tuned(ruleset, chosen is None, comparison, constraints, why)


def _search(
    train: Outcomes, models: Sequence[Model], guards: Sequence[Guard], constraints: Constraints
) -> tuple[RuleSet | None, str]:
    """Returns the rule set to use, None for the fixed mix, and why."""
    rules = Rules(max_rules=constraints.max_rules, guards=guards, models=models).fit(train)
    replays = [replay(train, choices) for choices in rules.train_curve()]
    points = [_point(place, one, train) for place, one in enumerate(replays)]
    best = max(single_models(train), key=lambda single: single.quality)
    point = choose(points, constraints, best.quality)
    if point is None:
        return None, f"No rule set meets the constraint ({constraints.describe()}) on the training half."
    gain, error = _gain_over_mix(train, replays[point.index])
    if error is not None and gain <= _GATE_T * error:
        return None, (
            f"Out of fold, the best rule set is {100 * gain:+.1f} pt from the fixed mix at its own cost, which is not "
            "distinguishable from chance: the fixed mix is used."
        )
    return rules.rulesets_[point.index], (
        f"Asked for: {constraints.describe()}. Out of fold, the rules are {100 * gain:+.1f} pt above the fixed mix at "
        "their own cost."
    )


def _point(place: int, one: Replayed, train: Outcomes) -> Point:
    cost = weighted_mean(one.cost_usd, train.weight)
    quality = weighted_mean(one.score, train.weight)
    return Point(
        place, 0.0 if quality is None else quality, None if cost is None else 1000 * cost, one.latency_quantile(0.95)
    )


def _gain_over_mix(train: Outcomes, one: Replayed) -> tuple[float, float | None]:
    """Mean gain over the fixed mix at the same training cost, and its standard error (None: too few cases differ)."""
    hull = Hull.of(single_models(train))
    cost = weighted_mean(one.cost_usd, train.weight)
    shares = hull.mix_at(float("inf") if cost is None else cost)
    parts = [Choices.same(train.models, (name,), train.n) for name in shares]
    mix = replay(train, Choices.mix(list(shares.values()), parts))
    difference = paired(one.score, mix.score, train.keys, train.weight)
    if difference.ci95 is None:
        return difference.delta, float("inf")
    return difference.delta, (difference.ci95[1] - difference.ci95[0]) / (2 * 1.96)


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
