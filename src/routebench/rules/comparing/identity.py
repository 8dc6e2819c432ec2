"""Whether a name of a new rule set still stands for what the old one knew: by what is asked, and where it is asked.

Names prove nothing, for a file can give them to other models; neither do regions, for they are labels. What a guard
said of a model holds for the same model in the same place, whatever it is called now.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from routebench.rules.deployments import Deployment
from routebench.rules.ruleset import RuleSet
from routebench.types import Model

_REDIRECTING = ("model", "models", "provider", "route", "base_url", "extra_body", "extra_headers")
"""Request parameters by which a server or a gateway behind it asks another model, or asks it elsewhere."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go: what is asked there, with whose key.

    Attributes:
        redirects: parameters that may lead on to another model or place, as JSON.
    """

    provider: str
    model: str
    base_url: str | None
    key_env: str | None
    redirects: str
    region: str | None

    @property
    def server(self) -> str:
        """Who answers there, whatever is asked and with whose key: a host, else the provider at its own address."""
        return self.provider if self.base_url is None else urlsplit(self.base_url).netloc.lower() or self.base_url

    @property
    def unlabelled(self) -> tuple[str | None, ...]:
        """All but the region, which is what the file says of it."""
        return self.provider, self.model, self.base_url, self.key_env, self.redirects


def places(name: str, ruleset: RuleSet) -> frozenset[Place]:
    """Returns where a rule set asks a model."""
    model = ruleset.models[name]
    return frozenset(_place(model, one) for one in ruleset.deployments_of(name))


def servers(names: Sequence[str], ruleset: RuleSet) -> set[str]:
    """Returns who answers for some models of a rule set."""
    return {place.server for name in names for place in places(name, ruleset)}


def identity(model: Model) -> tuple[str | None, ...]:
    """Returns what two settings of one model have in common: provider, id, address, and where parameters lead on to."""
    return model.provider, model.model, model.base_url, _redirects(model)


def stays(name: str, before: RuleSet, after: RuleSet) -> bool:
    """Whether requests to a name still go to the same model, and to none but the same places."""
    return places(name, after) <= places(name, before)


def known_as(name: str, before: RuleSet, after: RuleSet) -> str | None:
    """Returns what `before` called the model that `after` calls by a name: itself mostly; None for another model."""
    model, same = after.models[name], before.models.get(name)
    if same is not None and identity(same) == identity(model):
        return name
    return next((known for known, one in before.models.items() if _asked(one) == _asked(model)), None)


def stands_for(name: str, forbidden: Sequence[str], before: RuleSet, after: RuleSet) -> bool:
    """Whether a name of `after` may stand for a model that was forbidden by another name, or goes where only those did.

    Args:
        name: of a model that is not forbidden by its name.
        forbidden: names of `before`.
        before: where they were forbidden.
        after: where the name is from.
    """
    known, now = known_as(name, before, after), places(name, after)
    if known is not None and known not in forbidden and now <= places(known, before):
        return False
    model = after.models[name]
    refused = [one for one in before.models if one in forbidden]
    free = [one for one in before.models if one not in forbidden]
    if any(identity(before.models[one]) == identity(model) for one in refused):
        return True
    alike = spelled_alike(name, before, after)
    if not alike.isdisjoint(refused) and alike.isdisjoint(free):
        return True
    apart = servers(refused, before) - servers(free, before)
    return any(one.base_url is not None and one.server in apart for one in now)


def spelled_alike(name: str, before: RuleSet, after: RuleSet) -> frozenset[str]:
    """Returns the names of `before` whose models have the id of a model of `after`, with whichever provider."""
    wanted = _spelled(after.models[name])
    return frozenset(known for known, model in before.models.items() if _spelled(model) == wanted)


def is_in(place: Place, name: str, regions: frozenset[str], before: RuleSet) -> bool:
    """Whether a place of a later rule set can be believed to be in one of some regions.

    What `before` placed outside, or under no region, is not moved by another label; and where a model that `before`
    knew is asked somewhere new, nothing shows that the new place is where its label says.

    Args:
        place: of the later rule set.
        name: of its model there.
        regions: such as `eu`.
        before: the rule set that the later one is compared with.
    """
    if place.region not in regions:
        return False
    known = [one for other in before.models for one in places(other, before)]
    same = [one.region for one in known if one.unlabelled == place.unlabelled]
    if same:
        return not regions.isdisjoint(same)
    if name in before.models:
        return False
    beside = [one.region for one in known if one.server == place.server]
    return not beside or not regions.isdisjoint(beside)


def _place(model: Model, deployment: Deployment) -> Place:
    return Place(
        model.provider,
        model.model,
        deployment.base_url,
        deployment.key_env,
        _redirects(model),
        deployment.region,
    )


def _redirects(model: Model) -> str:
    found = {name: model.params[name] for name in _REDIRECTING if name in model.params}
    return json.dumps(found, sort_keys=True, default=str) if found else ""


def _asked(model: Model) -> tuple[Any, ...]:
    return model.provider, model.model, model.base_url, model.region, model.params, model.system, model.few_shot


def _spelled(model: Model) -> str:
    """The model's id as any provider may spell it: gateways put a vendor before it."""
    return model.model.rpartition("/")[2].casefold()
