from __future__ import annotations

import json
from typing import Any

import pytest

from routebench.errors import BudgetSpentError, ConfigError, NoEligibleModelError
from routebench.gateway.refusal import Refusal, error_body, refusal_of, shown
from routebench.types import ERROR_KINDS, Completion


def failure(kind: Any, **fields: Any) -> Completion:
    return Completion("error", error_kind=kind, error="http://10.0.0.8:8000 says sk-x is wrong", **fields)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("bad_request", 400, "bad_request"),
        ("context_overflow", 400, "context_length_exceeded"),
        ("content_filter", 400, "content_filter"),
        ("abstained", 422, "abstained"),
        ("budget", 402, "budget_spent"),
        ("rate_limited", 429, "rate_limit_exceeded"),
        ("timeout", 504, "timeout"),
        ("auth", 502, "provider_refused_key"),
        ("connection", 502, "provider_unreachable"),
        ("server", 502, "provider_failed"),
        ("malformed", 502, "provider_malformed"),
        ("incomplete", 502, "provider_incomplete"),
    ],
)
def test_a_failed_chain_has_a_status_of_its_own(kind: str, status: int, code: str) -> None:
    refusal = refusal_of(failure(kind))
    assert (refusal.status, refusal.code) == (status, code)


def test_every_kind_of_failure_is_told_and_none_as_the_clients_wrong_key() -> None:
    told = {kind: refusal_of(failure(kind)).status for kind in ERROR_KINDS}
    assert set(told) == set(ERROR_KINDS)
    assert not {401, 403} & set(told.values())


@pytest.mark.parametrize("kind", ["auth", "connection", "server", "malformed", "incomplete", "timeout", "rate_limited"])
def test_addresses_and_accounts_behind_the_gateway_are_not_told(kind: str) -> None:
    refusal = refusal_of(failure(kind))
    assert "10.0.0.8" not in refusal.message
    assert "sk-x" not in refusal.message


@pytest.mark.parametrize("kind", ["bad_request", "context_overflow", "content_filter"])
def test_what_a_provider_says_of_the_request_is_told(kind: str) -> None:
    assert "is wrong" in refusal_of(failure(kind), model="large").message
    assert refusal_of(failure(kind), model="large").message.startswith("large: ")


def test_the_wait_that_a_provider_asks_for_goes_on_to_the_client() -> None:
    assert refusal_of(failure("rate_limited", retry_after_s=2.1)).headers == {"retry-after": "3"}
    assert refusal_of(failure("rate_limited")).headers == {}
    # Sending it again mends no key.
    assert refusal_of(failure("auth")).headers == {"x-should-retry": "false"}


def test_routing_that_finds_no_model_is_told_in_its_own_words() -> None:
    none = refusal_of(NoEligibleModelError("guards legal leave no model"))
    assert (none.status, none.code, none.message) == (400, "no_eligible_model", "guards legal leave no model")
    spent = refusal_of(BudgetSpentError("$5 of $5 are spent"))
    assert (spent.status, spent.kind, spent.code) == (402, "budget_error", "budget_spent")
    ours = refusal_of(ConfigError("/etc/routebench/secret.yaml: line 3"))
    assert ours.status == 500
    assert "secret.yaml" not in ours.message


def test_an_error_is_a_document_of_the_interface() -> None:
    refusal = Refusal(400, "n: one answer", param="n", code="unsupported_parameter")
    error = {"message": "n: one answer", "type": "invalid_request_error", "param": "n", "code": "unsupported_parameter"}
    assert json.loads(error_body(refusal)) == {"error": error}
    told = json.loads(error_body(refusal, "t1", {"rule": "default"}))
    assert told == {"error": error, "routebench": {"trace_id": "t1", "rule": "default"}}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (0, "0"),
        (0.5, "0.5"),
        ("x", "'x'"),
        ("x" * 100, repr("x" * 39 + "…")),
        ([], "an empty list"),
        ([1], "a list"),
        ({"a": 1}, "an object"),
    ],
)
def test_a_value_is_shown_short(value: Any, told: str) -> None:
    assert shown(value) == told
