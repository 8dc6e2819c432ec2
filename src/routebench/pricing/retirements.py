"""When providers end their models: a dated file of what their own pages state, and nothing that they do not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

_Day = date
_FILE = "retirements.yaml"
# Amazon routes one model through several regions; the prefix names the route, not the model.
_ROUTED = {"aws": re.compile(r"^(global|regional|us|us-gov|eu|apac|jp|au|ca)\.")}


@dataclass(frozen=True, slots=True)
class Retirement:
    """What a provider says about the end of a model.

    Attributes:
        date: the day from which on it answers no longer; where `tentative`, the day before which it will not end.
        source: the provider's page.
        read: the day of the copy of that page.
        tentative: the provider promises only that the model ends no sooner; that is no retirement.
    """

    date: _Day
    source: str
    read: _Day
    tentative: bool = False

    @property
    def retires(self) -> _Day | None:
        """The day from which on it answers no longer; None while no such day is published."""
        return None if self.tentative else self.date

    @property
    def not_before(self) -> _Day | None:
        """The day before which it will not end, where its provider says no more than that."""
        return self.date if self.tentative else None

    def __str__(self) -> str:
        return f"{self.source}, read {self.read.isoformat()}"


def retirement(book: str | None, model: str) -> Retirement | None:
    """Returns what a provider's page says about the end of a model; None where it says nothing.

    An undated id ends with a dated one only where the provider documents it as another name of that one: elsewhere
    it may be pointed at another snapshot.

    Args:
        book: the price book's name of the provider, None while unknown.
        model: the provider's id of the model.
    """
    if book is None:
        return None
    routed = _ROUTED.get(book)
    return _retirements().get((book, routed.sub("", model) if routed else model))


def retirements(book: str) -> dict[str, Retirement]:
    """Returns what a provider's pages say about ends: model id -> what they say, in the order of the file."""
    return {model: told for (of, model), told in _retirements().items() if of == book}


@cache
def _retirements() -> Mapping[tuple[str, str], Retirement]:
    import yaml

    # The parser in C reads the file in a tenth of the time, where it is built in.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load((files("routebench.pricing") / _FILE).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    return {(block["book"], model): one for block in document["blocks"] for model, one in _block(block)}


def _block(block: Mapping[str, Any]) -> Iterator[tuple[str, Retirement]]:
    found = {
        model: Retirement(day, block["source"], block["read"], tentative)
        for key, tentative in (("not_before", True), ("dates", False))
        for model, day in (block.get(key) or {}).items()
    }
    yield from found.items()
    for alias, model in (block.get("aliases") or {}).items():
        yield alias, found[model]
