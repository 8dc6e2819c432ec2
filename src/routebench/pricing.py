"""What a call cost, from its tokens or its CPU time and a price; None wherever something needed is unknown."""

from __future__ import annotations

from routebench.types import Price, Usage

_MTOK = 1_000_000


def list_cost_usd(usage: Usage, price: Price | None, cpu_s: float | None = None) -> float | None:
    """Returns the list price of one call in US dollars, without cache reads or writes.

    Token prices need both token counts, a CPU rate needs measured seconds. A part that the price names and the call
    does not tell makes the whole cost unknown.
    """
    if price is None:
        return None
    parts: list[float | None] = []
    if price.input_usd_per_mtok is not None or price.output_usd_per_mtok is not None:
        parts.append(_times(usage.input_tokens, price.input_usd_per_mtok))
        parts.append(_times(usage.output_tokens, price.output_usd_per_mtok))
    if price.usd_per_request is not None:
        parts.append(price.usd_per_request)
    if price.cpu_usd_per_hour is not None:
        parts.append(None if cpu_s is None else cpu_s * price.cpu_usd_per_hour / 3600)
    return _sum(parts)


def billed_cost_usd(usage: Usage, price: Price | None, cpu_s: float | None = None) -> float | None:
    """Returns what a call was billed: cached and cache-written tokens at their own rates where the price has them."""
    cost = list_cost_usd(usage, price, cpu_s)
    if cost is None or price is None or price.input_usd_per_mtok is None:
        return cost
    for tokens, rate in (
        (usage.cached_input_tokens, price.cached_input_usd_per_mtok),
        (usage.cache_write_tokens, price.cache_write_usd_per_mtok),
    ):
        if tokens and rate is not None:
            cost += tokens * (rate - price.input_usd_per_mtok) / _MTOK
    return cost


def worst_case_usd(price: Price | None, *, input_tokens: int, max_output: int | None, timeout_s: float) -> float | None:
    """Returns the most that one attempt can cost, None where the price or the output cap is unknown."""
    if max_output is None and price is not None and price.output_usd_per_mtok:
        return None
    usage = Usage(input_tokens=input_tokens, output_tokens=max_output or 0)
    return list_cost_usd(usage, price, cpu_s=timeout_s)


def _times(tokens: int | None, usd_per_mtok: float | None) -> float | None:
    return None if tokens is None or usd_per_mtok is None else tokens * usd_per_mtok / _MTOK


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if parts and len(known) == len(parts) else None
