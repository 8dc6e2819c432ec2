"""Texts that say nearly the same: MinHash on word triples, checked exactly (Broder, SEQUENCES 1997).

Most of production comes from templates: texts with long instructions in common and a few words of their own. Such are
different questions. So word triples that stand in several texts do not count; and a word or two that differ in an else
equal text count as a slip only where the others do not each have a word of their own at that place.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

SAME_FROM = 0.8
"""Share of common word triples from which two texts count as one."""
_COMMON_FROM = 5
"""Texts from which a word triple is taken for part of a template, and a place with as many words for its slot."""
_MOST_SLIPS = 2
_BANDS, _ROWS = 16, 4
_PRIME = np.uint64((1 << 31) - 1)
# Signs of prose are no words; those of sums and code are: 12 * 3 is not 12 + 3.
_WORD = re.compile(r"\w+|[^\w\s.,;:!?…'\"`’‘“”„«»()\[\]]")
_STAMPS = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?\b"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b"
)
_Words = Sequence[str]


def plain(text: str) -> str:
    """Returns a text as equal requests share it: without case, punctuation, time stamps and generated ids."""
    folded = text.casefold()
    return " ".join(_WORD.findall(_STAMPS.sub("#", folded)))


def digest(text: str) -> int:
    """Returns 63 bits of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest(), "big") >> 1


def same_texts(texts: Sequence[str], threshold: float = SAME_FROM) -> npt.NDArray[np.intp]:
    """Returns for each of n texts the number of the first that says nearly the same, its own where none does.

    Args:
        texts: as people wrote them.
        threshold: Jaccard index of the word triples from which two are one.
    """
    words = [plain(text).split() for text in texts]
    triples = [_triples(own) for own in words]
    common = _common(triples)
    rare = [own - common for own in triples]
    first = np.arange(len(texts))
    unsure: list[tuple[int, int]] = []
    for one, other in sorted({*_candidates(rare), *_candidates(triples)}):
        if triples[one] == triples[other] or _index(rare[one], rare[other]) >= threshold:
            _join(first, one, other)
        elif _index(triples[one], triples[other]) >= threshold and _slips(words[one], words[other]):
            unsure.append((one, other))
    slots = _slots(words, {slip for one, other in unsure for slip in _slips(words[one], words[other])})
    for one, other in unsure:
        if not slots.intersection(_slips(words[one], words[other])):
            _join(first, one, other)
    return np.array([_root(first, place) for place in range(len(texts))], dtype=np.intp)


def similarity(one: str, other: str) -> float:
    """Returns the share of word triples that two texts have in common: the Jaccard index of them, 1 for equal texts."""
    texts = plain(one).split(), plain(other).split()
    return 1.0 if texts[0] == texts[1] else _index(*map(_triples, texts))


def _triples(words: _Words) -> frozenset[int]:
    size = min(3, len(words))
    parts = (" ".join(words[place : place + size]) for place in range(len(words) - size + 1)) if words else ()
    return frozenset(zlib.crc32(part.encode(errors="replace")) for part in parts)


def _common(triples: Sequence[frozenset[int]]) -> frozenset[int]:
    if not any(triples):
        return frozenset()
    found, counts = np.unique(np.concatenate([np.fromiter(own, dtype=np.int64) for own in triples]), return_counts=True)
    return frozenset(found[counts >= _COMMON_FROM].tolist())


def _candidates(triples: Sequence[frozenset[int]]) -> Iterator[tuple[int, int]]:
    """Pairs that share a band of their signatures; of texts with an index of 0.8 all but one in 5,000."""
    generator = np.random.default_rng(0)
    factors = generator.integers(1, int(_PRIME), size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    shifts = generator.integers(0, int(_PRIME), size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    buckets: defaultdict[tuple[int, bytes], list[int]] = defaultdict(list)
    for place, own in enumerate(triples):
        if own:
            values = np.fromiter(own, dtype=np.uint64) % _PRIME
            signature = ((factors * values + shifts) % _PRIME).min(axis=1).astype(np.uint32)
            for band in range(_BANDS):
                buckets[band, signature[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(place)
    for places in buckets.values():
        # Everything in a bucket is held against its first and the one before: a family of thousands costs thousands of
        # looks.
        for before, other in pairwise(places):
            yield places[0], other
            yield before, other


_Slip = tuple[str, ...]
"""The two words before and after a place where texts differ, and whether there is a word."""


def _slips(one: _Words, other: _Words) -> list[_Slip]:
    """The places at which two texts differ, where they are one or two words, or one word more; else none."""
    if len(one) == len(other):
        differing = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        return [_around(one, place) for place in differing] if len(differing) <= _MOST_SLIPS else []
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return []
    place = next((place for place, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return [_around(long, place)] if list(short[place:]) == list(long[place + 1 :]) else []


def _around(words: _Words, place: int) -> _Slip:
    return (*words[max(place - 2, 0) : place], "\x00", *words[place + 1 : place + 3])


def _slots(words: Sequence[_Words], asked: set[_Slip]) -> set[_Slip]:
    """Those of some places that hold many different words over all texts."""
    if not asked:
        return set()
    found: defaultdict[_Slip, set[str]] = defaultdict(set)
    for own in words:
        for place, word in enumerate(own):
            if (around := _around(own, place)) in asked:
                found[around].add(word)
    return {around for around, fillings in found.items() if len(fillings) >= _COMMON_FROM}


def _index(one: frozenset[int], other: frozenset[int]) -> float:
    together = len(one | other)
    return len(one & other) / together if together else 0.0


def _join(first: npt.NDArray[np.intp], one: int, other: int) -> None:
    low, high = sorted((_root(first, one), _root(first, other)))
    first[high] = low


def _root(first: npt.NDArray[np.intp], place: int) -> int:
    while first[place] != place:
        place = int(first[place])
    return place
