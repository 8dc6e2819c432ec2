"""Requests that nobody would write: each is an answer or a clear refusal, never a fault of the gateway's.

The number of bodies grows with `ROUTEBENCH_FUZZ`, and `benchmarks/fuzz_gateway.py` sends ten thousand.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

from routebench.gateway.asked import Asked, read_chat
from routebench.gateway.fitness import Fitness, UnfitError
from routebench.gateway.refusal import Refusal, error_body
from routebench.providers import Call, provider_kind, render
from routebench.providers.anthropic import AnthropicMessages
from routebench.providers.gemini import GeminiContent
from routebench.providers.http import Wire
from routebench.providers.openai import Dialect, OpenAIChat
from tests.conftest import make_model
from tests.gateway.bodies_made import REQUEST, made_from, spoilt

N_BODIES = int(os.environ.get("ROUTEBENCH_FUZZ", "3000"))
QUIETLY = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)
MADE: list[dict[str, Any]] = []
WIRES: tuple[tuple[str, Wire], ...] = (
    ("openai", OpenAIChat(Dialect("test", "http://127.0.0.1:1/v1"))),
    ("anthropic", AnthropicMessages()),
    ("gemini", GeminiContent()),
)


def read(body: bytes) -> Asked | Refusal:
    try:
        return read_chat(body)
    except Refusal as refusal:
        return refusal


@seed(20261128)
@QUIETLY
@given(made_from(REQUEST))
def test_every_request_of_the_schema_is_accepted(document: dict[str, Any]) -> None:
    asked = read(json.dumps(document).encode())
    assert isinstance(asked, Asked), f"{asked}: {document}"
    assert list(asked.request.messages) == document["messages"]
    MADE.append(document)


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    """What the test above has made, or makes now where it is not run."""
    if not MADE:
        test_every_request_of_the_schema_is_accepted()
    return MADE


def test_spoilt_requests_are_read_or_refused_and_quickly(documents: list[dict[str, Any]]) -> None:
    refused, longest_s = 0, 0.0
    for body in spoilt(documents, N_BODIES, seed=1):
        start_s = time.thread_time()
        asked = read(body)
        longest_s = max(longest_s, time.thread_time() - start_s)
        if isinstance(asked, Refusal):
            refused += 1
            assert asked.status == 400
            document = json.loads(error_body(asked, "t1"))
            assert document["error"]["message"]
            assert len(document["error"]["message"]) < 400
    # A generator that spoils nothing, or everything, tests nothing.
    assert 0.3 * N_BODIES < refused < 0.98 * N_BODIES
    assert longest_s < 0.5


@pytest.mark.parametrize(("name", "wire"), WIRES, ids=lambda value: value if isinstance(value, str) else "")
def test_whatever_is_accepted_can_be_written_for_a_model(
    documents: list[dict[str, Any]], name: str, wire: Wire
) -> None:
    model = make_model(provider=name, params={}, model="gemini-3-pro")
    fitness = Fitness(model, provider_kind(name))
    n_written = 0
    for body in spoilt(documents, N_BODIES, seed=2):
        asked = read(body)
        if isinstance(asked, Refusal):
            continue
        try:
            request = fitness.fitted(render(model, asked.request))
            wired = wire.request(Call(model, request, 0, 5.0, ""), {}, stream=True)
            json.dumps(wired.body).encode()
        except UnfitError as error:
            assert "extra_body" not in str(error)  # noqa: PT017 - one of two good ends
        except ValueError as error:
            # Arguments of a call that are no JSON have no form where arguments are objects.
            assert "are no JSON object" in str(error)  # noqa: PT017
            assert name != "openai"
        else:
            n_written += 1
    assert n_written > N_BODIES // 40
