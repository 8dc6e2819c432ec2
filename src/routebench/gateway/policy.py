"""A rule set that serves: its router, its models with their prices and keys, and the providers that are asked."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from routebench.checking import Gate, check_rules
from routebench.errors import ConfigError, RulesError
from routebench.gateway.fitness import Fitness, UnfitError
from routebench.pricing import price_of_call
from routebench.providers import Call, Provider, check_requests, find_secrets, provider_kind, render, with_defaults
from routebench.redact import Secrets
from routebench.rules import Deployment, Router, RuleSet
from routebench.types import Answer, Completion, Model, Request

OpenProvider = Callable[[str, Mapping[str, str]], Provider]
"""Opens a provider by its name, for environment variable name -> secret."""
Look = Callable[[str], str | None]
"""Finds a secret by the name of its environment variable."""
_ASK_TIMEOUT_S = 30.0
_GRACE_S = 5.0


def open_by_kind(name: str, secrets: Mapping[str, str]) -> Provider:
    """Opens the provider that is registered under a name."""
    return provider_kind(name).open(secrets)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is asked.

    Attributes:
        name: of the deployment.
        model: with the address and the key's variable of this place.
        fitness: whether it can take a request.
    """

    name: str
    model: Model
    fitness: Fitness
    provider: Provider

    def call(self, request: Request, *, timeout_s: float, streamed: bool, how_sure: bool = False) -> Call:
        """Returns a request as it is sent here.

        Args:
            request: of the client.
            timeout_s: the longest time of the call.
            streamed: whether the answer is to come in pieces.
            how_sure: whether to ask for the chances of its tokens, where the model tells them.

        Raises:
            UnfitError: the model lacks something that it asks for.
        """
        params = {**request.params, "stream": streamed}
        fitted: Request | None = None
        if how_sure:
            with suppress(UnfitError):
                fitted = self._fitted(request, {**params, "logprobs": True})
        # Keys of calls name answers in a store; nothing is looked up here.
        return Call(self.model, fitted or self._fitted(request, params), 0, timeout_s, "")

    def _fitted(self, request: Request, params: Mapping[str, Any]) -> Request:
        asked = Request(request.messages, request.tools, request.response_format, params)
        return self.fitness.fitted(render(self.model, asked))

    def cost_usd(self, completion: Completion) -> float | None:
        """Returns what a call was billed, None while unknown."""
        return price_of_call(completion, self.model).billed_usd


class Policy:
    """A rule set at work; made anew for every version of its file.

    Args:
        ruleset: that passed its check.
        look: finds the providers' keys.
        now: the time, with its zone, for prices and for the router.
        open_provider: how a provider is opened.

    Attributes:
        ruleset: as above.
        router: decides by it.
        places: by the deployment's name.
        digest: the first twelve digits of `policy_sha256`.
        created: when it was read, in seconds since 1970.
        secrets: blanks the providers' keys in what is told.

    Raises:
        ConfigError: a provider is unknown, or a key is missing.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        *,
        look: Look,
        now: Callable[[], datetime],
        open_provider: OpenProvider = open_by_kind,
    ) -> None:
        self.ruleset = ruleset
        self.digest = ruleset.policy_sha256[:12]
        self.created = int(now().timestamp())
        models = {name: with_defaults(model, now()) for name, model in ruleset.models.items()}
        deployed = [
            (
                place,
                replace(models[name], base_url=place.base_url, key_env=place.key_env or _key_env(models[name], place)),
            )
            for name in ruleset.order
            for place in ruleset.deployments_of(name)
        ]
        secrets = find_secrets((model for _, model in deployed), look)
        self.secrets = Secrets(secrets.values())
        if open_provider is open_by_kind:
            # A parameter that a provider lacks, or a package that is not installed, would fail every single request.
            check_requests([model for _, model in deployed], [])
        names = dict.fromkeys(model.provider for _, model in deployed)
        self._providers = {name: open_provider(name, secrets) for name in names}
        self.places = {
            place.name: Place(
                place.name, model, Fitness(model, provider_kind(model.provider)), self._providers[model.provider]
            )
            for place, model in deployed
        }
        self._loop: asyncio.AbstractEventLoop | None = None
        self.router = Router(ruleset, now=now, ask=self._ask)
        self._holders = 0
        self._retired = False

    @classmethod
    def load(cls, path: Path, *, look: Look, now: Callable[[], datetime], open_provider: OpenProvider) -> Self:
        """Reads a rules.yaml and checks it: golden decisions, and whether its models still answer.

        Raises:
            RulesError: it cannot be used, or it does not pass its check.
            ConfigError: as above.
        """
        checked = check_rules(path, at=now())
        if not checked.ok:
            raise RulesError([f"{path}: does not pass `routebench check`", *_readings(checked.failed)])
        return cls(checked.ruleset, look=look, now=now, open_provider=open_provider)

    @property
    def blocks(self) -> bool:
        """Whether deciding may take so long that it has no place on an event loop: a model or an embedder has a say."""
        return may_block(self.router)

    def begin(self) -> None:
        """Notes that a request is served by it."""
        self._holders += 1

    async def end(self) -> None:
        """Notes that a request was served; the last one of a policy that was replaced closes its connections."""
        self._holders -= 1
        if self._retired and not self._holders:
            await self._close()

    async def retire(self) -> None:
        """Takes no more requests; connections are closed once those that it has are served."""
        self._retired = True
        if not self._holders:
            await self._close()

    async def _close(self) -> None:
        for provider in self._providers.values():
            await provider.aclose()

    def serve_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Says on which event loop models are asked that have a say in decisions."""
        self._loop = loop

    def _ask(self, model: str, deployment: Deployment, request: Request) -> Answer:
        """Asks a model that has a say in a decision; called on a thread, for it waits."""
        if self._loop is None:
            raise ConfigError(f"{self.ruleset.name!r} has {model!r} asked before it decides: nothing is served yet")
        place = self.places[deployment.name]
        try:
            call = place.call(request, timeout_s=_ASK_TIMEOUT_S, streamed=False)
        except ConfigError:
            return Answer(error_kind="bad_request")
        asking = asyncio.run_coroutine_threadsafe(place.provider.complete(call), self._loop)
        try:
            return answer_of(asking.result(_ASK_TIMEOUT_S + _GRACE_S), place)
        except TimeoutError:
            # A provider keeps the time itself; one that does not must not hold up the decision.
            asking.cancel()
            return Answer(error_kind="timeout")


def may_block(router: Router) -> bool:
    """Returns whether deciding may take so long that it has no place on an event loop."""
    similar = router.ruleset.similarity
    return router.asks_models or (similar is not None and "embedder" in similar.settings)


def answer_of(completion: Completion, place: Place) -> Answer:
    """Returns what routing looks at of a completion, with what it was billed."""
    return Answer(
        completion.text,
        completion.tool_calls,
        completion.finish_reason,
        confidence_of(completion),
        completion.error_kind,
        completion.latency_s,
        place.cost_usd(completion),
    )


def confidence_of(completion: Completion) -> float | None:
    """Returns the mean chance of an answer's tokens; None where the provider does not tell them."""
    if not completion.logprobs:
        return None
    chances = [token.get("logprob") for token in completion.logprobs]
    known = [math.exp(min(chance, 0.0)) for chance in chances if isinstance(chance, (int, float))]
    return sum(known) / len(known) if len(known) == len(chances) else None


def _key_env(model: Model, place: Deployment) -> str | None:
    """A place at the model's own address is asked with the model's own key; another one with what it says itself."""
    return model.key_env if place.base_url == model.base_url else None


def _readings(gates: Iterable[Gate]) -> list[str]:
    return [gate.reading for gate in gates]
