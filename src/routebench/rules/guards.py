"""Which models may take a request: limits of the models, then guards. Every chain passes here, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from routebench.errors import NoEligibleModelError
from routebench.messages import estimate_input_tokens, most_output_tokens
from routebench.rules.conditions.lineup import Lineup
from routebench.rules.reading.request import Reading
from routebench.types import Model

if TYPE_CHECKING:
    from routebench.rules.contents import Contents, Guard


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may take a request.

    Attributes:
        models: weakest first; never empty.
        held: names of the guards that hold for it.
        regions: where it may be processed; None where no guard says.
    """

    models: tuple[str, ...]
    held: tuple[str, ...] = ()
    regions: frozenset[str] | None = None

    def keep(self, chain: Sequence[str]) -> tuple[str, ...]:
        """Returns the models of a chain that may take the request, in the chain's order."""
        return tuple([name for name in chain if name in self.models])

    @property
    def because(self) -> str:
        """What to add to a sentence where guards hold."""
        return f"; guards {', '.join(self.held)} hold" if self.held else ""


class Gatekeeper:
    """The guards and limits of a rule set, ready to be asked.

    Args:
        ruleset: the policy.
    """

    def __init__(self, ruleset: Contents) -> None:
        self._name = ruleset.name
        self._all = Admission(ruleset.order)
        self._regions = {name: frozenset(one.region for one in ruleset.deployments_of(name)) for name in ruleset.order}
        self._limited = [(name, ruleset.models[name]) for name in ruleset.order if _has_limits(ruleset.models[name])]
        self._guards = [
            (guard.name, admitted(guard, ruleset), None if guard.regions is None else frozenset(guard.regions))
            for guard in ruleset.guards
        ]
        self._lineup = Lineup.of([guard.when for guard in ruleset.guards], "conversation")

    def admit(self, reading: Reading, without: str | None = None) -> Admission:
        """Returns who may take a request.

        Args:
            reading: the request.
            without: the name of a guard to leave out, for what would be without it.

        Raises:
            NoEligibleModelError: nobody may.
        """
        models: Sequence[str] = self._all.models
        if self._limited:
            refused = {name: why for name, model in self._limited if (why := exceeds(model, reading)) is not None}
            models = [name for name in models if name not in refused]
            if not models:
                listed = "; ".join(f"{name}: {why}" for name, why in refused.items())
                raise NoEligibleModelError(
                    f"no model of {self._name!r} can take this request of about {reading.input_tokens} tokens "
                    f"({listed}); add a model that can"
                )
        held: list[str] = []
        regions: frozenset[str] | None = None
        for place in self._lineup.matching(reading):
            name, permitted, places = self._guards[place]
            if name == without:
                continue
            held.append(name)
            models = [one for one in models if one in permitted]
            if places is not None:
                regions = places if regions is None else regions & places
        if regions is not None:
            # Two guards may each find a place of the same model, and no place satisfy both.
            models = [one for one in models if not self._regions[one].isdisjoint(regions)]
        if not held:
            return self._all if len(models) == len(self._all.models) else Admission(tuple(models))
        if not models:
            raise NoEligibleModelError(
                f"guards {', '.join(held)} of {self._name!r} leave no model for this request; it fails rather than go "
                "where it must not"
            )
        return Admission(tuple(models), tuple(held), regions)


def admitted(guard: Guard, ruleset: Contents) -> frozenset[str]:
    """Returns the models that a guard allows where it holds."""
    if guard.only is not None:
        return frozenset(guard.only)
    if guard.never is not None:
        return frozenset(ruleset.models) - frozenset(guard.never)
    if guard.regions is not None:
        # Where a model runs is not known: then it is not known to run where it must.
        return frozenset(
            name for name in ruleset.models if any(one.region in guard.regions for one in ruleset.deployments_of(name))
        )
    assert guard.at_least is not None
    return frozenset(ruleset.order[ruleset.order.index(guard.at_least) :])


def exceeds(model: Model, reading: Reading) -> str | None:
    """Returns why a request is surely too much for a model; None where it is not, or where that is unknown."""
    request = reading.request
    asked = most_output_tokens(request.params) or 0
    if model.context_window is not None:
        # Demonstrations are sent along with every request. The model's own cap on answers is no demand of the caller's.
        shown = estimate_input_tokens(model.few_shot)
        if reading.input_tokens + shown + asked > model.context_window:
            return f"its context holds {model.context_window} tokens"
    if model.max_output is not None and asked > model.max_output:
        return f"it answers {model.max_output} tokens at most"
    if model.capabilities is None:
        return None
    needed: Mapping[str, bool] = {
        "tools": bool(request.tools),
        "json_schema": reading.wants_json_schema,
        "vision": reading.has_images,
    }
    lacking = [name for name, wanted in needed.items() if wanted and name not in model.capabilities]
    return f"it has no {', '.join(lacking)}" if lacking else None


def _has_limits(model: Model) -> bool:
    return model.context_window is not None or model.max_output is not None or model.capabilities is not None
