"""Walking through the YAML form of a condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def parts_of(when: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields a condition and every condition that stands in it, whose shapes are known to be right."""
    yield when
    for inner in (*(when.get("any") or ()), *(when.get("all") or ()), *([when["not"]] if when.get("not") else ())):
        yield from parts_of(inner)


def mentions(when: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether a condition, or a part of it, has one of some keys."""
    return any(key in part for part in parts_of(when) for key in keys)
