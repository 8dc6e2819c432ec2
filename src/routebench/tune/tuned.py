"""What tuning came to: the rule set, how it was chosen, and how it did on cases that nobody tuned on."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from routebench.errors import InputError
from routebench.evaluate import Comparison, Evaluation
from routebench.evaluate.stakes import Damage, damage_of
from routebench.rules import RuleSet, check_golden
from routebench.tune.constraints import Constraints
from routebench.tune.found import Found
from routebench.tune.insurance import Insurance
from routebench.tune.slices import Slices

_MANY_NAMES = 5


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
            *self.found.left_out,
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


def _points(ci95: tuple[float, float]) -> str:
    return f"{100 * ci95[0]:.1f}, {100 * ci95[1]:.1f}"
