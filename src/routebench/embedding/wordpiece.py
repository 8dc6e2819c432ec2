"""Texts as the word pieces that BERT models read.

The vocabulary, `bert-uncased-vocab.txt`, is that of Google's uncased English BERT (Apache-2.0), unchanged; a piece's
number is its line, from 0.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Self

_VOCABULARY = "bert-uncased-vocab.txt"
_LONGEST_WORD = 100
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieces:
    """Cuts lower-cased texts without accents into pieces of a vocabulary, the longest first.

    Args:
        vocabulary: piece -> its number; pieces that continue a word begin with `##`.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._start, self._end = vocabulary["[CLS]"], vocabulary["[SEP]"]
        self._unknown = vocabulary["[UNK]"]
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    @cache
    def english(cls) -> Self:
        """Returns those of the uncased English vocabulary."""
        from importlib.resources import files  # late: a tenth of what all of `routebench.rules` takes

        text = (files("routebench.embedding") / _VOCABULARY).read_text(encoding="utf-8")
        return cls({piece: number for number, piece in enumerate(text.split("\n")[:-1])})

    def numbers(self, text: str, at_most: int) -> list[int]:
        """Returns the numbers of a text's pieces between those of start and end, cut to a length.

        Args:
            text: any.
            at_most: so many numbers, start and end included; the text's end is left out.
        """
        found = [self._start]
        # No piece is shorter than a character, so what lies far behind the cut need not be looked at.
        for word in _words(text):
            found += self._pieces(word)
            if len(found) >= at_most:
                break
        return [*found[: at_most - 1], self._end]

    def _pieces(self, word: str) -> tuple[int, ...]:
        known = self._known.get(word)
        if known is None:
            known = self._cut(word)
            if len(self._known) < len(self._vocabulary):
                self._known[word] = known
        return known

    def _cut(self, word: str) -> tuple[int, ...]:
        if len(word) > _LONGEST_WORD:
            return (self._unknown,)
        found: list[int] = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._vocabulary.get(prefix + word[start:end])
                if number is not None:
                    found.append(number)
                    start, prefix = end, "##"
                    break
            else:
                return (self._unknown,)
        return tuple(found)


def _words(text: str) -> Iterator[str]:
    """Words and single signs of punctuation, lower case and without accents."""
    for whole in _plain(text).split():
        # Most words of most texts are letters alone.
        if whole.isascii() and whole.isalnum():
            yield whole
            continue
        start = 0
        for place, character in enumerate(whole):
            if _is_sign(character):
                if place > start:
                    yield whole[start:place]
                yield character
                start = place + 1
        if start < len(whole):
            yield whole[start:]


def _plain(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text.lower()
    kept = "".join(_spaced(character) for character in text if not _is_dropped(character))
    if kept.isascii():
        return kept.lower()
    apart = unicodedata.normalize("NFD", kept)
    # One by one: the whole text in lower case would have another sigma at a word's end.
    return "".join(character.lower() for character in apart if unicodedata.category(character) != "Mn")


def _spaced(character: str) -> str:
    if character.isspace():
        return " "
    if character > "\u2fff" and any(first <= ord(character) <= last for first, last in _CJK):
        return f" {character} "
    return character


def _is_dropped(character: str) -> bool:
    if character in "\t\n\r":
        return False
    return character in "\0\ufffd" or unicodedata.category(character).startswith("C")


def _is_sign(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and not character.isalnum()
    return unicodedata.category(character).startswith("P")
