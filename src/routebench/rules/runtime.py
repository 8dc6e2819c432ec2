"""Router: a rule set at work, one request after the other; the same code in replay, in process and in a gateway."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from routebench.errors import NoEligibleModelError
from routebench.rules.conditions import Condition
from routebench.rules.reading import Reading
from routebench.rules.ruleset import Guard, RuleSet
from routebench.types import Decision, Message, Model, Request

DEFAULT = "default"
STICKY = "sticky"


class Router:
    """Decides requests by a rule set.

    Args:
        ruleset: the policy.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        self.ruleset = ruleset
        self._rules = [(rule, Condition.parse(rule.when)) for rule in ruleset.rules]
        self._says = {rule.name: str(condition) for rule, condition in self._rules}
        self._guards = [
            (guard, Condition.parse(guard.when, scope="conversation"), _allowed(guard, ruleset))
            for guard in ruleset.guards
        ]
        self._order = ruleset.order
        self._limited = frozenset(name for name in ruleset.order if _has_limits(ruleset.models[name]))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a rules.yaml and returns its router.

        Raises:
            RulesError: the file cannot be used.
        """
        return cls(RuleSet.load(path))

    def route(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        response_format: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        previous: str | None = None,
    ) -> Decision:
        """Decides one chat request.

        Args:
            messages: the conversation, in the form of the chat completions API.
            tools: tools that the request offers.
            response_format: the form that the answer must have.
            params: other request parameters, such as max_tokens.
            metadata: values that the caller knows, for conditions `metadata.NAME`.
            tags: words that the caller knows, for conditions `tag`.
            previous: the model that answered the conversation so far.

        Raises:
            NoEligibleModelError: guards and limits leave no model.
        """
        request = Request(tuple(messages), tuple(tools), response_format, params or {}, metadata or {}, tuple(tags))
        reading = Reading(request)
        return replace(self._decide(reading, previous), features=reading.features())

    def decide(self, request: Request | Reading, previous: str | None = None) -> Decision:
        """Decides a request; as `route`, without spelling the features out.

        Raises:
            NoEligibleModelError: guards and limits leave no model.
        """
        return self._decide(request if isinstance(request, Reading) else Reading(request), previous)

    def explain(self, messages: Sequence[Message], **known: Any) -> Decision:
        """As `route`, and says what would decide without the rule that fired, and which rules nearly fired."""
        decision = self.route(messages, **known)
        previous = known.pop("previous", None)
        reading = Reading(Request(tuple(messages), **known))
        sentences = []
        if decision.rule not in (DEFAULT, STICKY):
            without = [(rule, condition) for rule, condition in self._rules if rule.name != decision.rule]
            other = self._decide(reading, previous, without)
            sentences.append(f"without rule {decision.rule}: {' > '.join(other.chain)} by {other.rule}")
        for rule, condition in self._rules:
            failed = [test for test in condition.tests if not test.holds(reading)]
            if rule.name != decision.rule and len(condition.tests) > 1 and len(failed) == 1:
                sentences.append(f"rule {rule.name} lacks only: {failed[0].says}")
        return replace(decision, counterfactuals=tuple(sentences))

    def _decide(self, reading: Reading, previous: str | None, rules: Any = None) -> Decision:
        allowed, held = self._eligible(reading)
        if previous in allowed and (self.ruleset.sticky == "conversation" or _ends_in_tool_result(reading.request)):
            rest = self._first(reading, allowed, held, self._rules if rules is None else rules).chain
            chain = (previous, *(name for name in rest if name != previous))
            return Decision(chain, rule=STICKY, why=f"the conversation stays with {previous}")
        return self._first(reading, allowed, held, self._rules if rules is None else rules)

    def _first(self, reading: Reading, allowed: Sequence[str], held: Sequence[str], rules: Any) -> Decision:
        because = f"; guards {', '.join(held)} hold" if held else ""
        for rule, condition in rules:
            if condition.matches(reading):
                chain = tuple([name for name in rule.route if name in allowed])
                if chain:
                    return Decision(chain, rule=rule.name, why=f"{self._says[rule.name]}{because}")
        chain = tuple(name for name in self._default(reading.request) if name in allowed)
        if chain:
            return Decision(chain, rule=DEFAULT, why=f"no rule matches{because}")
        # A guard may demand what no rule names: then its weakest model, and stronger ones after it.
        return Decision(tuple(allowed), rule=DEFAULT, why=f"no rule names a model that may take the request{because}")

    def _default(self, request: Request) -> tuple[str, ...]:
        default = self.ruleset.default
        if default.mix is None:
            return default.route or ()
        drawn, reached = draw(self.ruleset.name, request), 0.0
        for share, chain in default.mix:
            reached += share
            if drawn < reached:
                return chain
        return default.mix[-1][1]

    def _eligible(self, reading: Reading) -> tuple[list[str], list[str]]:
        """The models that may take a request, weakest first, and the names of the guards that hold."""
        allowed = [
            name
            for name in self._order
            if name not in self._limited or not _exceeds(self.ruleset.models[name], reading)
        ]
        if not allowed:
            raise NoEligibleModelError(
                f"no model of {self.ruleset.name!r} can take this request of about {reading.input_tokens} tokens: "
                "its length, tools, schema or images exceed them all; add a model that can"
            )
        held = []
        for guard, condition, permitted in self._guards:
            if condition.matches(reading):
                held.append(guard.name)
                allowed = [name for name in allowed if name in permitted]
        if not allowed:
            raise NoEligibleModelError(
                f"guards {', '.join(held)} of {self.ruleset.name!r} leave no model for this request; it fails rather "
                "than go where it must not"
            )
        return allowed, held


def draw(name: str, request: Request) -> float:
    """Returns a number in [0, 1) from a rule set's name and the messages up to the first user message.

    The same for every turn of a conversation, in every process, so that a mix can be replayed and checked.
    """
    head = []
    for message in request.messages:
        head.append(dict(message))
        if message.get("role") == "user":
            break
    body = json.dumps([name, head], sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return int.from_bytes(hashlib.sha256(body.encode()).digest()[:7], "big") / 2**56


def _allowed(guard: Guard, ruleset: RuleSet) -> frozenset[str]:
    if guard.only is not None:
        return frozenset(guard.only)
    if guard.never is not None:
        return frozenset(ruleset.models) - frozenset(guard.never)
    assert guard.at_least is not None
    return frozenset(ruleset.order[ruleset.order.index(guard.at_least) :])


def _has_limits(model: Model) -> bool:
    return model.context_window is not None or model.max_output is not None or model.capabilities is not None


def _exceeds(model: Model, reading: Reading) -> bool:
    """Whether a request is surely too much for a model; what is unknown of a model is not held against it."""
    request = reading.request
    asked = request.params.get("max_completion_tokens") or request.params.get("max_tokens") or 0
    if model.context_window is not None and reading.input_tokens + asked > model.context_window:
        return True
    if model.max_output is not None and asked > model.max_output:
        return True
    if model.capabilities is None:
        return False
    needed = {
        "tools": bool(request.tools),
        "json_schema": reading.wants_json_schema,
        "vision": reading.has_images,
    }
    return any(wanted and capability not in model.capabilities for capability, wanted in needed.items())


def _ends_in_tool_result(request: Request) -> bool:
    return bool(request.messages) and request.messages[-1].get("role") == "tool"
