"""One answer of several attempts: the last one, and what the others used up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from routebench.pricing import Cost
from routebench.types import Completion


def whole(
    completion: Completion, cost: Cost, failures: Sequence[Completion], *, queue_s: float, at: datetime
) -> Completion:
    """Returns the last attempt with its cost, and with what those before it used up.

    Args:
        completion: what the last attempt brought.
        cost: of it.
        failures: the attempts before it; each carries what those before it used up.
        queue_s: seconds that it waited in our own queue.
        at: when it was sent.
    """
    last = failures[-1] if failures else None
    billed_usd = cost.billed_usd
    if last is not None:
        known = last.billed_cost_usd is not None and billed_usd is not None
        billed_usd = last.billed_cost_usd + billed_usd if known else None  # type: ignore[operator]
    return replace(
        completion,
        queue_s=queue_s,
        started_at=at,
        cost_usd=cost.list_usd,
        billed_cost_usd=billed_usd,
        price_source=cost.source,
        price_date=cost.price_date,
        attempts=1 if last is None else last.attempts + 1,
        wasted_input_tokens=0 if last is None else _wasted(last, last.wasted_input_tokens, last.usage.input_tokens),
        wasted_output_tokens=0 if last is None else _wasted(last, last.wasted_output_tokens, last.usage.output_tokens),
        wasted_cost_usd=0.0 if last is None else last.billed_cost_usd,
    )


def _wasted(failure: Completion, before: int | None, tokens: int | None) -> int | None:
    """The tokens of failed attempts, with one more; what it did not tell is unknown, unless nothing was charged."""
    if tokens is None and failure.billed_cost_usd is not None and failure.billed_cost_usd == failure.wasted_cost_usd:
        tokens = 0
    return None if before is None or tokens is None else before + tokens
