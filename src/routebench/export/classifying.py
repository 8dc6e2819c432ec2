"""Which tier a request takes, for gateways that hold the chains and cannot read the text: asked by whoever sends it.

This runs in the client, or in a small service in front of the gateway, and needs no more than the rules do.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from routebench.errors import InputError, RulesError
from routebench.export.tiers import ChainTier, consulted, left_out, tiers_of
from routebench.export.unchecked import openings_as_written, without_answers
from routebench.rules import Ask, Router, RuleSet
from routebench.rules.guards import Gatekeeper
from routebench.rules.reading.request import Reading, Situation
from routebench.types import Message, Request

TIER = "rb_tier"
"""The key of the caller's metadata that names the tier."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)\}")
_FILLED = frozenset({"api_key", "custom_host"})
"""Where variables stand: what a parameter says is sent as it is."""

LookUp = Callable[[str], str | None]
"""Finds the value of an environment variable."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Classifier:
    """Decides requests by a rule set, and says which tier that is.

    Args:
        ruleset: the policy, as it was measured.
        without: models that the gateway cannot call.
        as_written: where cascades stand whose first model is asked first; the others begin at their last one.
        ask: asks a model that has a say in decisions, such as a classifier of `kind: llm`.
        now: the time with its zone, for conditions on it.

    Attributes:
        ruleset: what is decided by: without what depends on answers and calls.
        tiers: that it names.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        *,
        without: Sequence[str] = (),
        as_written: Sequence[str] = (),
        ask: Ask | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.ruleset = left_out(without_answers(ruleset, openings_as_written(as_written))[0], without)
        self._now = now
        self._router = Router(self.ruleset, ask=ask, now=now)
        self._gatekeeper = Gatekeeper(self.ruleset)
        self.tiers = tiers_of(self.ruleset)
        self._firsts = {tier.chain[0] for tier in self.tiers}
        self._named = {(tier.chain, tier.regions): tier for tier in self.tiers}

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        policy_sha256: str,
        without: Sequence[str] = (),
        as_written: Sequence[str] = (),
        ask: Ask | None = None,
    ) -> Self:
        """Reads a rules.yaml.

        Args:
            path: of the file.
            policy_sha256: of the policy that the tiers were written for.
            without: as above.
            as_written: as above.
            ask: as above.

        Raises:
            RulesError: the file cannot be used, or is another policy.
        """
        ruleset = RuleSet.load(path)
        if ruleset.policy_sha256 != policy_sha256:
            raise RulesError(
                f"{path}: its policy is {ruleset.policy_sha256[:12]}, and the tiers are those of {policy_sha256[:12]}; "
                "run `routebench export` again, and load what it writes"
            )
        return cls(ruleset, without=without, as_written=as_written, ask=ask)

    def decide(self, request: Request, previous: str | None = None) -> ChainTier:
        """Returns the tier of a request: its chain, or the first models of it that a tier has.

        Args:
            request: what is asked.
            previous: the model that answered the conversation so far.

        Raises:
            NoEligibleModelError: guards and limits leave no model.
        """
        reading = Reading(request, Situation(self._now()))
        # A model that no tier begins with cannot have answered before.
        decision = self._router.decide(reading, previous if previous in self._firsts else None)
        regions = self._gatekeeper.admit(reading).regions
        for length in range(len(decision.chain), 0, -1):
            found = self._named.get((decision.chain[:length], regions))
            if found is not None:
                return found
        raise AssertionError(f"model {decision.chain[0]} has no tier of its own")

    def tier(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        response_format: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        previous: str | None = None,
    ) -> ChainTier:
        """As `decide`, for the parts of a request, as `Router.route` takes them."""
        request = Request(
            messages=tuple(messages),
            tools=tuple(tools),
            response_format=response_format,
            params=params or {},
            metadata=metadata or {},
            tags=tuple(tags),
        )
        return self.decide(request, previous)


class PortkeyHeaders:
    """The headers that a request to Portkey's gateway needs: its tier, and the config with keys in place.

    Args:
        classifier: names the tier.
        config: the exported config, in which `${NAME}` stands for a variable's value.
        look: finds the value of a variable.

    Attributes:
        most: characters of a config that is sent as a whole; Node refuses requests whose headers are longer than 16 kB
            together, and half of that leaves room for what others add.

    Raises:
        InputError: a variable is not set.
    """

    most = 8_000

    def __init__(self, classifier: Classifier, config: Mapping[str, Any], look: LookUp = os.environ.get) -> None:
        self.classifier = classifier
        # What begins with an underscore is the heading, for people.
        said = {key: value for key, value in config.items() if not key.startswith("_")}
        filled = _filled(said, look)
        text = json.dumps(filled, separators=(",", ":"))
        # A config that is too long for a header is sent as the one target that it would choose.
        self._texts = {
            target["name"]: text if len(text) <= self.most else json.dumps(target, separators=(",", ":"))
            for target in filled["targets"]
        }

    @classmethod
    def load(
        cls,
        rules: str | Path,
        config: str | Path,
        *,
        policy_sha256: str,
        as_written: Sequence[str] = (),
        ask: Ask | None = None,
    ) -> Self:
        """Reads a rules.yaml, and the config that was exported from it.

        Raises:
            RulesError: the rules cannot be used, or are another policy.
            InputError: a variable is not set.
        """
        classifier = Classifier.load(rules, policy_sha256=policy_sha256, as_written=as_written, ask=ask)
        return cls(classifier, json.loads(Path(config).read_text(encoding="utf-8")))

    def __call__(self, messages: Sequence[Message], **known: Any) -> dict[str, str]:
        """Returns the headers of one request.

        Args:
            messages: the conversation.
            **known: what `Classifier.tier` takes besides.

        Raises:
            NoEligibleModelError: guards and limits leave no model; do not send it.
        """
        return self.headers(self.classifier.tier(messages, **known))

    def headers(self, tier: ChainTier) -> dict[str, str]:
        """Returns the headers of a request of this tier."""
        return {"x-portkey-config": self._texts[tier.name], "x-portkey-metadata": json.dumps({TIER: tier.name})}


class OpenRouterTemplates:
    """What a request to OpenRouter needs besides its messages: the template of its tier.

    Args:
        classifier: names the tier.
        templates: by the tier's name.
    """

    def __init__(self, classifier: Classifier, templates: Mapping[str, Mapping[str, Any]]) -> None:
        self.classifier = classifier
        self._templates = templates

    @classmethod
    def load(cls, rules: str | Path, templates: str | Path, *, policy_sha256: str, ask: Ask | None = None) -> Self:
        """Reads a rules.yaml, and the templates that were exported from it.

        Raises:
            RulesError: the rules cannot be used, or are another policy.
        """
        document = json.loads(Path(templates).read_text(encoding="utf-8"))
        known = {name: document.get(name, ()) for name in ("without", "as_written")}
        return cls(Classifier.load(rules, policy_sha256=policy_sha256, ask=ask, **known), document["templates"])

    def __call__(self, messages: Sequence[Message], **known: Any) -> dict[str, Any]:
        """Returns the body of one request but for its messages and tools.

        Args:
            messages: the conversation.
            **known: what `Classifier.tier` takes besides.

        Raises:
            NoEligibleModelError: guards and limits leave no model; do not send it.
        """
        return dict(self._templates[self.classifier.tier(messages, **known).name])


def asked_model(ruleset: RuleSet) -> tuple[str, ...]:
    """Returns what the reader has to do where a model has a say in the decisions; nothing where none has."""
    model = consulted(ruleset)
    return () if model is None else (f"give `load` an `ask` that asks {model}, which says how complex a request is",)


def rules_file(ruleset: RuleSet) -> str:
    """Returns the name of the file that a rule set was read from; rules.yaml where it was made otherwise."""
    return "rules.yaml" if ruleset.source is None else Path(ruleset.source).name


def _filled(config: Mapping[str, Any], look: LookUp) -> dict[str, Any]:
    """The config with the values of its variables."""
    missing: dict[str, None] = {}

    def value(found: re.Match[str]) -> str:
        told = look(found[1])
        if told is None:
            missing[found[1]] = None
        return told or ""

    def fill(key: str, one: Any) -> Any:
        if isinstance(one, Mapping):
            return {name: fill(name, inner) for name, inner in one.items()}
        if isinstance(one, list):
            return [fill(key, inner) for inner in one]
        return _VARIABLE.sub(value, one) if key in _FILLED else one

    filled: dict[str, Any] = fill("", config)
    if missing:
        raise InputError(f"environment variable {', '.join(missing)} is not set; the exported config needs it")
    return filled
