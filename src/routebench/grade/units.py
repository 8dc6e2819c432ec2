"""Units of mass, length, time and data: what is written after a number, as a multiple of a base unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of some dimension, in multiples of that dimension's base unit."""

    dimension: str
    factor: float


_PREFIXES = {
    "n": 1e-9,
    "\u00b5": 1e-6,
    "m": 1e-3,
    "c": 1e-2,
    "d": 1e-1,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}
_PREFIX_WORDS = {"nano": 1e-9, "micro": 1e-6, "milli": 1e-3, "centi": 1e-2, "deci": 1e-1, "": 1.0, "kilo": 1e3}
_DATA_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY_PREFIXES = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
_WORDS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("mass", 1e6, ("t", "tonne", "tonnes")),
    ("mass", 453.59237, ("lb", "lbs", "pound", "pounds")),
    ("mass", 28.349523125, ("oz", "ounce", "ounces")),
    ("length", 0.0254, ("inch", "inches")),
    ("length", 0.3048, ("ft", "foot", "feet")),
    ("length", 0.9144, ("yd", "yard", "yards")),
    ("length", 1609.344, ("mi", "mile", "miles")),
    ("time", 1.0, ("sec", "secs", "second", "seconds")),
    ("time", 1e-3, ("millisecond", "milliseconds")),
    ("time", 60.0, ("min", "mins", "minute", "minutes")),
    ("time", 3600.0, ("h", "hr", "hrs", "hour", "hours")),
    ("time", 86_400.0, ("d", "day", "days")),
    ("time", 604_800.0, ("week", "weeks")),
    ("data", 8.0, ("byte", "bytes")),
    ("data", 1.0, ("bit", "bits")),
)


def _table() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for prefix, factor in _PREFIXES.items():
        found[f"{prefix}g"] = Unit("mass", factor)
        found[f"{prefix}m"] = Unit("length", factor)
        if factor <= 1:
            found[f"{prefix}s"] = Unit("time", factor)
    for prefix, factor in _PREFIX_WORDS.items():
        found |= dict.fromkeys((f"{prefix}gram", f"{prefix}grams"), Unit("mass", factor))
        found |= dict.fromkeys(
            (f"{prefix}meter", f"{prefix}meters", f"{prefix}metre", f"{prefix}metres"), Unit("length", factor)
        )
    for prefix, factor in (_DATA_PREFIXES | _BINARY_PREFIXES).items():
        found[f"{prefix}B"] = Unit("data", 8 * factor)
        found[f"{prefix}bit"] = Unit("data", factor)
    for dimension, factor, names in _WORDS:
        found |= dict.fromkeys(names, Unit(dimension, factor))
    return found


UNITS: Mapping[str, Unit] = _table()
"""Spelling -> unit. `in` is not among them: it is a word far more often than an inch."""


def find_unit(text: str) -> Unit | None:
    """Returns the unit that a word names, None where it names none; case counts in symbols and not in words."""
    text = text.replace("\u03bc", "\u00b5")
    return UNITS.get(text) or (UNITS.get(text.lower()) if len(text) > 3 else None)
