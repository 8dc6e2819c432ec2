from __future__ import annotations

import pytest

from routebench.providers import failed
from routebench.run.breaker import AFTER_SUCCESS, PERMANENT_IN_A_ROW, TRANSIENT_IN_A_ROW, Breaker
from routebench.run.budget import Budget
from routebench.run.retry import FIRST_BACKOFF_S, MAX_BACKOFF_S, Retry
from routebench.types import Completion, ErrorKind

OK = Completion(status="ok", text="x")


def decide(completion: Completion, attempt: int = 1, **options: object) -> Retry:
    return Retry.decide(
        completion, **{"attempt": attempt, "max_attempts": 4, "uniform": lambda _low, high: high, **options}
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "after", "again"),
    [
        ("rate_limited", "rate_limit", True),
        ("timeout", "transient", True),
        ("connection", "transient", True),
        ("server", "transient", True),
        ("malformed", "transient", True),
        ("incomplete", "transient", True),
        ("auth", "permanent", False),
        ("bad_request", "permanent", False),
        ("context_overflow", "permanent", False),
        ("content_filter", "permanent", False),
        ("abstained", "permanent", False),
    ],
)
def test_kinds(kind: ErrorKind, after: str, again: bool) -> None:
    decision = decide(failed(kind, "x"))
    assert (decision.after, decision.wait_s is not None) == (after, again)


def test_an_answer_is_not_repeated() -> None:
    assert decide(OK) == Retry("answer")


def test_waits_double_up_to_a_bound_and_are_jittered() -> None:
    waits = [decide(failed("server", "x"), attempt, max_attempts=99).wait_s for attempt in range(1, 9)]
    assert waits == [min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2**number) for number in range(8)]
    low = decide(failed("server", "x"), uniform=lambda low, _high: low).wait_s
    assert low == FIRST_BACKOFF_S / 2


def test_an_asked_wait_is_never_shortened_and_a_very_long_one_is_left_to_a_later_run() -> None:
    wait_s = decide(failed("rate_limited", "x", retry_after_s=30.0)).wait_s
    assert wait_s is not None
    assert 30.0 < wait_s < 31.0
    assert decide(failed("rate_limited", "x", retry_after_s=3600.0)).wait_s is None


def test_the_last_attempt_is_the_last() -> None:
    assert decide(failed("server", "x"), 4).wait_s is None


def tripped_after(breaker: Breaker, kind: ErrorKind) -> int:
    for number in range(1, 100):
        breaker.note(failed(kind, "no"))
        if breaker.reason is not None:
            return number
    return 100


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("auth", PERMANENT_IN_A_ROW),
        ("bad_request", PERMANENT_IN_A_ROW),
        ("connection", TRANSIENT_IN_A_ROW),
        ("rate_limited", TRANSIENT_IN_A_ROW),
        # These say something about the case, not about the provider.
        ("malformed", TRANSIENT_IN_A_ROW),
        ("abstained", 100),
        ("content_filter", 100),
        ("context_overflow", 100),
    ],
)
def test_a_model_that_only_fails_is_paused(kind: ErrorKind, number: int) -> None:
    breaker = Breaker()
    assert tripped_after(breaker, kind) == number
    assert breaker.reason is None or f"{kind}: no" in breaker.reason


def test_one_that_has_answered_gets_more_patience_and_an_answer_clears_the_count() -> None:
    breaker = Breaker()
    breaker.note(OK)
    assert tripped_after(breaker, "server") == AFTER_SUCCESS
    breaker.note(OK)
    assert breaker.reason is None


def test_refusals_that_overtake_answers_do_not_pause_a_model() -> None:
    breaker = Breaker()
    for _ in range(PERMANENT_IN_A_ROW + 15):
        breaker.note(failed("bad_request", "odd"), in_flight=16)
    assert breaker.reason is None
    breaker.note(failed("bad_request", "odd"), in_flight=16)
    assert breaker.reason is not None


def test_different_kinds_are_not_one_row() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.note(failed("server", "x"))
        breaker.note(failed("auth", "x"))
    assert breaker.reason is None


def test_reservations_are_freed_and_unknown_bills_booked_at_their_worst() -> None:
    budget = Budget(1.0)
    assert budget.reserve(0.6)
    assert not budget.reserve(0.6)
    budget.settle(0.6, 0.1)
    assert budget.reserve(0.6)
    budget.settle(0.6, None)
    assert (budget.spent_usd, budget.n_unknown, budget.n_sent, budget.n_open) == (pytest.approx(0.7), 1, 2, 0)
    assert not budget.reserve(None)
    assert "cap of $1" in budget.full(0.5)
    assert "up to $0.5" in budget.full(0.5)


def test_a_cap_on_calls_holds_with_and_without_prices() -> None:
    budget = Budget(max_calls=2)
    assert [budget.reserve(None) for _ in range(3)] == [True, True, False]
    assert "2 requests" in budget.full(None)
    both = Budget(1.0, max_calls=5)
    assert both.reserve(None)
    assert not both.reserve(2.0)
