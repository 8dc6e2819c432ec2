"""What a call costs: prices from a dated book, and their product with tokens; the unknown stays unknown."""

from __future__ import annotations

from routebench.pricing.book import BookEntry, known_models, look_up
from routebench.pricing.cost import (
    UNKNOWN_COST,
    USER_SOURCES,
    Cost,
    billed_cost_usd,
    cache_discounts,
    cell_costs_usd,
    list_cost_usd,
    list_costs_usd,
    price_of_call,
    repriced_costs,
    worst_case_usd,
)
from routebench.pricing.retirements import Retirement, retirement

__all__ = [
    "UNKNOWN_COST",
    "USER_SOURCES",
    "BookEntry",
    "Cost",
    "Retirement",
    "billed_cost_usd",
    "cache_discounts",
    "cell_costs_usd",
    "known_models",
    "list_cost_usd",
    "list_costs_usd",
    "look_up",
    "price_of_call",
    "repriced_costs",
    "retirement",
    "worst_case_usd",
]
