"""Numbers on the surface of an answer: how long it is, how it is written, and whether its own sums are right.

Their names, their order and what they count are part of the artifacts' format, v1: a change is a new version. Of a long
answer its last 20,000 characters are read.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from routebench.rules.answers.gist import gist, last_marker, numbers_of, said
from routebench.rules.reading.request import Reading
from routebench.rules.structured import misfit_of_calls, read_json
from routebench.types import Answer

_PUNCTUATION = frozenset(string.punctuation)
_WORD = re.compile(r"\w+")
_SUM = re.compile(
    r"(?<![0-9.,])\$?(-?[0-9][0-9,]*(?:\.[0-9]+)?)%? ?([-+*/x\u00d7\u00f7]) ?\$?(-?[0-9][0-9,]*(?:\.[0-9]+)?)%? ?="
    r" ?\$?(-?[0-9][0-9,]*(?:\.[0-9]+)?)(?! ?[-+*/x\u00d7\u00f7(])"
)
_DECLINES = re.compile(
    r"\b(?:sorry|cannot|can't|unable|not able|as an ai|apologi[sz]e|do(?:n't| not) have|not possible|impossible"
    r"|insufficient|not provided|no function|none of)\b",
    re.IGNORECASE,
)
_HEDGES = re.compile(
    r"\b(?:however|approximately|about|roughly|might|may|maybe|perhaps|probably|likely|assum\w*|not sure|unclear"
    r"|unless|seems?|appears?|wait|actually|mistake|correct(?:ion|ed))\b",
    re.IGNORECASE,
)
_ROUNDED = 0.01


@dataclass(frozen=True)
class _Pair:
    """A request and an answer to it, each part worked out once."""

    reading: Reading
    answer: Answer

    @cached_property
    def text(self) -> str:
        return said(self.answer)

    @cached_property
    def stripped(self) -> str:
        return self.text.strip()

    @cached_property
    def words(self) -> list[str]:
        return _WORD.findall(self.text.lower())

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(self.words)

    @cached_property
    def asked_words(self) -> frozenset[str]:
        return frozenset(_WORD.findall(self.reading.text("user").text.lower()))

    @cached_property
    def numbers(self) -> list[float]:
        return numbers_of(self.text)

    @cached_property
    def asked_numbers(self) -> frozenset[float]:
        return frozenset(numbers_of(self.reading.text("user").text))

    @cached_property
    def sums(self) -> list[bool]:
        """Whether each "a + b = c" that the answer writes is right."""
        return [_is_right(*found) for found in _SUM.findall(self.text)]

    @cached_property
    def final(self) -> float | None:
        """The number that the answer comes down to, None where it is none."""
        try:
            found = float(gist(self.answer) or "")
        except ValueError:
            return None
        return found if math.isfinite(found) else None


def _is_right(left: str, sign: str, right: str, total: str) -> bool:
    a, b, c = (float(one.replace(",", "")) for one in (left, right, total))
    if sign in "/\u00f7":
        if b == 0:
            return False
        value = a / b
    else:
        value = a + b if sign == "+" else a - b if sign == "-" else a * b
    return abs(value - c) <= _ROUNDED * max(1.0, abs(value) / 2)


def _share(pair: _Pair, holds: Callable[[str], bool]) -> float:
    return sum(map(holds, pair.text)) / max(1, len(pair.text))


def _is_json(pair: _Pair) -> float:
    try:
        read_json(pair.answer.text or "")
    except ValueError:
        return 0.0
    return 1.0


def _of_final(pair: _Pair, value: Callable[[float], float]) -> float:
    return 0.0 if pair.final is None else value(pair.final)


def _finished(reason: str) -> Callable[[_Pair], float]:
    return lambda pair: float(pair.answer.finish_reason == reason)


_MEASURES: Mapping[str, Callable[[_Pair], float]] = {
    "log_characters": lambda pair: math.log1p(len(pair.text)),
    "log_words": lambda pair: math.log1p(len(pair.words)),
    "log_lines": lambda pair: math.log1p(pair.text.count("\n")),
    "log_longer": lambda pair: math.log1p(len(pair.text)) - math.log1p(len(pair.reading.text("user").text)),
    "distinct_words": lambda pair: len(pair.vocabulary) / max(1, len(pair.words)),
    "digits": lambda pair: _share(pair, str.isdigit),
    "capitals": lambda pair: _share(pair, str.isupper),
    "punctuation": lambda pair: _share(pair, _PUNCTUATION.__contains__),
    "is_empty": lambda pair: float(not pair.stripped),
    "ends_a_sentence": lambda pair: float(pair.stripped[-1:] in tuple('.!?)]}`"')),
    "ends_in_a_digit": lambda pair: float(pair.stripped[-1:].isdigit()),
    "asks_back": lambda pair: float(pair.stripped.endswith("?")),
    "finished_stop": _finished("stop"),
    "finished_length": _finished("length"),
    "finished_tool_calls": _finished("tool_calls"),
    "log_tool_calls": lambda pair: math.log1p(len(pair.answer.tool_calls)),
    "calls_misfit": lambda pair: float(misfit_of_calls(pair.answer.tool_calls, pair.reading.request) is not None),
    "is_json": _is_json,
    "begins_a_list": lambda pair: float(pair.stripped[:1] == "["),
    "begins_an_object": lambda pair: float(pair.stripped[:1] == "{"),
    "has_fence": lambda pair: float("```" in pair.text),
    "log_brackets": lambda pair: math.log1p(pair.text.count("(")),
    "log_commas": lambda pair: math.log1p(pair.text.count(",")),
    "log_quotes": lambda pair: math.log1p(pair.text.count('"') + pair.text.count("'")),
    "has_final_answer": lambda pair: float(last_marker(pair.text) is not None),
    "log_declines": lambda pair: math.log1p(len(_DECLINES.findall(pair.text))),
    "log_hedges": lambda pair: math.log1p(len(_HEDGES.findall(pair.text))),
    "log_numbers": lambda pair: math.log1p(len(pair.numbers)),
    "log_new_numbers": lambda pair: math.log1p(len(set(pair.numbers) - pair.asked_numbers)),
    "log_asked_numbers": lambda pair: math.log1p(len(pair.asked_numbers)),
    "numbers_of_prompt": lambda pair: (
        sum(one in pair.asked_numbers for one in pair.numbers) / max(1, len(pair.numbers))
    ),
    "prompt_numbers_used": lambda pair: (
        len(pair.asked_numbers.intersection(pair.numbers)) / max(1, len(pair.asked_numbers))
    ),
    "has_fraction": lambda pair: float(any(not one.is_integer() for one in pair.numbers)),
    "log_equals": lambda pair: math.log1p(pair.text.count("=")),
    "log_sums": lambda pair: math.log1p(len(pair.sums)),
    "log_wrong_sums": lambda pair: math.log1p(len(pair.sums) - sum(pair.sums)),
    "has_wrong_sum": lambda pair: float(not all(pair.sums)),
    "final_is_number": lambda pair: float(pair.final is not None),
    "log_final": lambda pair: _of_final(pair, lambda value: math.log1p(min(abs(value), 1e9))),
    "final_is_whole": lambda pair: _of_final(pair, lambda value: float(value.is_integer())),
    "final_is_negative": lambda pair: _of_final(pair, lambda value: float(value < 0)),
    "final_in_prompt": lambda pair: _of_final(pair, lambda value: float(value in pair.asked_numbers)),
    "words_of_prompt": lambda pair: len(pair.vocabulary & pair.asked_words) / max(1, len(pair.vocabulary)),
    "prompt_words_used": lambda pair: len(pair.vocabulary & pair.asked_words) / max(1, len(pair.asked_words)),
    "has_confidence": lambda pair: float(pair.answer.confidence is not None),
    "confidence": lambda pair: pair.answer.confidence or 0.0,
}
ANSWER_SURFACE: tuple[str, ...] = tuple(_MEASURES)
"""The names, in the order of the columns: `log_x` is log(1 + the number of x), shares are of characters or of words,
the rest is 0 or 1. A sum is a written "a + b = c" (or -, *, /); the final number is what the answer comes down to."""


def answer_surface(reading: Reading, answer: Answer) -> list[float]:
    """Returns the numbers of an answer to a request, in the order of ANSWER_SURFACE."""
    pair = _Pair(reading, answer)
    return [measure(pair) for measure in _MEASURES.values()]
