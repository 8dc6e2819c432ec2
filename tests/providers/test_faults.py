"""Error bodies and waits, as the providers write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routebench.providers.faults import from_exception, from_status
from routebench.providers.transport import BrokenError, NotReachedError, TooSlowError
from routebench.providers.waits import asked_wait_s, exhausted_s, reset_s

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def openai(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(message: str, kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def gemini(message: str, status: str, code: int, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, openai("bad value for temperature"), "bad_request"),
        (400, openai("This model's maximum context length is 128000 tokens", code="context_length_exceeded"), "context_overflow"),
        (400, openai("flagged", code="content_filter"), "content_filter"),
        (400, openai("x", code="data_inspection_failed"), "content_filter"),
        (401, openai("Incorrect API key provided", code="invalid_api_key"), "auth"),
        (402, openai("Insufficient Balance"), "auth"),
        (403, openai("Country not supported"), "auth"),
        (404, openai("The model `x` does not exist", code="model_not_found"), "bad_request"),
        (408, {}, "timeout"),
        (413, anthropic("Request exceeds the maximum size", "request_too_large"), "context_overflow"),
        (422, {"detail": "unprocessable"}, "bad_request"),
        (429, openai("Rate limit reached", "requests", "rate_limit_exceeded"), "rate_limited"),
        (429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "auth"),
        (500, openai("The server had an error", "server_error"), "server"),
        (502, "<html><h1>Bad gateway</h1></html>", "server"),
        (503, openai("That model is currently overloaded", "server_error"), "server"),
        (529, anthropic("Overloaded", "overloaded_error"), "server"),
        (400, anthropic("prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"), "context_overflow"),
        (400, anthropic("Your credit balance is too low", "invalid_request_error"), "auth"),
        (401, anthropic("invalid x-api-key", "authentication_error"), "auth"),
        (400, gemini("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", 400), "auth"),
        (400, gemini("The input token count (1200000) exceeds the maximum number of tokens allowed", "INVALID_ARGUMENT", 400), "context_overflow"),
        (403, gemini("Permission denied", "PERMISSION_DENIED", 403), "auth"),
        (429, gemini("Resource has been exhausted", "RESOURCE_EXHAUSTED", 429), "rate_limited"),
        (503, gemini("The model is overloaded.", "UNAVAILABLE", 503), "server"),
        (500, "", "server"),
        (418, "teapot", "bad_request"),
        (307, "", "bad_request"),
    ],
)  # fmt: skip
def test_statuses_and_bodies_have_a_kind(status: int, body: Any, kind: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    completion = from_status(status, {}, text)
    assert (completion.status, completion.error_kind) == ("error", kind)
    assert str(status) in (completion.error or "")
    assert completion.cost_usd is None


def test_the_sentence_inside_the_body_is_told_and_a_long_page_is_not() -> None:
    assert from_status(400, {}, json.dumps([openai("say this")])).error == "HTTP 400: say this"
    assert from_status(400, {}, json.dumps({"message": "flat"})).error == "HTTP 400: flat"
    assert from_status(500, {}, "").error == "HTTP 500: empty body"
    assert len(from_status(500, {}, "x" * 100_000).error or "") < 10_000
    assert "base_url" in (from_status(301, {"location": "https://x.test"}, "").error or "")


def test_what_was_refused_is_not_charged_and_what_broke_may_have_been() -> None:
    refused = [from_status(status, {}, "").billed_cost_usd for status in (400, 401, 404, 429, 503, 529)]
    assert refused == [0.0] * 6
    assert [from_status(status, {}, "").billed_cost_usd for status in (408, 500, 502, 504)] == [None] * 4
    assert from_exception(NotReachedError("refused"), timeout_s=1, started=False).billed_cost_usd == 0.0
    assert from_exception(BrokenError("reset"), timeout_s=1, started=False).billed_cost_usd is None


@pytest.mark.parametrize(
    ("error", "started", "kind"),
    [
        (NotReachedError("refused"), False, "connection"),
        (BrokenError("reset"), False, "connection"),
        (BrokenError("reset"), True, "incomplete"),
        (TooSlowError("slow"), False, "timeout"),
        (TimeoutError(), True, "timeout"),
    ],
)
def test_broken_exchanges_have_a_kind(error: Exception, started: bool, kind: str) -> None:
    assert from_exception(error, timeout_s=3, started=started).error_kind == kind


@pytest.mark.parametrize(
    ("headers", "error", "seconds"),
    [
        ({"retry-after": "3"}, None, 3.0),
        ({"retry-after": "0.25"}, None, 0.25),
        ({"llm_provider-retry-after": "7"}, None, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, None, 1.5),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT"}, None, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 11:59:00 GMT"}, None, 0.0),
        # Our clock is an hour behind the server's: what counts is the distance on its own clock.
        ({"retry-after": "Tue, 24 Nov 2026 13:00:30 GMT", "date": "Tue, 24 Nov 2026 13:00:00 GMT"}, None, 30.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:30 GMT", "date": "yesterday"}, None, 30.0),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "-5"}, None, 0.0),
        ({}, None, None),
        ({}, {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}]}, 17.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2s", "x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6s"}, None, 62.0),
        ({"x-ratelimit-reset-requests": "120ms"}, None, 0.12),
        ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2026-11-24T12:00:20Z"}, None, 20.0),
        ({"anthropic-ratelimit-output-tokens-remaining": "0", "anthropic-ratelimit-output-tokens-reset": "2026-11-24T12:00:05Z"}, None, 5.0),
    ],
)  # fmt: skip
def test_every_form_of_a_wait_is_read(headers: dict[str, str], error: Any, seconds: float | None) -> None:
    assert asked_wait_s(headers, error, now=NOW) == (None if seconds is None else pytest.approx(seconds))


def test_a_limit_with_something_left_asks_for_no_wait() -> None:
    left = {"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "60s"}
    assert exhausted_s(left, now=NOW) is None
    assert exhausted_s({**left, "x-ratelimit-remaining-requests": "0"}, now=NOW) == 60.0
    assert exhausted_s({"x-ratelimit-remaining-requests": "0"}, now=NOW) is None


@given(st.text(max_size=20))
def test_no_text_breaks_the_reading_of_a_reset(text: str) -> None:
    value = reset_s(text, NOW)
    assert value is None or value >= 0
    asked = asked_wait_s({"retry-after": text}, None, now=NOW)
    assert asked is None or asked >= 0
