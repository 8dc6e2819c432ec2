"""The price book: genai-prices, and a small dated file for a provider that it does not have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from functools import cache
from importlib import metadata
from importlib.resources import files
from typing import Any

from routebench.pricing.retirements import Retirement, retirement, retirements
from routebench.types import Price, PriceTier

DASHSCOPE = "dashscope"
_DASHSCOPE_FILE = "dashscope.yaml"


@dataclass(frozen=True, slots=True)
class BookEntry:
    """What the book knows of a model.

    Attributes:
        book: the book's name of the provider.
        model: the book's id of the model.
        price: token rates; a rate that the book does not tell is None.
        source: where the price is from: the book and its edition.
        price_date: the day that the price is for: of the look-up where the book is dated by ranges, else of the book.
        context_window: tokens of input, None while unknown.
        max_output: tokens of output, None while unknown.
        deprecated: the provider has announced its end; None while nobody says.
        retirement: what the provider's own page says about its end; None where it says nothing.
        snapshots: other ids that the book prices as this model, where their providers' pages say something else about
            their end; only in a list of the whole book.
    """

    book: str
    model: str
    price: Price
    source: str
    price_date: date
    context_window: int | None = None
    max_output: int | None = None
    deprecated: bool | None = None
    retirement: Retirement | None = None
    snapshots: Mapping[str, Retirement] = field(default_factory=dict)

    @property
    def window_source(self) -> str | None:
        """Where the window and the longest answer are from: the book tells them with the price."""
        return None if self.context_window is None and self.max_output is None else self.source

    @property
    def retires(self) -> date | None:
        """The day from which on it answers no longer; None while no such day is published."""
        return None if self.retirement is None else self.retirement.retires

    @property
    def not_before(self) -> date | None:
        """The day before which it will not end, where its provider says no more than that."""
        return None if self.retirement is None else self.retirement.not_before

    @property
    def retires_source(self) -> str | None:
        """The provider's page that tells its end, and the day of the copy."""
        return None if self.retirement is None else str(self.retirement)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form that `models --json` prints."""
        plain = {name: value for name, value in asdict(self).items() if name != "retirement"}
        return {
            **plain,
            "price": self.price.as_dict(),
            "price_date": self.price_date.isoformat(),
            "window_source": self.window_source,
            **_end_dict(self.retirement),
            "snapshots": {model: _end_dict(told) for model, told in self.snapshots.items()},
        }


def _end_dict(told: Retirement | None) -> dict[str, str | None]:
    days = {"retires": told and told.retires, "not_before": told and told.not_before}
    return {
        **{name: day.isoformat() if day else None for name, day in days.items()},
        "retires_source": None if told is None else str(told),
    }


def look_up(model: str, *, book: str | None, base_url: str | None, at: datetime) -> BookEntry | None:
    """Finds a model in the book; None where the book does not have it, and never a guess from its name alone.

    Args:
        model: the provider's id of the model.
        book: the book's name of the provider, None to find it by the address.
        base_url: where the calls go.
        at: the time that the price is wanted for.
    """
    if book == DASHSCOPE:
        return _dashscope().get(model)
    if book is None and base_url is None:
        return None
    from genai_prices.data_snapshot import get_snapshot

    try:
        provider, found = get_snapshot().find_provider_model(model, None, book, None if book else base_url)
    except LookupError:
        return None
    entry = _entry(provider.id, found, at)
    # The book has one entry for all snapshots of a model, and each of them ends on a day of its own.
    return None if entry is None else replace(entry, retirement=retirement(provider.id, model))


def known_models(at: datetime) -> Iterator[BookEntry]:
    """Yields every model of the book."""
    from genai_prices.data_snapshot import get_snapshot

    for provider in get_snapshot().providers:
        ends = _ends_by_model(provider)
        for model in provider.models:
            entry = _entry(provider.id, model, at)
            if entry is not None:
                others = {one: told for one, told in ends.get(model.id, {}).items() if told != entry.retirement}
                yield replace(entry, snapshots=others)
    yield from _dashscope().values()


def _ends_by_model(provider: Any) -> Mapping[str, Mapping[str, Retirement]]:
    """The book's id of a model -> the ids that it prices as that model -> what is published about their end."""
    found: dict[str, dict[str, Retirement]] = {}
    for one, told in retirements(provider.id).items():
        model = provider.find_model(one)
        if model is not None and model.id != one:
            found.setdefault(model.id, {})[one] = told
    return found


def _entry(book: str, model: Any, at: datetime) -> BookEntry | None:
    price = _price(model.get_prices(at))
    if price is None:
        return None
    return BookEntry(
        book=book,
        model=model.id,
        price=price,
        source=f"genai-prices {metadata.version('genai-prices')}",
        price_date=at.date(),
        context_window=model.context_window,
        deprecated=model.deprecated,
        retirement=retirement(book, model.id),
    )


_RATES: Mapping[str, str] = {
    "input_mtok": "input_usd_per_mtok",
    "output_mtok": "output_usd_per_mtok",
    "cache_read_mtok": "cached_input_usd_per_mtok",
    "cache_write_mtok": "cache_write_usd_per_mtok",
}


def _price(found: Any) -> Price | None:
    """Turns the book's rates, each perhaps with tiers of its own, into one Price; None where it has no token rate."""
    rates = {ours: getattr(found, theirs, None) for theirs, ours in _RATES.items()}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    if not known:
        return None
    per_thousand = getattr(found, "requests_kcount", None)
    starts = sorted({tier.start for rate in known.values() for tier in getattr(rate, "tiers", ())})
    return Price(
        **{name: _rate(rate, 0) for name, rate in known.items()},
        usd_per_request=None if per_thousand is None else float(per_thousand) / 1000,
        tiers=tuple(
            PriceTier(start, **{name: _rate(rate, start + 1) for name, rate in known.items()}) for start in starts
        ),
    )


def _rate(rate: Any, input_tokens: int) -> float:
    """The rate for a call of that length."""
    if not hasattr(rate, "tiers"):
        return float(rate)
    reached = [tier.price for tier in rate.tiers if input_tokens > tier.start]
    return float(reached[-1] if reached else rate.base)


@cache
def _dashscope() -> Mapping[str, BookEntry]:
    import yaml

    document = yaml.safe_load((files("routebench.pricing") / _DASHSCOPE_FILE).read_text(encoding="utf-8"))
    return {
        name: BookEntry(
            book=DASHSCOPE,
            model=name,
            price=Price(**_dashscope_rates(row), tiers=tuple(_dashscope_tier(tier) for tier in row.get("tiers", ()))),
            source=document["source"],
            price_date=document["date"],
            context_window=row["window"],
            max_output=row["max_output"],
        )
        for name, row in document["models"].items()
    }


def _dashscope_rates(row: Mapping[str, float]) -> dict[str, float | None]:
    return {
        "input_usd_per_mtok": row["input"],
        "output_usd_per_mtok": row["output"],
        "cached_input_usd_per_mtok": row.get("cached"),
    }


def _dashscope_tier(row: Mapping[str, Any]) -> PriceTier:
    return PriceTier(row["above"], **_dashscope_rates(row))
