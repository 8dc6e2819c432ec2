"""Numbers on the surface of a request: how long it is, how it is written, what it asks for.

Their names, their order and what they count are part of the artifacts' format, v1: a change is a new version. Capitals
and punctuation are those of ASCII, so that they can be counted over bytes; lengths enter as log(1 + n), so that a long
prompt is some more than a short one and not a thousand times as much.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence

from routebench.rules.reading.request import Reading

_CAPITALS = string.ascii_uppercase.encode()
_PUNCTUATION = string.punctuation.encode()
_BEYOND_ASCII = bytes(range(128, 256))
_CONTINUATIONS = bytes(range(0x80, 0xC0))
_MATH = b"+=<>^\\*/%"
_MATH_BEYOND_ASCII = "±×÷≤≥≠≈√∑∏∫∞π∈∂"
# A line feed before it, which the search can jump to, keeps this linear on any text.
_LIST_MARKER = re.compile(r"\n[ \t]*(?:[-*•]|[0-9]{1,3}[.)])[ \t]")
_WESTERN = frozenset({"de", "es", "fr", "it", "nl", "pt"})
_EAST_ASIAN = frozenset({"ja", "ko", "zh"})


def _text(reading: Reading) -> str:
    return reading.text("user").text


def _share(reading: Reading, characters: bytes) -> float:
    text = _text(reading)
    return _count(text, characters) / max(1, len(text))


def _count(text: str, characters: bytes) -> int:
    data = text.encode(errors="replace")
    return len(data) - len(data.translate(None, characters))


def _beyond_ascii(reading: Reading) -> float:
    text = _text(reading)
    if text.isascii():
        return 0.0
    # Every such character has one byte that begins it, and bytes that continue it.
    return (_count(text, _BEYOND_ASCII) - _count(text, _CONTINUATIONS)) / len(text)


def _word_length(reading: Reading) -> float:
    words = reading.text("user").words
    return math.log1p(sum(map(len, words)) / len(words)) if words else 0.0


def _distinct_words(reading: Reading) -> float:
    text = reading.text("user")
    return len(text.vocabulary) / max(1, len(text.words))


def _question_marks(reading: Reading) -> float:
    text = _text(reading)
    return math.log1p(text.count("?") + text.count("？"))


def _math_signs(reading: Reading) -> float:
    text = _text(reading)
    found = _count(text, _MATH)
    if not text.isascii():
        found += sum(text.count(sign) for sign in _MATH_BEYOND_ASCII)
    return math.log1p(found)


def _list_markers(reading: Reading) -> float:
    return math.log1p(len(_LIST_MARKER.findall("\n" + _text(reading))))


def _language(reading: Reading, among: frozenset[str]) -> float:
    return float(reading.text("user").language in among)


def _other_language(reading: Reading) -> float:
    found = reading.text("user").language
    return float(found is not None and found != "en" and found not in _WESTERN and found not in _EAST_ASIAN)


_MEASURES: Mapping[str, Callable[[Reading], float]] = {
    "log_characters": lambda reading: math.log1p(len(_text(reading))),
    "log_words": lambda reading: math.log1p(len(reading.text("user").words)),
    "log_lines": lambda reading: math.log1p(_text(reading).count("\n")),
    "log_input_tokens": lambda reading: math.log1p(reading.input_tokens),
    "log_turns": lambda reading: math.log1p(reading.turns),
    "log_system_characters": lambda reading: math.log1p(len(reading.text("system").text)),
    "log_word_length": _word_length,
    "distinct_words": _distinct_words,
    "digits": lambda reading: reading.text("user").digits,
    "capitals": lambda reading: _share(reading, _CAPITALS),
    "punctuation": lambda reading: _share(reading, _PUNCTUATION),
    "beyond_ascii": _beyond_ascii,
    "has_code": lambda reading: float(reading.text("user").has_code),
    "log_fences": lambda reading: math.log1p(_text(reading).count("```")),
    "is_question": lambda reading: float(reading.text("user").is_question),
    "log_question_marks": _question_marks,
    "log_list_markers": _list_markers,
    "log_math_signs": _math_signs,
    "log_links": lambda reading: math.log1p(_text(reading).count("://")),
    "log_tools": lambda reading: math.log1p(len(reading.request.tools)),
    "has_images": lambda reading: float(reading.has_images),
    "json_schema": lambda reading: float(reading.wants_json_schema),
    "language_en": lambda reading: float(reading.text("user").language == "en"),
    "language_western": lambda reading: _language(reading, _WESTERN),
    "language_east_asian": lambda reading: _language(reading, _EAST_ASIAN),
    "language_other": _other_language,
    "language_unknown": lambda reading: float(reading.text("user").language is None),
}
SURFACE: tuple[str, ...] = tuple(_MEASURES)
"""The names, in the order of the columns: `log_x` is log(1 + the number of x), `log_lines` counts line feeds; `digits`,
`capitals`, `punctuation` and `beyond_ascii` are shares of the characters, `distinct_words` of the words; the rest is 0
or 1. All are of the last user message, but for `log_input_tokens` (of all messages), `log_turns`, `log_tools`,
`has_images`, `json_schema` and `log_system_characters`."""


def surface(reading: Reading, names: Sequence[str] = SURFACE) -> list[float]:
    """Returns the named numbers of a request, in the order of the names.

    Raises:
        KeyError: a name is not in SURFACE.
    """
    return [_MEASURES[name](reading) for name in names]
