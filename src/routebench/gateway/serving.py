"""What serves: the policy of the moment, those who may ask, the limits, and where traces go."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from routebench.errors import BudgetSpentError, NoEligibleModelError, RoutebenchError
from routebench.gateway.asked import Asked
from routebench.gateway.clients import Client, Clients
from routebench.gateway.conversations import Conversations
from routebench.gateway.limits import Limits, Seats
from routebench.gateway.listening import check_visitor
from routebench.gateway.metrics import Metrics
from routebench.gateway.policy import Policy
from routebench.rules import Router, RuleSet
from routebench.traces.row import Trace

_log = logging.getLogger("routebench.gateway")


class Looks:
    """How often a request is looked at in full for its trace: the first ones of every second, so many.

    Its language and the like take longer to find out than to decide it, and of thousands of requests a second a sample
    tells as much.

    Args:
        clock: seconds that only grow.
        most: in a second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 100) -> None:
        self._clock = clock
        self._most = most
        self._second = 0
        self._taken = 0

    def take(self) -> bool:
        """Whether this one is looked at."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= self._most


class Sink(Protocol):
    """Where traces go."""

    def put(self, trace: Trace) -> None:
        """Takes one; does not wait."""
        ...


# Seeded by the system once: names of requests and draws of exploration keep no secret, and are made for every request.
_random = random.Random()  # noqa: S311 - as said


def _new_id() -> str:
    return f"rb-{_random.getrandbits(96):024x}"


@dataclass(slots=True)
class Serving:
    """Everything that a request needs; its policy is another one after a reload.

    Attributes:
        name: of this process, in traces.
        policy: decides.
        shadow: another rule set's router, whose decisions are only written down.
        keeps_texts: whether traces hold prompts and answers.
        writer: where traces go; None where none are kept.
        spans: where they go besides.
        drawn: returns a number in [0, 1), a new one every time, for exploration.
        new_id: returns the name of a request, a new one every time.
        looks: which requests' traces have all features.
    """

    name: str
    policy: Policy
    clients: Clients
    limits: Limits
    seats: Seats
    conversations: Conversations
    metrics: Metrics
    shadow: Router | None = None
    keeps_texts: bool = False
    writer: Sink | None = None
    spans: Sink | None = None
    drawn: Callable[[], float] = _random.random
    new_id: Callable[[], str] = _new_id
    looks: Looks = field(default_factory=Looks)

    def admitted(self, sent: Mapping[bytes, bytes]) -> Client:
        """Returns whose request it is.

        Args:
            sent: its headers, their names in lower case.

        Raises:
            Refusal: its key is missing or not good; or nobody asks for keys, and a page of some site sent it.
        """
        if not self.clients.are_asked_for:
            check_visitor(sent)
        authorization, key = sent.get(b"authorization"), sent.get(b"x-api-key") or sent.get(b"api-key")
        return self.clients.admit(
            None if authorization is None else authorization.decode("latin-1"),
            None if key is None else key.decode("latin-1"),
        )

    def shadow_of(self, asked: Asked, previous: str | None) -> dict[str, Any]:
        """Returns what the shadow would have decided, as a trace tells it; nothing is sent."""
        shadow = self.shadow
        if shadow is None:
            return {}
        name = shadow.ruleset.name
        try:
            decision = shadow.decide(
                asked.request, previous if previous in shadow.ruleset.models else None, asked.model
            )
        except (NoEligibleModelError, BudgetSpentError) as error:
            return {"shadow_rules": name, "shadow_rule": type(error).__name__, "shadow_chain": ()}
        except RoutebenchError:
            # It has no such model, or asks one before it decides.
            return {"shadow_rules": name, "shadow_rule": None, "shadow_chain": ()}
        except Exception:  # noqa: BLE001 - it only looks on: what fails there must not touch the request
            _log.exception("the shadow %s failed", name)
            return {"shadow_rules": name, "shadow_rule": None, "shadow_chain": ()}
        return {"shadow_rules": name, "shadow_rule": decision.rule, "shadow_chain": decision.chain}


def shadow_router(ruleset: RuleSet) -> Router:
    """Returns a router of a rule set that only looks on: nothing that it decides is sent, so it learns of no call."""
    return Router(replace(ruleset, health=None, budget=None, explore=0.0))
