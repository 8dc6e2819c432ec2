"""What tuning learned of the training half, once, for whatever is asked afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from routebench.errors import InputError, nearest
from routebench.evaluate import Outcomes, damage_of
from routebench.evaluate.choices import FloatArray, IntArray
from routebench.rules import Default, Guard, RuleSet
from routebench.rules.conditions.covering import covered
from routebench.tune.constraints import Constraints
from routebench.tune.curve import Curve
from routebench.tune.found import Found
from routebench.tune.ground import Ground, allowed_by
from routebench.tune.mix import mix_default
from routebench.tune.protection import Protected
from routebench.tune.shortfall import Closest, closest
from routebench.tune.trials import Trial, best_of, best_point, exchange_rate


@dataclass(frozen=True, eq=False)
class Study:
    """Every form at every operating point, out of fold: choosing among them is a lookup.

    Attributes:
        outcomes: the whole matrix.
        inside: positions of the training half in it.
        outside: positions of the other half.
        ground: the training half with what stands above any form.
        test: the other half, on which nothing here was learned or chosen.
        seed: of the split.
        frame: name, models, order and guards of any rule set that comes out.
        guards: all guards that were asked for; those of the frame are in force.
        protected: classes with a guard of their own.
        p_value: the probability of what the teacher explains where prompts tell nothing about models.
        learned_gain: what the teacher gains over mixes of two models out of fold, in AIQ.
        told: whether prompts tell the models apart beyond chance; no form is learned where they do not.
        curves: of the forms that were learned, the more readable ones first.
        waiting: names of the forms that are still to be learned.
        left_out: why a form is not among them, a sentence each.
    """

    outcomes: Outcomes
    inside: IntArray
    outside: IntArray
    ground: Ground
    test: Outcomes
    seed: int
    frame: RuleSet
    guards: tuple[Guard, ...]
    protected: tuple[Protected, ...]
    p_value: float
    learned_gain: float
    told: bool
    curves: tuple[Curve, ...] = ()
    waiting: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    _trials: dict[tuple[str, int], Trial | None] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Curve:
        found = next((curve for curve in self.curves if curve.name == name), None)
        if found is None:
            names = [curve.name for curve in self.curves]
            raise InputError(f"no form {name!r}{nearest(name, names)}; learned here: {', '.join(names) or 'none'}")
        return found

    def choose(self, constraints: Constraints, form: str | None = None) -> Found:
        """Chooses the operating point that meets a constraint best: of all forms, or of one.

        Args:
            constraints: what is asked.
            form: the name of a form; where the best of all is wanted, None.

        Raises:
            InputError: there is no such form.
        """
        if not self.told:
            return self._found(
                None,
                None,
                "On the training half, prompts do not tell the models apart beyond chance "
                f"(p = {self.p_value:.2f}): no rules are distinguishable from the fixed mix, which is used.",
            )
        asked = f"Asked for: {constraints.describe()}."
        trials = self.trials(constraints, self.curves if form is None else (self[form],))
        if not trials:
            return self._found(None, None, f"{asked} No rule set meets that on the training half.")
        rate = exchange_rate(self.ground)
        told = [trial for trial in trials if trial.told]
        if not told:
            best, _ = best_of(trials, constraints, rate)
            return self._found(
                None,
                best,
                f"{asked} Out of fold, the best rule set is {100 * best.gain:+.1f} pt from the fixed mix at its own "
                "cost, which is not distinguishable from chance: the fixed mix is used.",
            )
        best, runner_up = best_of(told, constraints, rate)
        return self._found(
            best,
            runner_up,
            f"{asked} Out of fold, {best.form.name} is {100 * best.gain:+.1f} pt above the fixed mix at its own cost.",
        )

    def at(self, form: str, place: int, asked: str = "") -> Found:
        """Takes an operating point that somebody has picked.

        Args:
            form: its name.
            place: of the point on its curve.
            asked: why that one, as a sentence.

        Raises:
            InputError: there is no such form or point, or nothing is known of it.
        """
        curve = self[form]
        if not 0 <= place < len(curve.points):
            raise InputError(f"{form} has operating points 0 to {len(curve.points) - 1}, and no {place}")
        trial = self.trial(curve, place)
        if trial is None:
            raise InputError(f"operating point {place} of {form}: no training case of it is known; pick another")
        chance = "" if trial.told else ", which is not distinguishable from chance"
        why = f"Set by hand: {form}, operating point {place} ({curve.choices[place].label})."
        gained = f"Out of fold, {form} is {100 * trial.gain:+.1f} pt from the fixed mix at its own cost{chance}."
        return self._found(trial, None, " ".join(one for one in (why, asked, gained) if one))

    def mixed(self, asked: str = "") -> Found:
        """Takes the fixed mix of two models, whatever the forms would gain."""
        return self._found(None, None, " ".join(one for one in ("Set by hand: the fixed mix.", asked) if one))

    def trials(self, constraints: Constraints, curves: Iterable[Curve]) -> list[Trial]:
        """Returns of every form the operating point that meets a constraint best, where there is one."""
        found = []
        for curve in curves:
            point = best_point(curve, constraints, self.ground)
            trial = None if point is None else self.trial(curve, point.index)
            found += [] if trial is None else [trial]
        return found

    def trial(self, curve: Curve, place: int) -> Trial | None:
        """Returns one operating point held against the bars; worked out once."""
        key = curve.name, place
        if key not in self._trials:
            self._trials[key] = Trial.of(curve, place, self.ground)
        return self._trials[key]

    def closest(self, constraints: Constraints, form: str | None = None) -> Closest | None:
        """Returns the operating point that misses least of a constraint, and what it misses; None without forms."""
        return closest(self.curves if form is None else (self[form],), constraints, self.ground)

    def under(self, names: Sequence[str]) -> Iterator[Study]:
        """Yields the study under some of its guards: without a form, and again with every form that is replayed so.

        Args:
            names: of the guards that are in force.
        """
        guards = tuple(guard for guard in self.guards if guard.name in names)
        frame = replace(self.frame, guards=guards)
        ground = replace(self.ground, allowed=allowed_by(frame, self.ground.train))
        waiting = tuple(curve.name for curve in self.curves)
        made = replace(self, frame=frame, ground=ground, curves=(), waiting=waiting, _trials={})
        yield made
        for curve in self.curves:
            replayed = Curve.of(*curve.guarded(guards, ground))
            made = replace(made, curves=(*made.curves, replayed), waiting=made.waiting[1:], _trials={})
            yield made

    def with_stakes(self, stakes_usd: FloatArray) -> Study:
        """Returns the study with other stakes: points and forms stay, what wrong answers cost is told anew.

        What a form has learned of earlier stakes it keeps; learn again to let it know these.

        Args:
            stakes_usd: US dollars that a wrong answer costs, NaN where unknown, a case of the matrix each.
        """
        ground = replace(self.ground, train=_staked(self.ground.train, stakes_usd[self.inside]))
        return replace(
            self,
            outcomes=_staked(self.outcomes, stakes_usd),
            ground=ground,
            test=_staked(self.test, stakes_usd[self.outside]),
            curves=tuple(curve.on(ground) for curve in self.curves),
            _trials={},
        )

    def off(self) -> tuple[str, ...]:
        """Returns the names of the guards that are not in force."""
        on = {guard.name for guard in self.frame.guards}
        return tuple(guard.name for guard in self.guards if guard.name not in on)

    def ruleset(self, found: Found, constraints: Constraints) -> RuleSet:
        """Returns what was found as a rule set, before its files are written: without evidence and golden decisions."""
        if found.trial is None:
            return replace(self.frame, default=self.fixed_mix(constraints))
        return self._framed(found.trial.ruleset())

    def fixed_mix(self, constraints: Constraints) -> Default:
        """Returns the mix of two models that meets a constraint best."""
        return mix_default(self.ground.singles, constraints, self._damages)

    @cached_property
    def _damages(self) -> Mapping[str, float | None]:
        train = self.ground.train
        stakes = train.cases.stakes_usd
        return {name: damage_of(score, stakes, train.weight).usd_per_1k for name, score in self.ground.alone.items()}

    def _framed(self, policy: RuleSet) -> RuleSet:
        """A form's policy under the name, the models and the guards that were asked for."""
        rules, stays = policy.rules, self.ground.slices.stays
        if stays is not None:
            rules = (stays, *(rule for rule in rules if not covered(rule.when, [stays.when], "user")))
        frame = self.frame
        return replace(
            policy, name=frame.name, order=frame.order, models=frame.models, guards=frame.guards, rules=rules
        )

    def _found(self, trial: Trial | None, runner_up: Trial | None, why: str) -> Found:
        off = self.off()
        if off:
            why += f" Switched off for this, against what was asked: guard{'s' * (len(off) > 1)} {', '.join(off)}."
        return Found(trial, runner_up, self.learned_gain, self.p_value, why, self.left_out)


def _staked(outcomes: Outcomes, stakes_usd: FloatArray) -> Outcomes:
    return replace(outcomes, cases=replace(outcomes.cases, stakes_usd=stakes_usd))
