"""The course of one request: decided, sent to the models of its chain, checked where a cascade asks for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from routebench.errors import ConfigError, NoEligibleModelError
from routebench.gateway.asked import Asked
from routebench.gateway.limits import Limits
from routebench.gateway.policy import Place, Policy, answer_of
from routebench.gateway.refusal import Refusal
from routebench.providers import Call, Done, Event, failed, pieces_of, stream
from routebench.rules.cascade import Check
from routebench.rules.health.health import Ticket
from routebench.traces.row import Attempt
from routebench.types import Completion, Decision, ErrorKind

_PASSING: frozenset[ErrorKind] = frozenset(
    {"rate_limited", "timeout", "connection", "server", "malformed", "incomplete"}
)
"""Kinds of failure after which the same request may fare well a moment later."""
_FIRST_WAIT_S = 0.1
_GRACE_S = 0.5
_MOST_WAIT_S = 5.0


HandOver = Callable[[Event], Awaitable[None]]
"""Takes a piece of an answer; what was taken cannot be taken back."""


class Permits(Protocol):
    """What a course needs to know of a client."""

    def may(self, model: str) -> bool:
        """Whether it may use a model."""
        ...


@dataclass(slots=True)
class Course:
    """One request on its way; used once.

    Args:
        policy: decides, and knows where models are asked.
        asked: the request.
        client: for the models that it may use.
        limits: for the times.
        drawn: a number in [0, 1), for exploration.
        previous: the model that answered the conversation so far, None at its beginning or where that is not known.

    Attributes:
        decision: as it was made; None before `decide`.
        attempts: the calls so far.
        asides_usd: what models cost that were asked for their word besides, such as a classifier or a judge; None where
            that is unknown.
        escalated: whether a check has refused an answer.
        accepted: the answer that is handed over, None while there is none.
        place: where the answer comes from, known as soon as its first piece is.
        decision_s: what deciding took.
        cascade_wait_s: what a cascade has added to the time to the first token so far.
        began_s: when the first piece of the answer was there, on `time.perf_counter`; None before.
    """

    policy: Policy
    asked: Asked
    client: Permits
    limits: Limits
    drawn: float = 1.0
    previous: str | None = None
    decision: Decision | None = None
    attempts: list[Attempt] = field(default_factory=list)
    asides_usd: list[float | None] = field(default_factory=list)
    escalated: bool = False
    accepted: Completion | None = None
    place: Place | None = None
    decision_s: float | None = None
    cascade_wait_s: float = 0.0
    began_s: float | None = None
    _start_s: float = field(default_factory=time.perf_counter)

    async def decide(self, *, explore: bool = True) -> Decision:
        """Decides the request.

        Args:
            explore: whether its first model may be drawn.

        Raises:
            NoEligibleModelError: guards and limits leave none, or not the one that the client names.
            BudgetSpentError: the rule set's budget of the day is used up.
            Refusal: the client may use none of the models that may answer.
        """
        start_s = time.perf_counter()
        router, asked = self.policy.router, self.asked
        if self.policy.blocks:
            made = await self._aside(asyncio.to_thread(router.decide, asked.request, self.previous, asked.model))
        else:
            made = router.decide(asked.request, self.previous, asked.model)
        self.asides_usd += [one.cost_usd for one in made.consulted]
        made = self._permitted(made)
        if explore and self.policy.ruleset.explore:
            made = router.explore(made, self.drawn, keep=self.client.may)
        # A round of retries is another decision; what is told and traced is the first one.
        if self.decision is None:
            self.decision = made
        self.decision_s = (self.decision_s or 0.0) + time.perf_counter() - start_s
        return made

    async def run(self, hand_over: HandOver) -> Completion:
        """Returns the answer, or the failure that ended it.

        Nothing is handed over of an answer that may still be replaced by another model's: failover and checks come
        before the first piece. Of a request that is not streamed nothing is handed over at all.

        Args:
            hand_over: takes the pieces of a streamed answer.

        Raises:
            RoutebenchError: as `decide`, and of guards on the time that have come to hold meanwhile.
        """
        turn = 0
        while True:
            completion = await self._chain(await self.decide(), hand_over)
            if completion.status == "ok" or self.began_s is not None:
                return completion
            wait_s = self._wait_s(completion, turn)
            if wait_s is None:
                return completion
            await asyncio.sleep(wait_s)
            turn += 1

    def _wait_s(self, last: Completion, turn: int) -> float | None:
        """How long to wait before the chain is gone through again; None where that is no use."""
        kinds = {attempt.error_kind for attempt in self.attempts}
        if turn >= self.limits.retries or not kinds & _PASSING:
            return None
        wait_s = last.retry_after_s if last.retry_after_s is not None else _FIRST_WAIT_S * 2**turn
        return wait_s if wait_s <= min(_MOST_WAIT_S, self._left_s() / 2) else None

    def _left_s(self) -> float:
        return self.limits.deadline_s - (time.perf_counter() - self._start_s)

    async def _chain(self, decision: Decision, hand_over: HandOver) -> Completion:
        """Asks the models of a decision until one's answer is accepted."""
        answers: list[tuple[Completion, Place]] = []
        while decision.model is not None:
            decision, place = self._located(decision)
            ticket = self.policy.router.started(decision, place.name)
            completion: Completion | None = None
            try:
                completion = await self._ask(place, decision, hand_over)
            finally:
                if completion is None:
                    self._given_up(place, ticket)
            answers.append((completion, place))
            decision = await self._after(decision, place, completion, ticket)
            if self.began_s is not None:
                # It was handed over: nobody else can answer any more. Broken, it is not mended by an earlier answer.
                if completion.status != "ok":
                    return completion
                break
        return await self._accepted(decision, answers, hand_over)

    def _located(self, decision: Decision) -> tuple[Decision, Place]:
        """Where the decision's model is asked, and the decision: a guard on the time may hold by now that did not."""
        router = self.policy.router
        try:
            return decision, self.policy.places[router.deployment(decision).name]
        except NoEligibleModelError:
            held = self._permitted(router.hold(decision))
            if held.model is None:
                raise
            return held, self.policy.places[router.deployment(held).name]

    async def _accepted(
        self, decision: Decision, answers: Sequence[tuple[Completion, Place]], hand_over: HandOver
    ) -> Completion:
        """What came of a chain that has come to its end; an answer that was held back is handed over now."""
        which = next((number for number, one in enumerate(decision.tried) if one.verdict == "accepted"), None)
        if which is None:
            last = answers[-1][0] if answers else failed("timeout", self._too_late(), billed_cost_usd=0.0)
            if last.status != "ok":
                return last
            return failed("abstained", f"no model gave an answer that passes the check {decision.cascade!r}")
        self.accepted, self.place = answers[which]
        if self.accepted.logprobs is not None and not self.asked.request.params.get("logprobs"):
            # They were asked for by a check, not by the client.
            self.accepted = replace(self.accepted, logprobs=None)
        if which < len(answers) - 1:
            # An earlier answer stands after all, since nothing better came.
            number = which - len(answers)
            self.attempts[number] = replace(self.attempts[number], verdict="accepted")
        if self.asked.streamed and self.began_s is None:
            if decision.cascade is not None and self.accepted.ttft_s is not None:
                self.cascade_wait_s += max(0.0, (self.accepted.latency_s or 0.0) - self.accepted.ttft_s)
            self.began_s = time.perf_counter()
            for piece in pieces_of(self.accepted):
                await hand_over(piece)
        return self.accepted

    async def _ask(self, place: Place, decision: Decision, hand_over: HandOver) -> Completion:
        """Asks one model; pieces of its answer are handed over as they come, unless it has to be checked first."""
        left_s = self._left_s()
        if left_s <= 0:
            return failed("timeout", self._too_late(), billed_cost_usd=0.0)
        timeout_s = min(self.limits.attempt_timeout_s, left_s)
        check = self._check(decision)
        try:
            call = place.call(
                self.asked.request,
                timeout_s=timeout_s,
                streamed=self.asked.streamed,
                how_sure=check is not None and check.wants_confidence,
            )
        except ConfigError as error:
            return failed("bad_request", str(error), billed_cost_usd=0.0)
        if self.asked.streamed and check is None:
            return await self._live(place, call, hand_over)
        try:
            # A provider keeps the time itself; one that does not must not hold up the chain.
            async with asyncio.timeout(timeout_s + _GRACE_S):
                return await place.provider.complete(call)
        except TimeoutError:
            return failed("timeout", f"no answer within {timeout_s:g} s")

    async def _live(self, place: Place, call: Call, hand_over: HandOver) -> Completion:
        """Hands an answer over while it is being written."""
        async with aclosing(stream(place.provider, call)) as events:
            first_s = min(self.limits.first_token_timeout_s, call.timeout_s)
            try:
                async with asyncio.timeout(first_s):
                    event = await anext(events)
            except TimeoutError:
                return failed("timeout", f"the answer did not begin within {first_s:g} s")
            while not isinstance(event, Done):
                if self.began_s is None:
                    self.began_s, self.place = time.perf_counter(), place
                await hand_over(event)
                event = await anext(events)
            return event.completion

    def _check(self, decision: Decision) -> Check | None:
        """What an answer has to pass before any of it is handed over; None where it stands whatever it is like."""
        if decision.cascade is None:
            return None
        check = self.policy.router.checks[decision.cascade]
        # The last model's answer need not wait for its end.
        return check if len(decision.chain) > 1 or check.otherwise != "accept" else None

    async def _after(self, decision: Decision, place: Place, completion: Completion, ticket: Ticket | None) -> Decision:
        """The decision after a call, which is noted."""
        router, answer, start_s = self.policy.router, answer_of(completion, place), time.perf_counter()
        usage = completion.usage
        attempt = Attempt(
            place.model.name,
            place.name,
            "cancelled" if completion.status == "ok" else "failed",
            completion.error_kind,
            completion.latency_s,
            completion.ttft_s,
            usage.input_tokens,
            usage.output_tokens,
            answer.cost_usd,
        )
        # It is paid for, also where the client goes away while a judge reads it.
        self.attempts.append(attempt)
        go_on = partial(router.next, decision, answer, deployment=place.name, ticket=ticket)
        judged = router.asks_models and decision.cascade is not None
        after = await self._aside(asyncio.to_thread(go_on)) if judged else go_on()
        self.asides_usd += [one.cost_usd for one in after.consulted[len(decision.consulted) :]]
        attempt.verdict = after.tried[-1].verdict
        if attempt.verdict == "refused":
            self.escalated = True
            self.cascade_wait_s += (completion.latency_s or 0.0) + time.perf_counter() - start_s
        return self._permitted(after) if after.chain else after

    async def _aside(self, deciding: Awaitable[Decision]) -> Decision:
        """Waits for a decision that models may have a say in; what they cost is not known where nobody waits for it."""
        try:
            return await deciding
        except asyncio.CancelledError:
            if self.policy.router.asks_models:
                self.asides_usd.append(None)
            raise

    def _permitted(self, decision: Decision) -> Decision:
        """The decision with the models that the client may use."""
        chain = tuple([name for name in decision.chain if self.client.may(name)])
        if chain == decision.chain:
            return decision
        if not chain:
            # The rule names none of the client's: then what guards and limits allow, weakest first. A model that the
            # client names itself is never replaced.
            tried = {one.model for one in decision.tried}
            others = decision.eligible if self.asked.model is None else ()
            chain = tuple([name for name in others if self.client.may(name) and name not in tried])
            if not chain and not tried:
                raise Refusal(
                    403,
                    f"this gateway key may use none of {', '.join(decision.chain)}, which would answer this request; "
                    "ask whoever runs the gateway for a key that may",
                    kind="permission_error",
                    code="model_not_allowed",
                )
        # A model that the key may not use is passed over for that, and not for its health.
        wanted = decision.wanted if decision.wanted is not None and self.client.may(decision.wanted) else None
        return replace(decision, chain=chain, wanted=wanted or (chain[0] if chain else None))

    def _given_up(self, place: Place, ticket: Ticket | None) -> None:
        """The client went away, or the gateway ends: that says nothing of the model."""
        router = self.policy.router
        if router.health is not None and ticket is not None:
            router.health.cancelled(ticket)
        if router.ledger is not None:
            router.ledger.add(None)
        self.attempts.append(Attempt(place.model.name, place.name, "cancelled"))

    def _too_late(self) -> str:
        return f"no answer within the gateway's deadline of {self.limits.deadline_s:g} s"
