"""The hybrid path over HTTP on loopback: a cheap provider is asked directly, a gateway for everything else.

`HybridClient` stands in docs/rules.md as it stands here.
"""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from routebench.rules import Deployment, Router
from routebench.types import Answer, Decision, ErrorKind, Message, ToolCall
from tests.upstream import Reply, Upstream, error, serve

DOCS = Path(__file__).parents[2] / "docs" / "rules.md"
RULES = """\
schema: routebench/rules/v1
name: hybrid
models:
  cheap:
    provider: openai
    model: cheap-1
    params: {temperature: 0}
    deployments:
      - {base_url: "CHEAP/eu", key_env: CHEAP_EU_KEY, region: eu}
      - {base_url: "CHEAP/us", key_env: CHEAP_US_KEY, region: us}
  large: {provider: anthropic, model: claude-sonnet-4-5, base_url: GATEWAY, key_env: GATEWAY_KEY, region: eu}
guards:
  - {name: legal, when: {any_keyword: [contract]}, at_least: large}
  - {name: residency, when: {metadata.data_class: eu_personal}, regions: [eu]}
rules:
  - {name: extraction, when: {metadata.task: extract}, route: [cheap, large], cascade: usable}
cascade:
  usable: {finish: [stop], json: true, otherwise: fail}
default: {route: [cheap, large]}
"""
KEYS = {"CHEAP_EU_KEY": "key-eu", "CHEAP_US_KEY": "key-us", "GATEWAY_KEY": "key-gateway"}


class HybridClient:
    ERRORS: Mapping[int, ErrorKind] = {
        400: "bad_request",
        401: "auth",
        403: "auth",
        408: "timeout",
        429: "rate_limited",
    }

    def __init__(self, router: Router, direct: set[str], timeout_s: float = 60) -> None:
        self.router, self.direct, self.http = router, direct, httpx.Client(timeout=timeout_s)

    def chat(self, messages: Sequence[Message], metadata: Mapping[str, Any] | None = None, **form: Any) -> Decision:
        """`form` is what else the request says: tools, response_format."""
        decision = self.router.route(messages, metadata=metadata, **form)
        while decision.model is not None:
            place = self.router.deployment(decision)
            answer = self.ask(decision.model, place, {"messages": messages, **form})
            decision = self.router.next(decision, answer, deployment=place.name)
        return decision

    def ask(self, model: str, place: Deployment, request: Mapping[str, Any]) -> Answer:
        body = {**request, "model": model}  # a gateway knows models by their names in the rules
        if model in self.direct:
            settings = self.router.ruleset.models[model]
            body = {**settings.params, **request, "model": settings.model}
        headers = {"authorization": f"Bearer {os.environ[place.key_env]}"} if place.key_env else {}
        try:
            said = self.http.post(f"{place.base_url}/chat/completions", json=body, headers=headers)
        except httpx.TimeoutException:
            return Answer(error_kind="timeout")
        except httpx.TransportError:
            return Answer(error_kind="connection")
        if said.is_error:
            return Answer(error_kind=self.ERRORS.get(said.status_code, "server"))
        try:
            choice = said.json()["choices"][0]
            calls = choice["message"].get("tool_calls") or ()
            return Answer(
                choice["message"]["content"],
                tuple(ToolCall(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in calls),
                choice["finish_reason"],
                latency_s=said.elapsed.total_seconds(),  # for `health`; `cost_usd` would be for `budget`
            )
        except (ValueError, LookupError):
            return Answer(error_kind="malformed")


def says(text: str) -> Reply:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Reply([json.dumps({"choices": [choice]}).encode()], headers={"content-type": "application/json"})


@dataclass
class Site:
    """A client, what its two servers were asked, and with which keys."""

    client: HybridClient
    cheap: Upstream
    gateway: Upstream

    def chat(self, text: str, **known: Any) -> Decision:
        return self.client.chat([{"role": "user", "content": text}], **known)

    def keys(self) -> tuple[list[str], list[str]]:
        """With which keys the provider and the gateway were asked."""
        cheap, gateway = ([one["authorization"][7:] for one in at.headers] for at in (self.cheap, self.gateway))
        return cheap, gateway


Answers = Callable[[Mapping[str, Any]], Reply]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)

    @contextmanager
    def started(cheap: Reply | Answers, gateway: Reply | None = None, timeout_s: float = 30) -> Iterator[Site]:
        def at_cheap(body: Mapping[str, Any], _number: int) -> Reply:
            return cheap if isinstance(cheap, Reply) else cheap(body)

        def at_gateway(_body: Mapping[str, Any], _number: int) -> Reply:
            return says('{"by": "large"}') if gateway is None else gateway

        with serve(at_cheap) as one, serve(at_gateway) as other:
            path = tmp_path / "rules.yaml"
            path.write_text(RULES.replace("CHEAP/", f"{one.url}/").replace("GATEWAY,", f"{other.url},"))
            client = HybridClient(Router.load(path), {"cheap"}, timeout_s)
            with client.http:
                yield Site(client, one, other)

    return started


def test_the_cheap_provider_is_asked_directly_by_its_own_name(site: Any) -> None:
    with site(says("hello")) as at:
        decision = at.chat("hi", metadata={"data_class": "eu_personal"})
        assert (decision.answered_by, decision.answer.text) == ("cheap", "hello")
        assert at.cheap.requests == [
            {"temperature": 0, "model": "cheap-1", "messages": [{"role": "user", "content": "hi"}]}
        ]
        assert at.keys() == (["key-eu"], [])


def test_the_gateway_is_asked_by_the_name_of_the_rules(site: Any) -> None:
    with site(says("hello")) as at:
        assert at.chat("review this contract").answered_by == "large"
        assert [body["model"] for body in at.gateway.requests] == ["large"]
        assert at.keys() == ([], ["key-gateway"])


def test_after_a_500_at_both_places_the_gateway_answers(site: Any) -> None:
    with site(error(500, "overloaded")) as at:
        decision = at.chat("hi")
        assert [(one.model, one.why) for one in decision.tried] == [
            ("cheap", "server"),
            ("cheap", "server"),
            ("large", "it answered"),
        ]
        keys, at_gateway = at.keys()
        assert (sorted(keys), at_gateway) == (["key-eu", "key-us"], ["key-gateway"])


def test_an_answer_that_is_no_json_goes_on_to_the_gateway(site: Any) -> None:
    with site(says("Sure! Here it is:")) as at:
        decision = at.chat("extract", metadata={"task": "extract"})
        assert [(one.model, one.verdict, one.why) for one in decision.tried] == [
            ("cheap", "refused", "the answer is not JSON"),
            ("large", "accepted", "the answer passes"),
        ]
        assert decision.answer.text == '{"by": "large"}'


def test_a_timeout_goes_on_to_the_gateway(site: Any) -> None:
    over = threading.Event()

    def never(_body: Mapping[str, Any]) -> Reply:
        over.wait(30)
        return says("too late")

    with site(never, timeout_s=0.2) as at:
        try:
            decision = at.chat("hi", metadata={"data_class": "eu_personal"})
        finally:
            over.set()
        assert [(one.model, one.why) for one in decision.tried] == [("cheap", "timeout"), ("large", "it answered")]


def test_a_guard_holds_when_its_place_fails(site: Any) -> None:
    with site(error(500, "overloaded")) as at:
        decision = at.chat("hi", metadata={"data_class": "eu_personal"})
        assert decision.answered_by == "large"
        # The place in the other region was well, and was left alone all the same.
        assert at.keys() == (["key-eu"], ["key-gateway"])


def test_a_guard_holds_when_nothing_is_left(site: Any) -> None:
    with site(says("I would answer"), gateway=error(503, "down")) as at:
        decision = at.chat("review this contract")
        assert (decision.answer, decision.model) == (None, None)
        assert [(one.model, one.verdict, one.why) for one in decision.tried] == [("large", "failed", "server")]
        assert at.cheap.requests == []


def test_calls_of_tools_come_back_and_what_is_no_chat_completion_does_not(site: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    choice = {"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    with site(Reply([b"<html>"]), gateway=Reply([json.dumps({"choices": [choice]}).encode()])) as at:
        decision = at.chat("look it up", tools=[{"type": "function", "function": {"name": "look"}}])
        assert {one.why for one in decision.tried if one.model == "cheap"} == {"malformed"}
        assert decision.answer.tool_calls == (ToolCall("c1", "look", "{}"),)
        assert all("tools" in body for body in (*at.cheap.requests, *at.gateway.requests))


def test_a_check_that_must_pass_gives_nothing_else(site: Any) -> None:
    with site(says("no"), gateway=says("neither")) as at:
        decision = at.chat("extract", metadata={"task": "extract"})
        assert decision.answer is None
        assert [one.verdict for one in decision.tried] == ["refused", "refused"]


def test_the_docs_show_this_client() -> None:
    assert inspect.getsource(HybridClient) in DOCS.read_text(encoding="utf-8")
