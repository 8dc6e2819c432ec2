"""Which language a text is in, by script and by its commonest small words; `None` where that does not tell."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

_SCRIPTS: tuple[tuple[str, str, str], ...] = (
    ("ja", "\u3040", "\u30ff"),
    ("ko", "\uac00", "\ud7af"),
    ("zh", "\u4e00", "\u9fff"),
    ("ru", "\u0400", "\u04ff"),
    ("ar", "\u0600", "\u06ff"),
    ("he", "\u0590", "\u05ff"),
    ("el", "\u0370", "\u03ff"),
    ("hi", "\u0900", "\u097f"),
    ("th", "\u0e00", "\u0e7f"),
)
_SCRIPT_SHARE = 0.2

_SMALL_WORDS: Mapping[str, frozenset[str]] = {
    "en": frozenset("the is are what of and to in how a an for with this that you it".split()),
    "de": frozenset("der die das ist und wie ein eine nicht mit für was ich den zu von auf".split()),
    "fr": frozenset("le la les est et un une des que qui pour dans quel quelle ce vous je".split()),
    "es": frozenset("el la los las es y un una que de para en qué cómo por con se".split()),
    "it": frozenset("il la gli è e un una che di per in come cosa con sono del".split()),
    "pt": frozenset("o a os as é e um uma que de para em como por com não qual".split()),
    "nl": frozenset("de het een is en van wat hoe niet met voor dat op te zijn".split()),
}
LANGUAGES = (*sorted(_SMALL_WORDS), *(name for name, _, _ in _SCRIPTS))
_SPEAKERS: Mapping[str, tuple[str, ...]] = {
    word: tuple(name for name, words in _SMALL_WORDS.items() if word in words)
    for word in frozenset().union(*_SMALL_WORDS.values())
}
"""Small word -> the languages that it is one of."""
_ASCII = re.compile(r"[\x00-\x7f]+")
_ASCII_LETTERS = string.ascii_letters.encode()


def language_of(text: str, words: Sequence[str] | None = None) -> str | None:
    """Returns a two-letter code of LANGUAGES, or None where two languages are as likely or the text has no hint.

    Args:
        text: of any length; the time grows with it and no faster.
        words: its words in lower case, where they are known already.
    """
    if not text.isascii():
        script = _script_of(text)
        if script is not None:
            return script
    if words is None:
        words = re.findall(r"\w+", text.casefold())
    counts = dict.fromkeys(_SMALL_WORDS, 0)
    for word, number in Counter([word for word in words if word in _SPEAKERS]).items():
        for name in _SPEAKERS[word]:
            counts[name] += number
    most = max(counts.values())
    likely = [name for name, number in counts.items() if number == most]
    return likely[0] if len(likely) == 1 else None


def _script_of(text: str) -> str | None:
    others = Counter(_ASCII.sub("", text))
    letters = {letter: number for letter, number in others.items() if letter.isalpha()}
    plain = text.encode("ascii", "ignore")
    total = len(plain) - len(plain.translate(None, _ASCII_LETTERS)) + sum(letters.values())
    if sum(letters.values()) < _SCRIPT_SHARE * total:
        return None
    for name, first, last in _SCRIPTS:
        if letters and sum(n for letter, n in letters.items() if first <= letter <= last) >= _SCRIPT_SHARE * total:
            return name
    return None
