"""Router: a rule set at work, one request after the other; the same code in replay, in process and in a gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from routebench.embedding.embedder import Embedder
from routebench.errors import BudgetSpentError, NoEligibleModelError, RulesError
from routebench.rules.answers.judge import AnswerJudge
from routebench.rules.asking import Ask, NobodyAsksError
from routebench.rules.budget import Ledger
from routebench.rules.cascade import Check, advance
from routebench.rules.choosing import Chooser, ends_in_tool_result
from routebench.rules.conditions.parts import mentions
from routebench.rules.contents import COMPLEXITY, NAMED
from routebench.rules.counterfactuals import removed, words_of
from routebench.rules.deployments import Deployment
from routebench.rules.exploring import explored
from routebench.rules.guards import Admission, Gatekeeper
from routebench.rules.health.health import BLAMELESS_KINDS, Health, Ticket
from routebench.rules.health.kinds import kind_of
from routebench.rules.learned.llm_classifier import LlmClassifier
from routebench.rules.phases import draw, phases
from routebench.rules.places import Places
from routebench.rules.reading.request import Features, Reading, Situation
from routebench.rules.ruleset import RuleSet
from routebench.types import Answer, Decision, Message, Request

if TYPE_CHECKING:
    from routebench.rules.learned.library import Library


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Router:
    """Decides requests by a rule set; safe to use from many threads.

    A decision depends on the request, on the time where a condition asks for it, on what `observe` and `next` told of
    calls, and on what `learn` told of answers: without these the same request is decided the same way for ever.

    Args:
        ruleset: the policy.
        now: the time with its zone, for conditions on it and for the budget.
        clock: seconds that only grow, for health.
        ask: asks a model that has a say in decisions, such as a classifier of `kind: llm`; needed by rule sets that
            have one. Its calls count for health and for the budget.
        embedders: by name, for a `similarity` whose `embedder` no installed package offers.

    Attributes:
        ruleset: the policy.
        health: how the models and their deployments are doing; None where the rule set has no `health`.
        ledger: what was spent today; None where the rule set has no `budget`.
        checks: what answers must be like, by name.
        library: the past prompts of `similarity`, with those that were learned since; None where the rule set has none.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        *,
        now: Callable[[], datetime] = _utc_now,
        clock: Callable[[], float] = time.monotonic,
        ask: Ask | None = None,
        embedders: Mapping[str, Embedder] | None = None,
    ) -> None:
        self.ruleset = ruleset
        self.checks = {name: Check.parse(check, ruleset.heads.get(name)) for name, check in ruleset.checks.items()}
        self._guards = Gatekeeper(ruleset)
        self._ask = ask
        self._consults = ruleset.complexity is not None and isinstance(ruleset.complexity.classifier, LlmClassifier)
        similar = ruleset.similarity
        where = "similarity" if ruleset.source is None else f"{ruleset.source}: similarity"
        self.library: Library | None = None if similar is None else similar.library.opened(embedders, where=where)
        self._rules, self._later = phases(ruleset, self._consult, self.library)
        self._chooser = Chooser(ruleset, self._rules, self._later, consults=self._consults)
        self._now = now
        whens = [*(guard.when for guard in ruleset.guards), *(rule.when for rule in ruleset.rules)]
        self._asks = any(mentions(when, ("time", "budget_pace")) for when in whens)
        deployments = {name: ruleset.deployments_of(name) for name in ruleset.order}
        names = [one.name for places in deployments.values() for one in places]
        self.health = None if ruleset.health is None else Health(ruleset.health, names, clock)
        self._places = Places(deployments, self.health)
        self.ledger = self._chooser.ledger = None if ruleset.budget is None else Ledger(ruleset.budget, now)

    @classmethod
    def load(cls, path: str | Path, *, ask: Ask | None = None, embedders: Mapping[str, Embedder] | None = None) -> Self:
        """Reads a rules.yaml and returns its router.

        Args:
            path: of the file.
            ask: as above.
            embedders: as above.

        Raises:
            RulesError: the file cannot be used.
        """
        return cls(RuleSet.load(path), ask=ask, embedders=embedders)

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
        model: str | None = None,
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
            model: the model that the caller names; it is asked or nothing is, and guards hold for it too.

        Raises:
            NoEligibleModelError: guards and limits leave no model, or not the one that was named.
            BudgetSpentError: today's budget is used up, and the rule set says to refuse.
            RulesError: a model has a say in the decision, and the router was given no `ask`.
        """
        asked = _asked(
            messages, tools=tools, response_format=response_format, params=params, metadata=metadata, tags=tags
        )
        return self.decide(asked, previous, model)

    def decide(self, request: Request | Reading, previous: str | None = None, model: str | None = None) -> Decision:
        """As `route`, for a request that is one already.

        Raises:
            NoEligibleModelError: guards and limits leave no model, or not the one that was named.
            BudgetSpentError: today's budget is used up, and the rule set says to refuse.
        """
        return self._decide(self._read(request), previous, model)

    def explore(self, decision: Decision, drawn: float, *, keep: Callable[[str], bool] = lambda _: True) -> Decision:
        """Returns the decision, or for the rule set's share of requests one whose first model was drawn at random.

        Guards and limits hold for what is drawn, a model that is doing badly is not, and a conversation that is bound
        to its model stays there. A call that ends in a tool's result is never moved.

        Args:
            decision: of this router, as it was decided.
            drawn: a number in [0, 1), drawn anew for every request.
            keep: whether the caller may use a model.
        """
        share = self.ruleset.explore
        if not share or decision.request is None or ends_in_tool_result(decision.request):
            return decision
        pool = decision.eligible
        if self.health is not None:
            places = {name: self.ruleset.deployments_of(name) for name in pool}
            pool = tuple(name for name in pool if any(self.health.state(one.name) == "closed" for one in places[name]))
        return explored(decision, pool, share, drawn, keep)

    def take_over(self, earlier: Router) -> None:
        """Goes on with what an earlier rule set's router knows: how the same places are doing, and today's spend.

        Args:
            earlier: the router that this one replaces; it may still end what it has begun.
        """
        if self.health is not None and earlier.health is not None and self.health.is_like(earlier.health):
            self.health = earlier.health
            self._places.health = earlier.health
        if self.ledger is not None and earlier.ledger is not None:
            if self.ledger.budget == earlier.ledger.budget:
                self.ledger = self._chooser.ledger = earlier.ledger
            else:
                self.ledger.take_over(earlier.ledger)

    @property
    def asks_models(self) -> bool:
        """Whether deciding or checking may wait for a model's answer: then it has no place on an event loop."""
        return self._consults or any(check.judge is not None for check in self.checks.values())

    def started(self, decision: Decision, deployment: str | None = None) -> Ticket | None:
        """Notes that a decision's model is asked now, so that health sees a call that hangs before it ends.

        Args:
            decision: whose `model` is asked.
            deployment: the name of the place; that of `deployment(decision)` when left out.

        Returns:
            What `next` takes as `ticket`; None where the rule set has no `health`. A call that is given up is told by
            `health.cancelled(ticket)`.
        """
        if self.health is None:
            return None
        return self.health.started(deployment or self.deployment(decision).name, kind_of(decision))

    def next(
        self, decision: Decision, answer: Answer, *, deployment: str | None = None, ticket: Ticket | None = None
    ) -> Decision:
        """Goes on after the first model of a decision's chain has answered or failed.

        The decision that comes back names the next model to ask (`model`), or none: then its `answer` is the accepted
        one, or None where all models have failed. What the answer says of the model's health and of spend is counted.

        Args:
            decision: of this router; it is not changed.
            answer: what its `model` answered.
            deployment: the name of the place that was asked; that of `deployment(decision)` when left out.
            ticket: that `started` gave, where it was asked.

        Raises:
            ValueError: the decision has no model to ask, or was made by hand.
            RulesError: a check asks a judge, and the router was given no `ask`.
        """
        if decision.request is None:
            raise ValueError("this decision holds no request; go on with one that `route` returned")
        check = None if decision.cascade is None else self.checks[decision.cascade]
        several = decision.model is not None and self._places.are_several(decision.model)
        regions = self._regions(decision) if several else None
        if several and deployment is None:
            drawn = draw(self.ruleset.name, decision.request)
            deployment = self._places.choose(decision, regions, drawn).name if ticket is None else ticket.name
        failed = answer.error_kind is not None and answer.error_kind not in BLAMELESS_KINDS
        left = {one.name for one in self._places.left(decision, regions)} if several and failed else set()
        # One that was not left has failed before: an application that asks it again does not go round for ever.
        elsewhere = deployment in left and len(left) > 1
        heard: list[Answer] = []
        after = advance(
            decision,
            decision.request,
            answer,
            check,
            deployment=deployment,
            elsewhere=elsewhere,
            opinion=partial(self._opinion, decision.request, heard),
        )
        if heard:
            after = replace(after, consulted=(*after.consulted, *heard))
        kind = kind_of(decision) if ticket is None else ""
        self.observe(after.tried[-1].model, answer, kind=kind, deployment=deployment, ticket=ticket)
        return self.hold(after) if after.chain else after

    def hold(self, decision: Decision) -> Decision:
        """Returns a decision whose chain was changed, reordered by health and with the guards applied to it again.

        Raises:
            NoEligibleModelError: they leave no model at all.
        """
        if decision.request is None:
            raise ValueError("this decision holds no request; go on with one that `route` returned")
        admission = self._guards.admit(self._reading_of(decision))
        chain = admission.keep(decision.chain)
        if not chain and decision.rule != NAMED:
            # Guards on the time may have left nothing of it: then all that they allow, as where no rule names one.
            tried = {one.model for one in decision.tried}
            chain = tuple(name for name in admission.models if name not in tried)
        return replace(decision, chain=self._places.order(chain, admission.regions))

    def observe(
        self,
        model: str,
        answer: Answer,
        *,
        kind: str = "",
        deployment: str | None = None,
        ticket: Ticket | None = None,
    ) -> None:
        """Counts a call that somebody made, for health and for the budget; `next` does so by itself.

        Args:
            model: that was asked.
            answer: what came.
            kind: calls of one kind take alike long; the rule that decided is a good one.
            deployment: which of the model's, where it has several; the first when left out.
            ticket: that `started` gave, where it was asked.
        """
        if self.health is not None and ticket is not None:
            self.health.ended(ticket, error_kind=answer.error_kind, latency_s=answer.latency_s)
        elif self.health is not None:
            place = self._places.first(model).name if deployment is None else deployment
            self.health.observe(place, latency_s=answer.latency_s, error_kind=answer.error_kind, kind=kind)
        if self.ledger is not None:
            self.ledger.add(answer.cost_usd)

    def learn(
        self, request: Request, scores: Mapping[str, float], costs_usd: Mapping[str, float] | None = None
    ) -> None:
        """Adds what became of a request to the past prompts: similar ones are decided with it in mind from now on.

        They are kept in this router alone; `router.library.save(path)` writes them.

        Args:
            request: what was asked; a decision has it as `request`.
            scores: model name -> score in [0, 1], of the models whose answers were graded.
            costs_usd: model name -> US dollars that the answer cost, where they are known.

        Raises:
            RulesError: the rule set has no `similarity`.
            InputError: a model is unknown, or a number out of bounds; nothing was added.
        """
        if self.library is None:
            raise RulesError(f"{self.ruleset.name!r} learns nothing: it has no `similarity`, which needs a library")
        self.library.learn(self._read(request), scores, costs_usd)

    def deployment(self, decision: Decision) -> Deployment:
        """Returns where to ask a decision's model: by weight, the same place for a whole conversation while it is well.

        A place that failed for this very request is not asked again while there is another.

        Raises:
            ValueError: the decision has no model to ask, or was made by hand.
            NoEligibleModelError: a guard that holds by now forbids its model.
        """
        if decision.model is None or decision.request is None:
            raise ValueError("this decision has no model to ask")
        if not self._asks and decision.model in decision.eligible and not self._places.are_several(decision.model):
            # No guard asks what time it is: who might take the request when it was decided still may.
            return self._places.first(decision.model)
        admission = self._guards.admit(self._reading_of(decision))
        if decision.model not in admission.models:
            # A guard on the time may hold by now that did not when the request was decided.
            raise NoEligibleModelError(
                f"model {decision.model!r} may not take this request{admission.because}; `hold` leaves those that may"
            )
        if not self._places.are_several(decision.model):
            return self._places.first(decision.model)
        return self._places.choose(decision, admission.regions, draw(self.ruleset.name, decision.request))

    def _regions(self, decision: Decision) -> frozenset[str] | None:
        """Where a decision's model was to be asked; None where guards have come to forbid it since."""
        assert decision.request is not None
        try:
            admission = self._guards.admit(self._reading_of(decision))
        except NoEligibleModelError:
            return None
        return admission.regions if decision.model in admission.models else None

    def explain(self, messages: Sequence[Message], **known: Any) -> Decision:
        """As `route`, and says what would decide otherwise: without a rule, a guard, a word; and what nearly fired."""
        previous, model = known.pop("previous", None), known.pop("model", None)
        request = _asked(messages, **known)
        decision = self._decide(self._read(request), previous, model, probe=False)
        return replace(decision, counterfactuals=tuple(self._otherwise(decision, request, previous, model)))

    def _otherwise(
        self, decision: Decision, request: Request, previous: str | None, model: str | None
    ) -> Iterator[str]:
        reading = self._read(request)

        def without(what: str, other: Request, **left_out: str) -> str | None:
            try:
                found = self._decide(self._read(other), previous, model, probe=False, **left_out)
            except (NoEligibleModelError, BudgetSpentError) as error:
                return f"without {what}: no model ({error})"
            if (found.chain, found.rule) == (decision.chain, decision.rule):
                return None
            return f"without {what}: {' > '.join(found.chain)} by {found.rule}"

        admission = self._guards.admit(reading)
        if decision.rule in self._later:
            yield from self._later[decision.rule].tell(reading, admission)
        held = admission.held
        fired = [rule for rule, _ in self._rules.rules if rule.name == decision.rule]
        guards = [guard for guard in self.ruleset.guards if guard.name in held]
        said = [without(f"rule {rule.name}", request, rule=rule.name) for rule in fired]
        said += [without(f"guard {guard.name}", request, guard=guard.name) for guard in guards]
        words = [*words_of(fired, reading, "user"), *words_of(guards, reading, "conversation")]
        said += [without(f"{word!r}", removed(word, request)) for word in dict.fromkeys(words)]
        yield from (sentence for sentence in said if sentence is not None)
        for rule, condition in self._rules.rules:
            failed = [test for test in condition.tests if not test.holds(reading)]
            if rule.name != decision.rule and len(condition.tests) > 1 and len(failed) == 1:
                yield f"rule {rule.name} lacks only: {failed[0].says}"

    def _read(self, request: Request | Reading) -> Reading:
        reading = request if isinstance(request, Reading) else Reading(request)
        if not self._asks or reading.situation.at is not None:
            return reading
        return reading.within(self._situation())

    def _reading_of(self, decision: Decision) -> Reading:
        """The request of a decision, as it was read when it was decided, at the time that it is now."""
        assert decision.request is not None
        if not isinstance(decision.features, Features):
            return self._read(decision.request)
        reading = decision.features.reading
        return reading.within(self._situation()) if self._asks else reading

    def _situation(self) -> Situation:
        at = self._now()
        return Situation(at, None if self.ledger is None else self.ledger.pace(at))

    def _decide(
        self,
        reading: Reading,
        previous: str | None,
        model: str | None,
        *,
        rule: str | None = None,
        guard: str | None = None,
        probe: bool = True,
    ) -> Decision:
        """Decides; `rule` and `guard` name one to leave out."""
        admission = self._guards.admit(reading, guard)
        choice = self._chooser.choose(reading, admission, previous, model, rule)
        chain = choice.chain
        if self.health is not None and len(chain) > 1:
            # Whatever health did to it, no model gets in that may not take the request.
            chain = admission.keep(self._places.order(chain, admission.regions, probe=probe))
        return Decision(
            chain,
            choice.rule,
            choice.why,
            reading.features(),
            cascade=choice.cascade,
            request=reading.request,
            consulted=choice.consulted,
            wanted=choice.chain[0] if choice.chain else None,
            eligible=admission.models,
        )

    def _consult(self, model: str, request: Request, admission: Admission) -> Answer:
        """Asks a model that has a say in a decision, where the request in question may be processed."""
        if self._ask is None:
            raise NobodyAsksError(
                f"{self.ruleset.name!r} has {model!r} asked before it decides, and nobody told its router how: give it "
                "`ask`, as in Router(ruleset, ask=ask) with ask(model, deployment, request) -> Answer"
            )
        place = self._places.first(model)
        if self._places.are_several(model):
            asking = Decision((model,), COMPLEXITY, "", request=request)
            place = self._places.choose(asking, admission.regions, draw(self.ruleset.name, request))
        ticket = None if self.health is None else self.health.started(place.name, COMPLEXITY)
        answer = self._ask(model, place, request)
        self.observe(model, answer, kind=COMPLEXITY, deployment=place.name, ticket=ticket)
        return answer

    def _opinion(self, request: Request, heard: list[Answer], judge: AnswerJudge, answer: Answer) -> str | None:
        """What a judge finds wrong with an answer; one that may not see the request says nothing for the answer."""
        try:
            admission = self._guards.admit(self._read(request))
        except NoEligibleModelError:
            return f"its judge {judge.model} may not take this request"
        if judge.model not in admission.models:
            return f"its judge {judge.model} may not take this request{admission.because}"
        heard.append(self._consult(judge.model, judge.request(request, answer), admission))
        return judge.wrong(heard[-1])


def _asked(
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    response_format: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
) -> Request:
    """A request of what a caller gives, however it leaves a part of it out."""
    # A text is a sequence of letters: one tag must not become five.
    words = (tags,) if isinstance(tags, str) else tuple(tags)
    return Request(tuple(messages), tuple(tools or ()), response_format, params or {}, metadata or {}, words)
