"""How a rule set has a model asked while it decides: by the application, for nothing here speaks to a network."""

from __future__ import annotations

from collections.abc import Callable

from routebench.errors import RulesError
from routebench.rules.deployments import Deployment
from routebench.rules.guards import Admission
from routebench.types import Answer, Request

Ask = Callable[[str, Deployment, Request], Answer]
"""Asks a model of the rule set, at one of its places, and returns what it answered, or an Answer with an `error_kind`.

It says how long that may take, and whether equal requests are asked once: a router calls it for every decision."""

Consult = Callable[[str, Request, Admission], Answer]
"""Asks a model that may take the request, in a place where it may be processed; a router's, around its `Ask`."""


class NobodyAsksError(RulesError):
    """A decision needs a model's answer, and nobody gave the router a way to ask."""
