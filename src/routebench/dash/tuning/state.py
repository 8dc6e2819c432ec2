"""The tuner without a screen: what is asked, where that leads, and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from routebench.dash.tuning.past import Past
from routebench.dash.tuning.setting import MIX, Setting, check
from routebench.dash.tuning.stakes import staked
from routebench.dash.tuning.standing import Flips, Standing
from routebench.dash.tuning.version import Version
from routebench.errors import InputError
from routebench.evaluate import Choices, Outcomes
from routebench.tune import Closest, Constraints, Curve, Found, Point, Study, Tuned
from routebench.tune.constraints import shortfalls


class Tuning:
    """A study, a setting, and the policy that they come to.

    Args:
        study: what was learned so far.
        setting: to begin with.
        clock: seconds that only grow; tells dragging from deciding.

    Attributes:
        setting: as it is now.
        versions: settings that were kept.
        learned: the study under all guards, with the stakes that it was learned with.
        bare: under the guards of the setting, with the stakes that it was learned with.
        study: under the guards and stakes of the setting; without the forms that are still to be replayed so.
    """

    def __init__(
        self, study: Study, setting: Setting | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.learned = study
        self.study = study
        # With the stakes that the suite itself gives.
        self._own = study.outcomes
        self.bare = study
        self._replayed: dict[tuple[str, ...], Study] = {}
        self.setting = setting or _first_setting(study)
        self.versions: list[Version] = []
        self._first = self.setting
        self._taught = (self.setting.stakes, self.setting.max_rules)
        self._past = Past(clock)
        self._before: Standing | None = None
        self._now: Standing | None = None
        self._kept: dict[tuple[str, int], Standing] = {}

    # What was learned

    def learn(self, study: Study) -> bool:
        """Takes what is known after another form was learned; returns whether guards must be caught up with."""
        self.learned = study
        self._replayed.clear()
        if not self.setting.off:
            self._stand_on(study)
            return False
        return not study.waiting

    def knows(self, fields: Mapping[str, Any]) -> bool:
        """Whether all is learned that fields of a setting name: a form, or for guards every form."""
        waiting = self.learned.waiting
        return not waiting if "off" in fields else fields.get("form") not in waiting

    @property
    def unlearned(self) -> bool:
        """Whether the setting asks for what forms have not learned of: other stakes, or fewer rules."""
        asked = (self.setting.stakes, self.setting.max_rules)
        return asked != self._taught

    def teach(self) -> tuple[Outcomes, int]:
        """Returns outcomes with the stakes of the setting, and its rules at most, for learning anew.

        Raises:
            InputError: a guard is switched off.
        """
        if self.setting.off:
            raise InputError("forms are learned under all guards; switch them on, and learn again")
        # A point of forms that are learned anew is another one.
        self.setting = replace(self.setting, place=None)
        self._taught = (self.setting.stakes, self.setting.max_rules)
        stakes = staked(self._own, dict(self.setting.stakes))
        return replace(self._own, cases=replace(self._own.cases, stakes_usd=stakes)), self.setting.max_rules

    def catch_up(self) -> Iterator[Study]:
        """Yields the study under the setting's guards, form by form; whoever has one gives it to `take`."""
        yield from self.learned.under(self._on(self.setting))

    def take(self, study: Study) -> None:
        """Goes on with a study that `catch_up` has yielded, unless the guards are others by now."""
        if set(study.off()) == set(self.setting.off):
            self._stand_on(study)
            if not self.behind:
                self._replayed[self.setting.off] = study

    def _stand_on(self, study: Study) -> None:
        self.bare, self.study, self._now = study, self._staked(study), None
        self._kept.clear()

    @property
    def behind(self) -> bool:
        """Whether forms are still to be replayed under the guards of the setting."""
        return len(self.study.curves) < len(self.learned.curves)

    def _staked(self, study: Study) -> Study:
        stakes = staked(self._own, dict(self.setting.stakes))
        same = np.array_equal(stakes, study.outcomes.cases.stakes_usd, equal_nan=True)
        return study if same else study.with_stakes(stakes)

    # What is asked

    def change(self, **fields: Any) -> bool:
        """Changes the setting; returns whether guards must be caught up with.

        A change of what is asked goes to the point that meets it best; picking a point stays where it is picked.

        Raises:
            InputError: there is no such field, form, point, model or guard.
        """
        check(fields, self.setting, self.learned)
        if all(getattr(self.setting, name) == value for name, value in fields.items()):
            return False
        if self._past.leave(self.setting, ",".join(fields)):
            self._before = self.now
        return self._go(replace(self.setting, **{"place": None, **fields}))

    def undo(self) -> bool:
        """Takes the latest change back; returns whether guards must be caught up with."""
        setting = self._past.back()
        if setting is None:
            return False
        self._before = self.now
        return self._go(setting)

    def reset(self) -> bool:
        """Goes back to the beginning, as a change that can be undone."""
        if self.setting == self._first:
            return False
        self._past.leave(self.setting)
        self._before = self.now
        return self._go(self._first)

    @property
    def steps(self) -> int:
        """How many changes can be undone."""
        return len(self._past)

    def _go(self, setting: Setting) -> bool:
        before, held = self.setting, self.now
        self.setting, self._now = setting, None
        if setting.off != before.off:
            known = self.learned if not setting.off else self._replayed.get(setting.off)
            self._stand_on(known or next(iter(self.learned.under(self._on(setting)))))
            if known is None:
                self._now = self._guarded(held)
                return True
        elif setting.stakes != before.stakes:
            self._stand_on(self.bare)
        return False

    def _on(self, setting: Setting) -> list[str]:
        return [guard.name for guard in self.learned.guards if guard.name not in setting.off]

    def _guarded(self, held: Standing) -> Standing:
        """The policy of just now under other guards, until the other forms are there too."""
        if held.place is None:
            return self._mixed()
        form, ground, choices = self.learned[held.form].guarded(self.study.frame.guards, self.study.ground)
        one = choices[held.place]
        return Standing.of(ground, one, form=form.name, place=held.place, label=one.label)

    @property
    def constraints(self) -> Constraints:
        """What is asked, as tuning takes it."""
        return self.setting.constraints(self.qualities)

    @property
    def qualities(self) -> Mapping[str, float]:
        """Model -> its mean score on the training half."""
        return {single.name: single.quality for single in self.study.ground.singles}

    # Where that leads

    @property
    def best(self) -> Found:
        """What meets the constraint best: of the form that is chosen; where a point was picked by hand, of all."""
        return self.study.choose(self.constraints, self._form_in_question)

    @property
    def found(self) -> Found:
        """What would be written: the point that was picked, else what meets the constraint best."""
        setting = self.setting
        asked = f"Asked for: {self.constraints.describe()}."
        if setting.form == MIX:
            return self.study.mixed(asked)
        if setting.place is not None and self._form is not None:
            return self.study.at(self._form, setting.place, asked)
        return self.best

    @property
    def _form(self) -> str | None:
        """The form that is chosen among; None for all, also while the chosen one is still to be learned."""
        names = [curve.name for curve in self.study.curves]
        return self.setting.form if self.setting.form in names else None

    @property
    def _form_in_question(self) -> str | None:
        return None if self.setting.place is not None else self._form

    @property
    def curve(self) -> Curve | None:
        """The form whose points are in reach: the chosen one, else that of the best point, else of the closest."""
        if not self.study.curves:
            return None
        if self._form is not None:
            return self.study[self._form]
        if self.now.place is not None:
            return self.study[self.now.form] if self._has(self.now.form) else None
        near = self.closest
        return self.study.curves[0] if near is None else self.study[near.form]

    def _has(self, form: str) -> bool:
        return any(curve.name == form for curve in self.study.curves)

    @property
    def best_point(self) -> tuple[str, Point] | None:
        """The form and the point that meet the constraint best; None where nothing does."""
        trial = self.best.trial
        return None if trial is None else (trial.form.name, trial.point)

    @property
    def closest(self) -> Closest | None:
        """What misses least of the constraint, of the same forms."""
        return self.study.closest(self.constraints, self._form_in_question)

    @property
    def lacks(self) -> Mapping[str, float]:
        """What the point that was picked misses of what is asked; empty where none was picked, or it meets it."""
        if self.setting.place is None or self._form is None:
            return {}
        point = self.study[self._form].points[self.setting.place]
        return shortfalls(point, self.constraints, self.study.ground.best_quality)

    @property
    def now(self) -> Standing:
        """The policy that the setting comes to."""
        if self._now is None:
            self._now = self._standing()
        return self._now

    @property
    def before(self) -> Standing | None:
        """The policy of the setting before; None at the beginning."""
        return self._before

    @property
    def flips(self) -> Flips | None:
        """The cases that score otherwise than under the setting before."""
        return None if self._before is None else Flips.between(self._before.replayed, self.now.replayed)

    def _standing(self) -> Standing:
        trial = self.found.trial
        if trial is None:
            return self._mixed()
        key = (trial.form.name, trial.point.index)
        if key not in self._kept:
            name, place = trial.form.name, trial.point.index
            choices = self.study[name].choices[place]
            self._kept[key] = Standing.of(self.study.ground, choices, form=name, place=place, label=choices.label)
        return self._kept[key]

    def _mixed(self) -> Standing:
        ground, default = self.study.ground, self.study.fixed_mix(self.constraints)
        train = ground.train
        parts = default.mix or ((1.0, default.route or ()),)
        choices = [Choices.same(train.models, chain, train.n) for _, chain in parts]
        label = ", ".join(f"{share:.0%} {chain[0]}" for share, chain in parts)
        mix = Choices.mix([share for share, _ in parts], choices)
        return Standing.of(ground, mix, form=MIX, place=None, label=label)

    @property
    def selection(self) -> dict[str, Any]:
        """The setting and the point that it comes to."""
        return {**self.setting.as_dict(), "form": self.now.form, "place": self.now.place, "label": self.now.label}

    # What is kept

    def save(self, name: str = "", tuned: Tuned | None = None) -> Version:
        """Keeps the setting as it is and returns it."""
        ruleset = self.study.ruleset(self.found, self.constraints)
        version = Version(name or f"version {len(self.versions) + 1}", self.setting, self.now, ruleset, tuned)
        self.versions.append(version)
        return version


def _first_setting(study: Study) -> Setting:
    """What the controls begin with: as a cap half of what the best single model costs, where that is known."""
    best = max(study.ground.singles, key=lambda single: single.quality)
    return Setting(max_cost_usd_per_1k=float(f"{500 * best.cost_usd:.2g}")) if best.cost_usd else Setting()
