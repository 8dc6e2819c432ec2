"""The grader for numbers: which one an answer gives, in which unit, and how near it is.

What is not handled: numbers in words, fractions such as 3/4, a decimal comma, and units of other dimensions than mass,
length, time and data.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from routebench.grade.units import Unit, find_unit
from routebench.types import Case, Grade

_NUMBER = re.compile(
    r"""
    (?P<sign>(?<![\w)])[-+\u2212])?\s?
    (?:[$\u20ac\u00a3\u00a5]\s?(?P<inner>[-\u2212])?)?
    (?P<digits>\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?![\d])|\d+)(?P<fraction>\.\d+)?(?P<power>[eE][-+]?\d+)?
    (?:\s?\\?(?P<percent>%|percent\b|per\ cent\b)|\s?\\?(?:text\{)?(?P<word>[A-Za-z\u00b5\u03bc]+))?
    """,
    re.VERBOSE,
)
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_MARKER = re.compile(r"####|\b(?:final\s+)?answer\s*(?:is\b\s*:?|:)", re.IGNORECASE)
# Decimal fractions such as 0.1 have no exact binary form.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was written.

    Attributes:
        value: without its sign of percent.
        percent: whether it has one.
        unit: of the word that stands behind it, None where that is no unit.
    """

    value: float
    percent: bool = False
    unit: Unit | None = None

    def __str__(self) -> str:
        return f"{self.value:g}{' %' if self.percent else ''}"


def numeric(case: Case, answer: str) -> Grade:
    r"""1 when the number that the answer gives is the target.

    Read is the last `\boxed{}`, else the first number behind the last `####` or "answer is", else the last number;
    signs of currency and separators of thousands aside. Options:

    - `tolerance`: relative (0 by default); `absolute`: in the target's unit. Either suffices.
    - `unit`: of the target, such as `kg`. Another unit of the dimension is converted, one of another dimension is
      wrong, none at all is accepted.

    A target in percent, "12.5%", is met by 12.5 %, 12.5 and 0.125; a bare one also by its value in percent.
    """
    unit = find_unit(str(case.grader.options["unit"])) if "unit" in case.grader.options else None
    given = read_number(answer, unit)
    if given is None:
        return Grade("numeric", 0.0, "no number in the answer")
    target = parse_target(case.target)
    if unit is not None and given.unit is not None:
        if given.unit.dimension != unit.dimension:
            return Grade("numeric", 0.0, f"read {given} in a unit of {given.unit.dimension}, not of {unit.dimension}")
        given = Quantity(given.value * given.unit.factor / unit.factor, given.percent)
    readings, wanted = [given.value], target.value
    if target.percent:
        wanted = target.value / 100
        readings = [given.value / 100] if given.percent else [given.value / 100, given.value]
    elif given.percent:
        readings = [given.value, given.value / 100]
    relative, absolute = (float(case.grader.options.get(name, 0.0)) for name in ("tolerance", "absolute"))
    # In the target's unit: one point of percent is a hundredth.
    absolute = max(absolute / 100 if target.percent else absolute, 0.0 if wanted else max(relative, _ROUNDING))
    passed = any(
        abs(reading - wanted) <= max(max(relative, _ROUNDING) * abs(wanted), absolute * (1 + _ROUNDING))
        for reading in readings
    )
    return Grade("numeric", 1.0 if passed else 0.0, f"read {given}")


def read_number(answer: str, unit: Unit | None = None) -> Quantity | None:
    """Returns the number that an answer gives, None where it gives none.

    Args:
        answer: the text.
        unit: of several numbers that stand at the end, the last one in a unit of this dimension is taken.
    """
    boxed = _BOXED.findall(answer)
    if boxed:
        found = _numbers(boxed[-1])
        if found:
            return _last(found, unit)
    markers = list(_MARKER.finditer(answer))
    if markers:
        found = _numbers(answer[markers[-1].end() :])
        if found:
            return found[0]
    found = _numbers(answer)
    return _last(found, unit) if found else None


def parse_target(target: Any) -> Quantity:
    """Reads a target: a number, or a text such as `1,234`, `$5` and `12.5%`.

    Raises:
        ValueError: it is no number, or not only one.
    """
    if isinstance(target, bool):
        raise ValueError("a truth value is no number")
    if isinstance(target, (int, float)):
        value = Quantity(float(target))
    else:
        text = str(target).strip()
        match = _NUMBER.fullmatch(text)
        if match is None or match["word"]:
            raise ValueError(f"{text!r} is not one number")
        value = _quantity(match)
    if not math.isfinite(value.value):
        raise ValueError("it is not finite")
    return value


def _numbers(text: str) -> list[Quantity]:
    return [_quantity(match) for match in _NUMBER.finditer(text)]


def _quantity(match: re.Match[str]) -> Quantity:
    digits = re.sub(r"\D", "", match["digits"])
    value = float(f"{digits}{match['fraction'] or ''}{match['power'] or ''}")
    negative = (match["sign"] or match["inner"] or "+") in "-\u2212"
    return Quantity(-value if negative else value, match["percent"] is not None, find_unit(match["word"] or ""))


def _last(found: list[Quantity], unit: Unit | None) -> Quantity:
    fitting = [one for one in found if unit is not None and one.unit and one.unit.dimension == unit.dimension]
    return (fitting or found)[-1]
