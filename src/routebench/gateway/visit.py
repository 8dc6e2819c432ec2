"""One visit: a chat completion from its first byte to its trace, whatever becomes of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from routebench.errors import RoutebenchError
from routebench.gateway.asked import Asked, read_chat
from routebench.gateway.bodies import ClientGoneError, check_form, read_body
from routebench.gateway.chunks import Chunks
from routebench.gateway.clients import Client
from routebench.gateway.conversations import Opening
from routebench.gateway.course import Course
from routebench.gateway.policy import Policy, may_block
from routebench.gateway.refusal import Refusal, error_body, refusal_of
from routebench.gateway.serving import Serving
from routebench.gateway.telling import about, costs, headers, texts, total_usd, trace_facts
from routebench.gateway.whole import whole_answer
from routebench.providers import Event
from routebench.traces.row import Outcome, Trace
from routebench.types import Completion

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_log = logging.getLogger("routebench.gateway")
_WATCH_AFTER_S = 0.02
"""An answer that is there sooner is handed over whether or not anybody waits for it."""
_JSON = (b"content-type", b"application/json")
_ENDING = Refusal(
    503, "the gateway ends; send the request again", kind="api_error", code="ending", headers={"retry-after": "1"}
)
_EVENTS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))


class _GoneError(Exception):
    """The client went away before the answer was whole."""


@dataclass(slots=True)
class Visit:
    """A request of `POST /v1/chat/completions`; used once.

    Args:
        serving: what serves it.
        sent: the headers of the request, their names in lower case.
        receive: of ASGI.
        send: of ASGI.
    """

    serving: Serving
    sent: Mapping[bytes, bytes]
    receive: Receive
    send: Send
    trace_id: str = ""
    at: float = field(default_factory=time.time)
    _start_s: float = field(default_factory=time.perf_counter)
    _policy: Policy | None = None
    _client: Client | None = None
    _asked: Asked | None = None
    _course: Course | None = None
    _opening: Opening | None = None
    _status: int = 0
    _outcome: Outcome = "refused"
    _error: tuple[str, str | None] | None = None
    _answer: Completion | None = None
    _ttft_s: float | None = None
    _latency_s: float = 0.0
    _chunks: Chunks | None = None
    _costs: Sequence[float | None] | None = None

    async def run(self) -> None:
        """Serves it; what a client may not see of a fault is in the log."""
        serving = self.serving
        self.trace_id = serving.new_id()
        begun = seated = False
        # After a reload it goes on with the rules that it began with.
        policy = self._policy = serving.policy
        policy.begin()
        serving.metrics.begin()
        try:
            self._client = serving.admitted(self.sent)
            serving.seats.take()
            seated = True
            self._client.begin()
            begun = True
            await self._serve()
        except Refusal as refusal:
            await self._refuse(refusal)
        except (ClientGoneError, _GoneError):
            self._outcome, self._status = "cancelled", self._status or 499
        except asyncio.CancelledError:
            # The gateway ends, and has waited for as long as it may.
            self._outcome = "broken" if self._chunks is not None else "failed"
            if self._status and self._chunks is None:
                raise
            await self._refuse(_ENDING)
        except RoutebenchError as error:
            told = refusal_of(error)
            if told.status >= 500:
                _log.error("%s: %s", self.trace_id, policy.secrets.clean(str(error)))
            await self._refuse(told)
        except Exception:  # noqa: BLE001 - the last one who can answer the client
            # A defect of ours: the client is told that there was one, and the log which.
            self._outcome = "failed"
            _log.exception("%s: the gateway failed", self.trace_id)
            await self._refuse(Refusal(500, "the gateway failed; its log says how", kind="api_error", code="defect"))
        finally:
            # What the shadow takes to decide is not the client's time.
            self._latency_s = time.perf_counter() - self._start_s
            if seated:
                serving.seats.leave()
            if begun and self._client is not None:
                self._client.end(self._all_costs())
            try:
                self._put_trace(await self._shadowed())
            finally:
                await policy.end()

    async def _serve(self) -> None:
        serving, client = self.serving, self._client
        assert client is not None
        check_form(self.sent)
        body = await read_body(self.receive, self.sent, serving.limits)
        asked = self._asked = of_client(read_chat(body), client)
        policy = self._policy
        assert policy is not None
        check_model(asked, policy, client)
        messages = asked.request.messages
        opening = self._opening = serving.conversations.opened(messages, client.name)
        previous = asked.previous or serving.conversations.previous(opening, messages)
        course = self._course = Course(policy, asked, client, serving.limits, drawn=serving.drawn(), previous=previous)
        async with _watched(self.receive):
            completion = await course.run(self._piece)
        self._costs = costs(course)
        if completion.status == "ok":
            assert course.place is not None
            self._outcome, self._answer = "ok", completion
            # Before its last byte is out: the client's next turn may follow at once.
            serving.conversations.answered(opening, course.place.model.name, completion)
            await (self._end_stream(course, completion) if asked.streamed else self._whole(course, completion))
        elif self._status:
            await self._break(completion)
        else:
            await self._fail(course, completion)

    async def _whole(self, course: Course, completion: Completion) -> None:
        assert course.place is not None
        body = whole_answer(
            completion,
            trace_id=self.trace_id,
            created=int(self.at),
            model=course.place.model.name,
            about=about(course, self.trace_id, self._cost_usd),
        )
        told = [_JSON, *headers(course, self.trace_id)]
        if self._cost_usd is not None:
            told.append((b"x-routebench-cost-usd", f"{self._cost_usd:.10g}".encode()))
        await self._respond(200, body, told)

    async def _piece(self, event: Event) -> None:
        piece = (self._chunks or await self._begin_stream()).piece(event)
        if piece:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _begin_stream(self) -> Chunks:
        course = self._course
        assert course is not None
        assert course.place is not None
        self._ttft_s = time.perf_counter() - self._start_s
        self._status = 200
        told = [*_EVENTS, *headers(course, self.trace_id), *self._rate_headers()]
        await self.send({"type": "http.response.start", "status": 200, "headers": told})
        self._chunks = Chunks(
            trace_id=self.trace_id,
            created=int(self.at),
            model=course.place.model.name,
            include_usage=course.asked.include_usage,
        )
        return self._chunks

    async def _end_stream(self, course: Course, completion: Completion) -> None:
        # An answer may be empty: then nothing was handed over before its end.
        chunks = self._chunks or await self._begin_stream()
        last = chunks.end(completion, about(course, self.trace_id, self._cost_usd))
        await self.send({"type": "http.response.body", "body": last})

    async def _break(self, completion: Completion) -> None:
        """The answer broke off: its stream ends in an error, and never in the mark of a whole one."""
        assert self._chunks is not None
        self._outcome = "broken"
        self._error = self._told(completion)
        last = self._chunks.broken(completion.error_kind or "server", refusal_of(completion).message)
        await self.send({"type": "http.response.body", "body": last})

    async def _fail(self, course: Course, completion: Completion) -> None:
        """Every model failed."""
        self._outcome = "failed"
        refusal = refusal_of(completion)
        self._error = self._told(completion)
        body = error_body(refusal, self.trace_id, about(course, self.trace_id, self._cost_usd))
        told = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        await self._respond(refusal.status, body, [_JSON, *told, *headers(course, self.trace_id)])

    def _told(self, completion: Completion) -> tuple[str, str | None]:
        """A provider's own sentence may quote the prompt: it is kept where texts are."""
        return completion.error_kind or "server", completion.error if self.serving.keeps_texts else None

    async def _refuse(self, refusal: Refusal) -> None:
        # What is wrong with a part of the body is shown with a few of its characters.
        quotes = refusal.param is not None and not self.serving.keeps_texts
        self._error = (refusal.code or refusal.kind, refusal.param if quotes else refusal.message)
        if self._chunks is not None:
            # The answer has begun: there is no other status to give, and no end as of a whole one.
            last = self._chunks.broken(refusal.code or "gateway", refusal.message)
            await self.send({"type": "http.response.body", "body": last})
            return
        told = [(name.encode(), value.encode("latin-1")) for name, value in refusal.headers.items()]
        identity = (b"x-request-id", self.trace_id.encode())
        await self._respond(refusal.status, error_body(refusal, self.trace_id), [_JSON, identity, *told])

    async def _respond(self, status: int, body: bytes, told: list[tuple[bytes, bytes]]) -> None:
        self._status = status
        told.append((b"content-length", str(len(body)).encode()))
        told += self._rate_headers()
        await self.send({"type": "http.response.start", "status": status, "headers": told})
        await self.send({"type": "http.response.body", "body": body})

    def _all_costs(self) -> Sequence[float | None]:
        """Of every call; those of a request that was given up are only known now."""
        if self._costs is None and self._course is not None:
            self._costs = costs(self._course)
        return self._costs or ()

    @property
    def _cost_usd(self) -> float | None:
        return total_usd(self._all_costs())

    def _rate_headers(self) -> list[tuple[bytes, bytes]]:
        if self._client is None:
            return []
        return [(name.encode(), value.encode()) for name, value in self._client.rate_headers()]

    async def _shadowed(self) -> dict[str, Any]:
        serving, asked, course = self.serving, self._asked, self._course
        if asked is None or serving.shadow is None:
            return {}
        previous = None if course is None else course.previous
        if may_block(serving.shadow):
            return await asyncio.to_thread(serving.shadow_of, asked, previous)
        return serving.shadow_of(asked, previous)

    def _put_trace(self, shadowed: Mapping[str, Any]) -> None:
        serving, asked, course, policy = self.serving, self._asked, self._course, self._policy
        assert policy is not None
        # Where nobody was asked nothing was billed.
        facts: dict[str, Any] = {"rules": policy.ruleset.name, "policy": policy.digest, "cost_usd": 0.0, **shadowed}
        if course is not None:
            facts |= trace_facts(course, self._cost_usd, fully=serving.looks.take())
        if asked is not None:
            facts |= {
                "asked": asked.model,
                "tags": asked.request.tags,
                "conversation": None if self._opening is None else self._opening.name,
            }
            if serving.keeps_texts:
                facts |= texts(asked.request, self._answer)
        kind, error = self._error or (None, None)
        trace = Trace(
            trace_id=self.trace_id,
            at=self.at,
            gateway=serving.name,
            status=self._status,
            outcome=self._outcome,
            streamed=asked is not None and asked.streamed,
            latency_s=self._latency_s,
            client=None if self._client is None else self._client.name,
            ttft_s=self._ttft_s,
            error_kind=kind,
            error=None if error is None else error[:300],
            **facts,
        )
        serving.metrics.end(trace)
        if serving.writer is not None:
            serving.writer.put(trace)
        if serving.spans is not None:
            serving.spans.put(trace)


def check_model(asked: Asked, policy: Policy, client: Client) -> None:
    """Checks that the model that a client names is there.

    Raises:
        Refusal: 404.
    """
    if asked.model is not None and asked.model not in policy.ruleset.models:
        known = [name for name in policy.ruleset.order if client.may(name)]
        raise Refusal(
            404,
            f"model: no model {asked.model[:80]!r}; write routebench/auto, or one of {', '.join(known)}",
            param="model",
            code="model_not_found",
        )


def of_client(asked: Asked, client: Client) -> Asked:
    """Returns the request with what stands in the client's key: it wins over what the client says itself."""
    if not client.metadata and not client.tags:
        return asked
    request = asked.request
    tags = tuple(dict.fromkeys((*client.tags, *request.tags)))
    return replace(asked, request=replace(request, metadata={**request.metadata, **client.metadata}, tags=tags))


class _watched:  # noqa: N801 - reads as a verb
    """Ends what is done in it, with `_GoneError`, once the client has gone away."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None
        self._gone = False

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._task: asyncio.Task[Any] = task
        self._timer = loop.call_later(_WATCH_AFTER_S, self._begin, loop)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._gone and kind is asyncio.CancelledError:
            self._task.uncancel()
            raise _GoneError

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watch = loop.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()
