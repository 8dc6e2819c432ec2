"""What the controls of the tuner say, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from routebench.errors import InputError, nearest
from routebench.tune import Constraints, Study

Goal = Literal["cost", "quality", "charge"]
"""The least cost, the best quality under a cap, or the least cost and damage."""

BEST, MIX = "best of all forms", "fixed mix"
DROP, SCORE, BEST_SINGLE = "points below the best single model", "% mean score", "% of the best single model"
"""What a floor is given in; a model's name besides, for a share of its mean score."""
EVERY = "every request"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked, and where somebody stands who has picked a point by hand.

    Attributes:
        form: the form that is chosen among, BEST for all of them, MIX for none.
        place: the operating point that was picked; None for the one that meets what is asked best.
        goal: what is wanted.
        floor_in: what the floor is given in: DROP, SCORE, BEST_SINGLE, or the name of a model.
        floor: points or percent.
        max_cost_usd_per_1k: the cap, where the best quality is wanted.
        max_drop_per_slice: points that any one category or tag may fall below the best single model.
        max_latency_p95_s: the cap on it; None for none.
        max_rules: at most so many.
        off: names of the guards that are switched off.
        stakes: (EVERY, a category or a tag) -> US dollars that a wrong answer costs, beside what the suite says.
    """

    form: str = BEST
    place: int | None = None
    goal: Goal = "cost"
    floor_in: str = DROP
    floor: float = 1.0
    max_cost_usd_per_1k: float = 1.0
    max_drop_per_slice: float = 5.0
    max_latency_p95_s: float | None = None
    max_rules: int = 12
    off: tuple[str, ...] = ()
    stakes: tuple[tuple[str, float], ...] = ()

    def constraints(self, qualities: Mapping[str, float]) -> Constraints:
        """Returns what is asked, as tuning takes it.

        Args:
            qualities: model -> its mean score on the training half.
        """
        best = max(qualities.values())
        drop = Constraints().max_quality_drop
        least: float | None = None
        if self.goal != "quality":
            if self.floor_in == SCORE:
                least = self.floor / 100
            elif self.floor_in == DROP:
                drop = self.floor / 100
            elif self.floor_in == BEST_SINGLE:
                drop = best * (1 - self.floor / 100)
            else:
                least = qualities[self.floor_in] * self.floor / 100
        return Constraints(
            max_quality_drop=round(drop, 6),
            max_quality_drop_per_slice=self.max_drop_per_slice / 100,
            min_quality=None if least is None else round(least, 6),
            max_cost_usd_per_1k=self.max_cost_usd_per_1k if self.goal == "quality" else None,
            max_latency_p95_s=self.max_latency_p95_s,
            max_rules=self.max_rules,
            count_damage=self.goal == "charge",
        )

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self), "off": list(self.off), "stakes": dict(self.stakes)}


def check(fields: Mapping[str, Any], setting: Setting, study: Study) -> None:
    """Checks that fields to be changed name what there is.

    Args:
        fields: of a setting, by name.
        setting: that they change.
        study: what is learned by now.

    Raises:
        InputError: they name something else.
    """
    known = {
        "form": [BEST, MIX, *(curve.name for curve in study.curves)],
        "goal": get_args(Goal),
        "floor_in": [DROP, SCORE, BEST_SINGLE, *study.outcomes.models],
    }
    for name, value in fields.items():
        if name not in Setting.__dataclass_fields__:
            raise InputError(f"a setting has no {name!r}{nearest(name, Setting.__dataclass_fields__)}")
        if name in known and value not in known[name]:
            raise InputError(
                f"no {name} {value!r}{nearest(str(value), known[name])}; there are: {_listed(known[name])}"
            )
    guards = [guard.name for guard in study.guards]
    for name in fields.get("off", ()):
        if name not in guards:
            raise InputError(f"no guard {name!r}{nearest(name, guards)}; there are: {_listed(guards) or 'none'}")
    if tuple(fields.get("off", setting.off)) != setting.off and study.waiting:
        raise InputError("guards are switched once every form is learned; wait for the rest, or learn again")
    if fields.get("place") is not None:
        study.at(fields.get("form", setting.form), fields["place"])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def keywords(constraints: Constraints) -> dict[str, Any]:
    """Returns the fields of a constraint that are not as they are anyway."""
    usual = asdict(Constraints())
    return {name: value for name, value in asdict(constraints).items() if value != usual[name]}
