r"""Keywords: whole words found whatever their case and however Unicode lets them be written.

Text and keywords are folded alike: characters that no reader sees are dropped (soft hyphens, zero-width spaces and
joiners, byte order and bidirectional marks, variation selectors), compatibility forms become plain ones (full-width
letters, ligatures), composed and decomposed accents are the same, and so are upper and lower case, straight and curly
apostrophes, and all hyphens. Accents count: `resume` is not `résumé`; but `İ` is `i`.

Words are made of letters, digits, underscores and the marks that combine with them. A hyphen or an apostrophe is none
of these: `known` stands in `well-known`, and `well-known` is found as it is written. Scripts without spaces (Chinese,
Japanese, Thai, Lao, Khmer, Burmese) have no words to be whole: next to their characters every place is a word's end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import re2

_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""The default-ignorable characters of the Unicode standard (DerivedCoreProperties.txt)."""
_UNSEEN_RUNS = re.compile(f"[{_UNSEEN}]+")
_UNSEEN_ONE = re2.compile(f"[{_UNSEEN}]")
_SAME = (("\u2018\u2019\u02bc", "'"), ("\u2010\u2011\u2212", "-"))

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"  # Thai, Lao, Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303b"  # Han radicals and marks
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Kana and Han
    "\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
_UNSPACED_RUNS = re.compile(f"[{_UNSPACED}]+")

_ASCII_WORDS = bytes(ord(" ") if re.match(r"\W", chr(code), re.ASCII) else code for code in range(128)).ljust(256)
"""What becomes of each ASCII character, that words may be split at spaces: a third of the time that a pattern takes."""
_WORD = re.compile(r"\w+")
_MARK = re2.compile(r"\pM")

_LONGEST_MARKS = 30
"""More marks on one character are nobody's spelling; the standard's stream-safe form has the same limit."""
_JOINER = "\u034f"
# Half-width voicing marks are letters that become marks when they are normalised.
_MANY_MARKS = re2.compile(rf"[\pM\x{{ff9e}}\x{{ff9f}}]{{{_LONGEST_MARKS + 1}}}")


def fold(text: str) -> str:
    """Returns a text without the differences that keywords do not see; its length may differ."""
    if text.isascii():
        return text.lower()
    data = text.encode(errors="replace")
    if _UNSEEN_ONE.search(data) is not None:
        text = _UNSEEN_RUNS.sub("", text)
        data = text.encode(errors="replace")
    for characters, same in _SAME:
        for character in characters:
            text = text.replace(character, same)
    is_long = _MANY_MARKS.search(data) is not None
    if is_long:
        text = _with_few_marks(text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return (folded.replace(_JOINER, "") if is_long else folded).replace("i\u0307", "i")


def words_of(folded: str) -> list[str]:
    """Returns the words of a folded text: runs of letters, digits, underscores and marks on them."""
    if folded.isascii():
        return folded.encode().translate(_ASCII_WORDS).decode().split()
    return _word_pattern(_marks_of(folded)).findall(folded)


def vocabulary_of(folded: str, words: Sequence[str]) -> frozenset[str]:
    """Returns the distinct words that have ends: those of scripts without spaces are left out.

    Args:
        folded: a folded text.
        words: its words.
    """
    if folded.isascii() or _UNSPACED_RUNS.search(folded) is None:
        return frozenset(words)
    return frozenset(words_of(_UNSPACED_RUNS.sub(" ", folded)))


def spaced(folded: str) -> str:
    """Returns a folded text with one space for every run of white space, and none at its ends."""
    return " ".join(folded.split())


def is_blank(keyword: str) -> bool:
    """Whether a keyword has nothing to look for, such as a zero-width space."""
    return not spaced(fold(keyword))


def split(keywords: Sequence[str]) -> tuple[frozenset[str], tuple[Phrase, ...]]:
    """Returns keywords that are looked up in a vocabulary, for most are a single word, and the others."""
    folded = dict.fromkeys(spaced(fold(keyword)) for keyword in keywords)
    words = frozenset(one for one in folded if words_of(one) == [one] and _UNSPACED_RUNS.search(one) is None)
    return words, tuple(Phrase(one) for one in folded if one not in words)


class Phrase:
    """A keyword that is more than one word, or none: no letter may touch it where it ends in a letter itself.

    Args:
        keyword: folded and spaced.
    """

    def __init__(self, keyword: str) -> None:
        self.text = keyword
        self._begins = has_ends(keyword[0])
        self._ends = has_ends(keyword[-1])

    def stands_in(self, text: str) -> bool:
        """Whether it stands in a folded and spaced text."""
        start = text.find(self.text)
        while start >= 0:
            end = start + len(self.text)
            before = self._begins and start > 0 and has_ends(text[start - 1])
            after = self._ends and end < len(text) and has_ends(text[end])
            if not before and not after:
                return True
            start = text.find(self.text, start + 1)
        return False


def has_ends(character: str) -> bool:
    """Whether a character belongs to words that end somewhere: a letter, digit, mark or underscore of such scripts."""
    if character.isascii():
        return character.isalnum() or character == "_"
    is_of_word = character.isalnum() or unicodedata.category(character)[0] == "M"
    return is_of_word and _UNSPACED_RUNS.match(character) is None


def _with_few_marks(text: str) -> str:
    """The text with runs of marks cut up: putting a long one in order takes time that grows with its square."""
    pieces, run = [], 0
    for character in text:
        is_mark = unicodedata.category(character)[0] == "M" or character in "\uff9e\uff9f"
        run = run + 1 if is_mark else 0
        if run > _LONGEST_MARKS:
            pieces.append(_JOINER)
            run = 1
        pieces.append(character)
    return "".join(pieces)


def _marks_of(folded: str) -> str:
    if _MARK.search(folded.encode(errors="replace")) is None:
        return ""
    return "".join(sorted(one for one in set(folded) if unicodedata.category(one)[0] == "M"))


@lru_cache(maxsize=64)
def _word_pattern(marks: str) -> re.Pattern[str]:
    """Only the marks of a text stand in its pattern: one with all two thousand is ten times as slow."""
    return re.compile(rf"[\w{marks}]+") if marks else _WORD
