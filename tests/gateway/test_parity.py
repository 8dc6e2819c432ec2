"""What was measured is what the gateway does: replay, Router and gateway agree on every prompt of the public data sets."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from routebench.evaluate import Outcomes, decided, replay
from routebench.evaluate.outcomes import ERROR, MISSING
from routebench.gateway import Gateway
from routebench.providers import Call, Event, failed
from routebench.rules import Router, RuleSet
from routebench.strategies import RulesFile
from routebench.types import Case, Completion, Request
from tests.rules.test_parity import Shared, policy, routed, run, shared

__all__ = ["shared"]  # the fixture


def key_of(messages: Any) -> str:
    return json.dumps([dict(message) for message in messages], sort_keys=True)


@dataclass
class FromOutcomes:
    """Answers what was recorded of a case, with what it cost then."""

    outcomes: Outcomes
    rows: dict[str, int]

    async def complete(self, call: Call) -> Completion:
        outcomes, row = self.outcomes, self.rows[key_of(call.request.messages)]
        cell = (row, outcomes.models.index(call.model.name), 0)
        cost = float(outcomes.cost_usd[cell])
        known: dict[str, Any] = {"latency_s": 0.0, "reported_cost_usd": None if np.isnan(cost) else cost}
        if outcomes.status[cell] in (ERROR, MISSING):
            return failed("server", "it failed then", **known)
        kept = outcomes.answers
        said = None if kept is None else kept.get(str(outcomes.cases.ids[row]), call.model.name, 0)
        if said is None:
            return Completion("ok", text="an answer whose text nobody kept", finish_reason="stop", **known)
        return Completion("ok", text=said.text, tool_calls=said.tool_calls, finish_reason=said.finish_reason, **known)

    def stream(self, call: Call) -> AsyncIterator[Event]:
        raise AssertionError("nothing is streamed here")

    async def aclose(self) -> None:
        pass


def body_of(request: Request) -> bytes:
    body: dict[str, Any] = {"model": "routebench/auto", "messages": [dict(one) for one in request.messages]}
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    told = {"metadata": dict(request.metadata), "tags": list(request.tags)}
    return json.dumps({**body, **request.params, "routebench": told}).encode()


def asker(url: str) -> tuple[http.client.HTTPConnection, Callable[[Case], tuple[int, Any]]]:
    there = urlsplit(url)
    assert there.hostname is not None
    connection = http.client.HTTPConnection(there.hostname, there.port, timeout=30)

    def ask(case: Case) -> tuple[int, Any]:
        connection.request("POST", "/v1/chat/completions", body_of(case.request), {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)

    return connection, ask


@pytest.mark.parametrize("otherwise", ["accept", "fail"])
def test_replay_router_and_gateway_agree_on_every_case(shared: Shared, otherwise: str, tmp_path: Path) -> None:
    outcomes = shared.outcomes
    text = policy(outcomes, cascade=shared.has_answers, otherwise=otherwise).to_yaml()
    path = tmp_path / "rules.yaml"
    path.write_text(text.replace("provider: recorded", "provider: openai"))
    (tmp_path / "gateway.yaml").write_text("limits: {retries: 0}\n")
    ruleset = RuleSet.load(path)
    choices = decided(RulesFile(ruleset).fit(outcomes), outcomes)[0]
    found, router = replay(outcomes, choices), Router(ruleset)
    rows = {key_of(case.request.messages): row for row, case in enumerate(outcomes.cases)}
    provider = FromOutcomes(outcomes, rows)
    seen: Counter[str] = Counter()
    gateway = Gateway(
        path, config=tmp_path / "gateway.yaml", port=0, traces=tmp_path / "traces",
        look=lambda _: "sk-of-a-provider", open_provider=lambda *_: provider,
    )  # fmt: skip
    with gateway:
        connection, ask = asker(gateway.url)
        with closing(connection):
            for case in outcomes.cases:
                status, answer = ask(case)
                told = answer["routebench"]
                decision = routed(router, case)
                assert (tuple(told["chain"]), told["rule"]) == (decision.chain, decision.rule), case.id
                # Of cases that share their text the gateway cannot tell which one was recorded.
                row = rows[key_of(case.request.messages)]
                ended = run(router, decision, outcomes, row)
                if ended is None:
                    seen["unknown"] += 1
                    continue
                last, paid, _ = ended
                assert [one["model"] for one in told["attempts"]] == [one.model for one in last.tried], case.id
                assert told.get("model") == last.answered_by, case.id
                assert (status == 200) == (last.answered_by is not None), case.id
                np.testing.assert_allclose(told["cost_usd"] if told["cost_usd"] is not None else np.nan, paid)
                np.testing.assert_allclose(found.cost_usd[row], paid, err_msg=case.id)
                assert found.failed[row] == (status != 200), case.id
                if last.answered_by is not None:
                    assert found.answered_by[row][outcomes.models.index(last.answered_by)] == 1, case.id
                seen[decision.rule] += 1
                seen["failed over or escalated"] += len(last.tried) > 1
    assert sum(seen[name] for name in seen if name != "failed over or escalated") == outcomes.n
    assert seen["failed over or escalated"], seen
