"""What a call cost, from its tokens or its CPU time and a price; None wherever something needed is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from routebench.types import Completion, Model, Price, PriceTier, Usage

_MTOK = 1_000_000
USER_SOURCES = ("user", "nominal CPU rate")
"""Price sources that the user wrote; they win over what a provider reports."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attempt cost, in US dollars, and how that is known; None is unknown.

    Attributes:
        list_usd: without cache reads or writes, so that it does not depend on the order of a run.
        billed_usd: what was really paid.
        source: `provider` where the provider reported it, else the source of the price.
        price_date: the day that the price is for.
    """

    list_usd: float | None
    billed_usd: float | None
    source: str | None
    price_date: date | None


UNKNOWN_COST = Cost(None, None, None, None)


def price_of_call(completion: Completion, model: Model) -> Cost:
    """Returns the cost of one attempt: the user's price first, then the provider's report, then the book.

    A reported cost contains what the provider's cache saved. Where tokens were cached, the list cost is therefore
    taken from the book if the book knows the model; otherwise the report stands and its source says so.
    """
    usage, price = completion.usage, model.price
    listed = list_cost_usd(usage, price, completion.cpu_s)
    reported = completion.reported_cost_usd
    # What the provider refused was not charged; the adapter has said so.
    billed = completion.billed_cost_usd
    if reported is None or model.price_source in USER_SOURCES:
        if billed is None and not _at_unknown_rates(completion):
            billed = billed_cost_usd(usage, price, completion.cpu_s)
        known = listed is not None
        return Cost(listed, billed, model.price_source if known else None, model.price_date if known else None)
    cached = bool(usage.cached_input_tokens or usage.cache_write_tokens)
    if not cached:
        return Cost(reported, reported, "provider", None)
    if listed is not None:
        return Cost(listed, reported, model.price_source, model.price_date)
    return Cost(reported, reported, "provider, cache included", None)


def _at_unknown_rates(completion: Completion) -> bool:
    """Whether the call was billed at rates that the price does not hold: another tier, or a cache kept for an hour."""
    if completion.service_tier != "standard":
        return True
    written = (completion.usage.raw or {}).get("cache_creation")
    return isinstance(written, Mapping) and bool(written.get("ephemeral_1h_input_tokens"))


def list_cost_usd(usage: Usage, price: Price | None, cpu_s: float | None = None) -> float | None:
    """Returns the list price of one call in US dollars, without cache reads or writes.

    Token prices need both token counts, a CPU rate needs measured seconds. A part that the price names and the call
    does not tell makes the whole cost unknown.
    """
    if price is None:
        return None
    parts: list[float | None] = []
    if price.input_usd_per_mtok is not None or price.output_usd_per_mtok is not None:
        rates = _rates(price, usage.input_tokens)
        parts.append(_times(usage.input_tokens, rates.input_usd_per_mtok))
        parts.append(_times(usage.output_tokens, rates.output_usd_per_mtok))
    if price.usd_per_request is not None:
        parts.append(price.usd_per_request)
    if price.cpu_usd_per_hour is not None:
        parts.append(None if cpu_s is None else cpu_s * price.cpu_usd_per_hour / 3600)
    return _sum(parts)


def repriced_costs(rows: Iterable[Mapping[str, Any]], prices: Mapping[str, Price]) -> list[float | None]:
    """Returns the list cost of stored calls under other prices, in the order of the rows.

    Args:
        rows: a call each: `model`, `input_tokens`, `output_tokens`, `cpu_s`, as the store's `tokens_by_model` has them.
        prices: model name -> what it charges; the cost of another model's call is None.
    """
    return [
        list_cost_usd(
            Usage(input_tokens=row["input_tokens"], output_tokens=row["output_tokens"]),
            prices.get(row["model"]),
            row["cpu_s"],
        )
        for row in rows
    ]


def cell_costs_usd(prices: Sequence[Price | None], cells: Mapping[str, Any]) -> Any:
    """Returns what every cell's tokens cost under other prices, as an array in their order; NaN is unknown.

    Args:
        prices: of every model, in the order that the cells count in; a model without one keeps its costs.
        cells: columns `model` (a position), `cost_usd`, `input_tokens`, `output_tokens`, `cpu_s`; NaN while unknown.
    """
    costs = cells["cost_usd"].copy()
    for place, price in enumerate(prices):
        if price is not None:
            own = cells["model"] == place
            tokens = (cells[name][own] for name in ("input_tokens", "output_tokens", "cpu_s"))
            costs[own] = list_costs_usd(price, *tokens)
    return costs


def list_costs_usd(price: Price, input_tokens: Any, output_tokens: Any, cpu_s: Any) -> Any:
    """Returns what `list_cost_usd` says of many calls to one model, as an array; NaN is unknown.

    Args:
        price: what the model charges.
        input_tokens: an array of counts, NaN while unknown.
        output_tokens: the same of output.
        cpu_s: an array of CPU seconds, NaN while unknown.
    """
    import numpy as np

    costs, named = np.zeros(len(input_tokens)), False
    if price.input_usd_per_mtok is not None or price.output_usd_per_mtok is not None:
        named = True
        for rates, rows in _rows_by_rates(price, input_tokens):
            for tokens, rate in (
                (input_tokens, rates.input_usd_per_mtok),
                (output_tokens, rates.output_usd_per_mtok),
            ):
                costs[rows] += tokens[rows] * (np.nan if rate is None else rate) / _MTOK
    if price.usd_per_request is not None:
        named = True
        costs += price.usd_per_request
    if price.cpu_usd_per_hour is not None:
        named = True
        costs += cpu_s * price.cpu_usd_per_hour / 3600
    return costs if named else np.full(len(costs), np.nan)


def _rows_by_rates(price: Price, input_tokens: Any) -> Iterator[tuple[Price | PriceTier, Any]]:
    """Yields the rates of each length of input with a mask of the calls that pay them."""
    import numpy as np

    lengths: list[Price | PriceTier] = [price, *price.tiers]
    starts = [-np.inf, *(tier.above_input_tokens for tier in price.tiers), np.inf]
    for rates, above, until in zip(lengths, starts[:-1], starts[1:], strict=True):
        rows = (input_tokens > above) & (input_tokens <= until)
        # An unknown length pays the first rates, and stays unknown whatever they are.
        yield rates, rows | np.isnan(input_tokens) if above == -np.inf else rows


def billed_cost_usd(usage: Usage, price: Price | None, cpu_s: float | None = None) -> float | None:
    """Returns what a call was billed: cached and cache-written tokens at their own rates where the price has them."""
    cost = list_cost_usd(usage, price, cpu_s)
    if cost is None or price is None or price.input_usd_per_mtok is None:
        return cost
    rates = _rates(price, usage.input_tokens)
    for tokens, rate in (
        (usage.cached_input_tokens, rates.cached_input_usd_per_mtok),
        (usage.cache_write_tokens, rates.cache_write_usd_per_mtok),
    ):
        if tokens and rate is not None and rates.input_usd_per_mtok is not None:
            cost += tokens * (rate - rates.input_usd_per_mtok) / _MTOK
    return cost


def cache_discounts(price: Price | None) -> list[tuple[int, float | None]]:
    """Returns what a cached input token saves in US dollars, None while unknown, from each length of input on.

    The first length is 0; the others are those of the price's tiers, rising.
    """
    if price is None:
        return [(0, None)]
    found = [(0, _discount(price))]
    return found + [(tier.above_input_tokens, _discount(tier)) for tier in price.tiers]


def _discount(rates: Price | PriceTier) -> float | None:
    whole, cached = rates.input_usd_per_mtok, rates.cached_input_usd_per_mtok
    return None if whole is None or cached is None else (whole - cached) / _MTOK


def worst_case_usd(
    price: Price | None, *, input_tokens: int | None, max_output: int | None, timeout_s: float, caching: bool = False
) -> float | None:
    """Returns the most that one attempt can be billed, None where the price, the input or the output cap is unknown.

    With `caching`, every input token is counted at twice its rate, which is what the dearest cache (an hour, at
    Anthropic) costs to write.
    """
    if price is None:
        return None
    by_token = price.input_usd_per_mtok is not None or price.output_usd_per_mtok is not None
    if by_token and (input_tokens is None or max_output is None):
        return None
    usage = Usage(input_tokens=input_tokens, output_tokens=max_output)
    cost = list_cost_usd(usage, price, cpu_s=timeout_s)
    if cost is None or input_tokens is None:
        return cost
    return cost + (_times(input_tokens, _rates(price, input_tokens).input_usd_per_mtok) or 0.0 if caching else 0.0)


def _rates(price: Price, input_tokens: int | None) -> Price | PriceTier:
    """The token rates for a call of that length: of the highest tier that it exceeds."""
    for tier in reversed(price.tiers):
        if input_tokens is not None and input_tokens > tier.above_input_tokens:
            return tier
    return price


def _times(tokens: int | None, usd_per_mtok: float | None) -> float | None:
    return None if tokens is None or usd_per_mtok is None else tokens * usd_per_mtok / _MTOK


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if parts and len(known) == len(parts) else None
