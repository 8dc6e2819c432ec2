"""Guards that a new rule set holds less strictly than the old one did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from routebench.rules.comparing.identity import (
    identity,
    is_in,
    known_as,
    places,
    servers,
    spelled_alike,
    stands_for,
    stays,
)
from routebench.rules.conditions.condition import Condition
from routebench.rules.conditions.covering import covered
from routebench.rules.conditions.parts import mentions
from routebench.rules.contents import Guard
from routebench.rules.reading.request import Reading
from routebench.rules.ruleset import RuleSet
from routebench.types import Request


@dataclass(frozen=True, slots=True)
class Loosening:
    """A guard of the old rule set that the new one does not surely hold as strictly.

    Attributes:
        guard: its name in the old rule set.
        sentence: what became of it.
    """

    guard: str
    sentence: str

    def as_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {"guard": self.guard, "sentence": self.sentence}


def loosened(old: RuleSet, new: RuleSet) -> tuple[Loosening, ...]:
    """Returns the guards of `old` that `new` does not surely hold as strictly, in their order.

    A guard is held where the new guards that admit no model more surely match every request that it matched; whatever
    they are called, for guards hold together. What cannot be shown counts as loosened. A model that `old` does not
    know is admitted by its `never`, by its `regions` where a server that `old` does not know runs there, and by its
    `at_least` where `new` orders it above the weakest admitted model that is left; never by its `only`. A name that
    stands for another model or another place now is none that `old` knew.
    """
    found = []
    for guard in old.guards:
        strict = [one for one in new.guards if not _more(guard, one, old, new)]
        if not covered(guard.when, [one.when for one in strict if _asks_alike(one, old, new)]):
            found.append(Loosening(guard.name, _sentence(guard, old, new)))
    return tuple(found)


def newly_admitted(old: RuleSet, new: RuleSet) -> Callable[[Request | Reading], tuple[str, ...]]:
    """Returns a function from a request to the models that the guards of `new` admit and those of `old` did not.

    Limits of models are not guards and not asked here.
    """
    before = [(_condition(guard), _admitted(guard, old, new)) for guard in old.guards]
    after = [(_condition(guard), _admitted(guard, new, new)) for guard in new.guards]

    def find(request: Request | Reading) -> tuple[str, ...]:
        reading = request if isinstance(request, Reading) else Reading(request)
        refused = {name for name in new.order for sets in before if _refuses(sets, name, reading)}
        if not refused:
            return ()
        return tuple(
            name for name in new.order if name in refused and not any(_refuses(sets, name, reading) for sets in after)
        )

    return find


def _asks_alike(guard: Guard, old: RuleSet, new: RuleSet) -> bool:
    """Whether a guard asks the same of a request in both: the pace of spending is measured by the budget."""
    return _day(old) == _day(new) or not mentions(guard.when, ("budget_pace",))


def _day(ruleset: RuleSet) -> tuple[float, str] | None:
    budget = ruleset.budget
    return None if budget is None else (budget.usd_per_day, budget.timezone)


_Sets = tuple[Condition, frozenset[str]]


def _refuses(sets: _Sets, name: str, reading: Reading) -> bool:
    condition, admitted = sets
    return name not in admitted and condition.matches(reading)


def _condition(guard: Guard) -> Condition:
    return Condition.parse(guard.when, scope="conversation")


def _more(guard: Guard, other: Guard, old: RuleSet, new: RuleSet) -> list[str]:
    """Models of `new` that its guard `other` admits and `guard` of `old` would not, weakest first."""
    after = _admitted(other, new, new)
    if guard.regions is not None:
        # By its own places, not by the model: one of them outside suffices.
        return [name for name in new.order if name in after and not _stays_in(guard.regions, name, other, old, new)]
    before = _admitted(guard, old, new)
    return [name for name in new.order if name in after and name not in before]


def _stays_in(regions: Sequence[str], name: str, other: Guard, old: RuleSet, new: RuleSet) -> bool:
    """Whether everywhere that a guard of `new` lets a model run is in regions of `old`."""
    some = frozenset(regions)
    permitted = [one for one in places(name, new) if other.regions is None or one.region in other.regions]
    return all(is_in(one, name, some, old) for one in permitted)


def _admitted(guard: Guard, ruleset: RuleSet, among: RuleSet) -> frozenset[str]:
    """The models of `among` that a guard of `ruleset` admits."""
    return frozenset(name for name in among.order if _admits(guard, ruleset, name, among))


def _admits(guard: Guard, ruleset: RuleSet, name: str, among: RuleSet) -> bool:
    if guard.only is not None:
        return name in guard.only and stays(name, ruleset, among)
    if guard.regions is not None:
        return any(is_in(one, name, frozenset(guard.regions), ruleset) for one in places(name, among))
    if guard.never is not None:
        return name not in guard.never and not stands_for(name, guard.never, ruleset, among)
    assert guard.at_least is not None
    admitted = ruleset.order[ruleset.order.index(guard.at_least) :]
    known = known_as(name, ruleset, among)
    if known is not None:
        return known in admitted and servers([name], among) <= servers([known], ruleset)
    if name in ruleset.models:
        # Another model under a name that was strong enough: nothing shows that it is.
        return False
    alike = spelled_alike(name, ruleset, among)
    if alike and alike.isdisjoint(admitted):
        return False
    # A model that the rule set does not know: it is stronger than the floor where the other's order says so.
    left = [one for one in admitted if one in among.models]
    return bool(left) and among.order.index(name) > among.order.index(left[0])


def _sentence(guard: Guard, old: RuleSet, new: RuleSet) -> str:
    other = next((one for one in new.guards if one.name == guard.name), None)
    if other is None:
        strict = [one for one in new.guards if not _more(guard, one, old, new)]
        beside = next((one for one in strict if covered(one.when, [guard.when])), None)
        if beside is None:
            return f"guard {guard.name!r} ({_said(guard)}) is gone, and no other surely holds as much"
        return f"guard {guard.name!r} is gone; {beside.name!r} holds for fewer requests: {_became(guard, beside)}"
    more = _more(guard, other, old, new)
    if more:
        return f"guard {guard.name!r} now admits {', '.join(more)}: {_why(guard, other, old, new, more)}"
    if not _asks_alike(other, old, new):
        return f"guard {guard.name!r} asks for the pace of spending, and the budget that it is measured by changed"
    if covered(other.when, [guard.when]):
        return f"guard {guard.name!r} holds for fewer requests: {_became(guard, other)}"
    return (
        f"guard {guard.name!r} cannot be shown to hold for every request that it held for: {_became(guard, other)}; "
        "so it counts as loosened"
    )


def _why(guard: Guard, other: Guard, old: RuleSet, new: RuleSet, more: Sequence[str]) -> str:
    if _demand(guard) != _demand(other):
        return f"{_demand(guard)} became {_demand(other)}"
    others = [name for name in more if name in old.models and identity(old.models[name]) != identity(new.models[name])]
    moved = [name for name in more if name in old.models and name not in others and not stays(name, old, new)]
    if others:
        return f"{_demand(guard)} stands, but {', '.join(others)} is another model, provider or base_url now"
    if moved:
        return f"{_demand(guard)} stands, but {', '.join(moved)} goes to another base_url, key or region"
    return f"{_demand(guard)} stands, but the models or their `order` changed"


def _became(guard: Guard, other: Guard) -> str:
    return f"{_condition(guard)} became {_condition(other)}"


def _said(guard: Guard) -> str:
    return f"{_demand(guard)}, when {_condition(guard)}"


def _demand(guard: Guard) -> str:
    pairs: tuple[tuple[str, Any], ...] = (
        ("only", guard.only),
        ("never", guard.never),
        ("at_least", guard.at_least),
        ("regions", guard.regions),
    )
    return next(
        f"{key} {value if isinstance(value, str) else ', '.join(value)}" for key, value in pairs if value is not None
    )
