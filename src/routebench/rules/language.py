"""Which language a text is in, by script and by its commonest small words; `None` where that does not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping

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


def language_of(text: str) -> str | None:
    """Returns a two-letter code of LANGUAGES, or None where two languages are as likely or the text has no hint."""
    letters = [character for character in text if character.isalpha()]
    for name, first, last in _SCRIPTS:
        if letters and sum(first <= letter <= last for letter in letters) >= _SCRIPT_SHARE * len(letters):
            return name
    words = re.findall(r"\w+", text.casefold())
    counts = sorted(
        ((sum(word in small for word in words), name) for name, small in _SMALL_WORDS.items()), reverse=True
    )
    (most, name), (second, _) = counts[:2]
    return name if most > second else None
