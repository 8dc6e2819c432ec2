"""The same tokens under other prices: what a store's answers would cost, without a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from routebench.errors import InputError, nearest
from routebench.pricing import list_cost_usd
from routebench.store import Store, tokens_by_model
from routebench.store import reprice as write_costs
from routebench.types import Price, Usage


@dataclass(frozen=True, slots=True)
class Repriced:
    """What new prices did to one model: its answers, those whose cost is now unknown, and the mean of the others."""

    model: str
    answers: int
    n_cost_unknown: int
    mean_cost_usd: float | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `reprice --json` prints."""
        return asdict(self)

    def __str__(self) -> str:
        mean = "at an unknown cost" if self.mean_cost_usd is None else f"${1000 * self.mean_cost_usd:.4g} per 1,000"
        unknown = f", {self.n_cost_unknown} at an unknown cost" if self.n_cost_unknown else ""
        return f"{self.model}: {self.answers} answers {mean}{unknown}"


def reprice(store: Store, prices: Mapping[str, Price], day: date) -> list[Repriced]:
    """Costs the answers of some models anew, from their stored tokens; what was billed stays as it was.

    Args:
        store: whose answers.
        prices: model name -> what it charges.
        day: that the prices are for.

    Raises:
        InputError: the store has no model of a name, or two models share answers and are given different prices.
    """
    rows = tokens_by_model(store)
    names = sorted({row["model"] for row in rows})
    for name in prices:
        if name not in names:
            raise InputError(
                f"store {store.path} has no answers of model {name!r}{nearest(name, names)}; it has: {', '.join(names)}"
            )
    costs: dict[tuple[str, str], dict[str, Any]] = {}
    owner: dict[tuple[str, str], str] = {}
    found: dict[str, list[float | None]] = {name: [] for name in prices}
    for row in rows:
        name = row["model"]
        if name not in prices:
            continue
        key = (row["request_key"], row["run_id"])
        other = owner.setdefault(key, name)
        if prices[other] != prices[name]:
            first, second = sorted((other, name))
            raise InputError(
                f"models {first!r} and {second!r} share answers, so they share a price: give both the same"
            )
        usage = Usage(input_tokens=row["input_tokens"], output_tokens=row["output_tokens"])
        cost_usd = list_cost_usd(usage, prices[name], row["cpu_s"])
        found[name].append(cost_usd)
        costs[key] = {
            "request_key": key[0],
            "run_id": key[1],
            "cost_usd": cost_usd,
            "price_source": None if cost_usd is None else "user",
            "price_date": None if cost_usd is None else day,
        }
    models = {
        (row["model_key"], row["model"]): {
            "model_key": row["model_key"],
            "name": row["model"],
            "price": prices[row["model"]].as_dict(),
            "price_source": "user",
            "price_date": day,
        }
        for row in rows
        if row["model"] in prices
    }
    write_costs(store, list(costs.values()), list(models.values()))
    return [_repriced(name, values) for name, values in found.items()]


def _repriced(name: str, costs: list[float | None]) -> Repriced:
    known = [cost for cost in costs if cost is not None]
    return Repriced(name, len(costs), len(costs) - len(known), sum(known) / len(known) if known else None)
