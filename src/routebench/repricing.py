"""The same tokens under other prices: what a store's answers would cost, without a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from routebench.errors import ConfigError, InputError, nearest
from routebench.pricing import USER_SOURCES, BookEntry, cell_costs_usd, repriced_costs
from routebench.providers import book_entry
from routebench.store import Store, read_matrix, read_models, tokens_by_model
from routebench.store import reprice as write_costs
from routebench.types import Model, Price


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


@dataclass(frozen=True, slots=True)
class PriceChange:
    """What new prices would do to one model.

    Attributes:
        before_usd_per_1000: mean cost of a thousand answers as they are stored, of those whose cost is known.
        after_usd_per_1000: the same under the new price.
        change_percent: from before to after, over the answers whose cost is known under both; None where there is
            none, or they cost nothing before.
    """

    model: str
    answers: int
    n_unknown_before: int
    n_unknown_after: int
    before_usd_per_1000: float | None
    after_usd_per_1000: float | None
    change_percent: float | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `reprice --what-if --json` prints."""
        return asdict(self)

    @classmethod
    def of(cls, model: str, before: Sequence[float | None], after: Sequence[float | None]) -> PriceChange:
        """Sums up two costs of every answer, in the same order; None is unknown."""
        both = [(old, new) for old, new in zip(before, after, strict=True) if old is not None and new is not None]
        was, will = sum(old for old, _ in both), sum(new for _, new in both)
        return cls(
            model,
            len(before),
            sum(cost is None for cost in before),
            sum(cost is None for cost in after),
            _per_1000(before),
            _per_1000(after),
            100 * (will - was) / was if was else None,
        )


@dataclass(frozen=True, slots=True)
class BookPrices:
    """What today's price book says of a store's models.

    Attributes:
        entries: model name -> what the book knows of it.
        left_alone: the names of the other models -> why they keep their costs.
    """

    entries: Mapping[str, BookEntry]
    left_alone: Mapping[str, str]

    @property
    def prices(self) -> dict[str, Price]:
        """Model name -> price."""
        return {name: entry.price for name, entry in self.entries.items()}


def look_up_models(models: Sequence[Model], at: datetime) -> BookPrices:
    """Finds stored models in the price book, by provider, id and address.

    Args:
        models: as a store has them; several of one name must cost the same, since costs go by name.
        at: the time that the prices are wanted for.
    """
    entries: dict[str, BookEntry] = {}
    left: dict[str, str] = {}
    for name in dict.fromkeys(model.name for model in models):
        own = [model for model in models if model.name == name]
        found = [_entry(model, at) for model in own]
        first = found[0]
        if any(model.price_source in USER_SOURCES for model in own):
            left[name] = "a price of your own"
        elif first is None or None in found:
            left[name] = "not in the price book"
        elif any(entry is not None and entry.price != first.price for entry in found):
            left[name] = "one name for models of different prices"
        else:
            entries[name] = first
    return BookPrices(entries, left)


def book_prices(models: Sequence[Model], at: datetime) -> Mapping[str, Price]:
    """Returns what the price book asks for stored models at a time: model name -> price.

    Models that the book does not have, and those with a price or a CPU rate of the user's own, are absent.
    """
    return look_up_models(models, at).prices


def _entry(model: Model, at: datetime) -> BookEntry | None:
    try:
        return book_entry(model, at)
    except ConfigError:
        # Imported outcomes have no provider that could be asked, and a third party's may not be installed here.
        return None


def costs_under(store: Store, suite: str, prices: Mapping[str, Price]) -> Mapping[str, Any]:
    """Returns what the stored tokens of every cell of a suite cost under other prices, as columns of equal length.

    The columns are `case_id`, `model`, `sample` and `cost_usd`, NaN while unknown; a model without another price
    keeps the cost that is stored. `open_outcomes(…, prices=prices)` is the whole matrix at these costs.

    Raises:
        StoreError: the store holds no such suite.
        InputError: the suite has no model of a name.
    """
    import numpy as np

    names = list(dict.fromkeys(model.name for model in read_models(store, suite)))
    _check_names(prices, names, f"suite {suite!r} of store {store.path}")
    found = read_matrix(store, suite, names, tokens=True)
    filled = {
        name: np.ma.filled(found.cells[name], np.nan) for name in ("cost_usd", "input_tokens", "output_tokens", "cpu_s")
    }
    cells = {**found.cells, **filled}
    return {
        "case_id": np.ma.getdata(found.cases["case_id"])[cells["case"]],
        "model": np.array(names)[cells["model"]],
        "sample": cells["sample"],
        "cost_usd": cell_costs_usd([prices.get(name) for name in names], cells),
    }


def what_if(store: Store, prices: Mapping[str, Price]) -> list[PriceChange]:
    """Returns what other prices would do to the costs of some models; writes nothing.

    Raises:
        InputError: as for `reprice`.
    """
    rows = _priced_rows(store, prices)
    costs = repriced_costs(rows, prices)
    pairs: dict[str, list[tuple[float | None, float | None]]] = {name: [] for name in prices}
    for row, cost in zip(rows, costs, strict=True):
        pairs[row["model"]].append((row["cost_usd"], cost))
    return [PriceChange.of(name, [old for old, _ in own], [new for _, new in own]) for name, own in pairs.items()]


def reprice(
    store: Store, prices: Mapping[str, Price], day: date, *, book: Mapping[str, BookEntry] | None = None
) -> list[Repriced]:
    """Costs the answers of some models anew, from their stored tokens; what was billed stays as it was.

    Args:
        store: whose answers.
        prices: model name -> what it charges.
        day: that the prices are for.
        book: where the prices are from, in place of the user: model name -> its entry, whose source and day are kept.

    Raises:
        InputError: the store has no model of a name, or two models share answers and are given different prices.
    """
    rows = _priced_rows(store, prices)
    costs = repriced_costs(rows, prices)
    origin = dict.fromkeys(prices, ("user", day))
    origin |= {name: (entry.source, entry.price_date) for name, entry in (book or {}).items()}
    found: dict[str, list[float | None]] = {name: [] for name in prices}
    written: dict[tuple[str, str], dict[str, Any]] = {}
    models: dict[tuple[str, str], dict[str, Any]] = {}
    for row, cost_usd in zip(rows, costs, strict=True):
        name = row["model"]
        source, of_day = origin[name]
        found[name].append(cost_usd)
        written[row["request_key"], row["run_id"]] = {
            "request_key": row["request_key"],
            "run_id": row["run_id"],
            "cost_usd": cost_usd,
            "price_source": None if cost_usd is None else source,
            "price_date": None if cost_usd is None else of_day,
        }
        models[row["model_key"], name] = {
            "model_key": row["model_key"],
            "name": name,
            "price": prices[name].as_dict(),
            "price_source": source,
            "price_date": of_day,
        }
    write_costs(store, list(written.values()), list(models.values()))
    return [_repriced(name, values) for name, values in found.items()]


def _priced_rows(store: Store, prices: Mapping[str, Price]) -> list[dict[str, Any]]:
    """The store's answers of the models that have a price, checked that an answer has one price only."""
    rows = tokens_by_model(store)
    _check_names(prices, sorted({row["model"] for row in rows}), f"store {store.path}")
    rows = [row for row in rows if row["model"] in prices]
    owner: dict[tuple[str, str], str] = {}
    for row in rows:
        name = row["model"]
        other = owner.setdefault((row["request_key"], row["run_id"]), name)
        if prices[other] != prices[name]:
            first, second = sorted((other, name))
            raise InputError(
                f"models {first!r} and {second!r} share answers, so they share a price: give both the same"
            )
    return rows


def _check_names(prices: Mapping[str, Price], names: Sequence[str], where: str) -> None:
    for name in prices:
        if name not in names:
            raise InputError(
                f"{where} has no answers of model {name!r}{nearest(name, names)}; it has: {', '.join(names)}"
            )


def _per_1000(costs: Sequence[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return 1000 * sum(known) / len(known) if known else None


def _repriced(name: str, costs: list[float | None]) -> Repriced:
    known = [cost for cost in costs if cost is not None]
    return Repriced(name, len(costs), len(costs) - len(known), sum(known) / len(known) if known else None)
