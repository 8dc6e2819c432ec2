"""What a call costs: prices from a dated book, and their product with tokens; the unknown stays unknown."""

from __future__ import annotations

from routebench.pricing.book import BookEntry, known_models, look_up
from routebench.pricing.cost import (
    UNKNOWN_COST,
    Cost,
    billed_cost_usd,
    cache_discounts,
    list_cost_usd,
    price_of_call,
    worst_case_usd,
)

__all__ = [
    "UNKNOWN_COST",
    "BookEntry",
    "Cost",
    "billed_cost_usd",
    "cache_discounts",
    "known_models",
    "list_cost_usd",
    "look_up",
    "price_of_call",
    "worst_case_usd",
]
