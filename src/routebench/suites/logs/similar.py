"""Texts that say nearly the same: MinHash on word triples, checked exactly (Broder, SEQUENCES 1997)."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

SAME_FROM = 0.8
"""Share of common word triples from which two texts count as one."""
_BANDS, _ROWS = 16, 4
_PRIME = np.uint64((1 << 31) - 1)
_COMMON_SHARE, _COMMON_LEAST = 0.05, 20
_WORD = re.compile(r"\w+")
_STAMPS = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:z|[+-]\d\d:?\d\d)?)?\b"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,}\b"
)


def plain(text: str) -> str:
    """Returns a text as equal requests share it: without case, punctuation, time stamps and generated ids."""
    folded = text.casefold()
    return " ".join(_WORD.findall(_STAMPS.sub("#", folded)))


def digest(text: str) -> int:
    """Returns 63 bits of a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest(), "big") >> 1


def same_texts(texts: Sequence[str], threshold: float = SAME_FROM) -> npt.NDArray[np.intp]:
    """Returns for each of n texts the number of the first that says nearly the same, its own where none does.

    Word triples that stand in many of the texts, such as the instructions of a template, do not count: what is asked
    with them does.

    Args:
        texts: as people wrote them.
        threshold: Jaccard index of the word triples from which two are one.
    """
    triples = [_triples(text) for text in texts]
    common = _common(triples)
    rare = [own - common or own for own in triples]
    first = np.arange(len(texts))
    for one, other in sorted(_candidates(rare)):
        if _index(rare[one], rare[other]) >= threshold:
            low, high = sorted((_root(first, one), _root(first, other)))
            first[high] = low
    return np.array([_root(first, place) for place in range(len(texts))], dtype=np.intp)


def _triples(text: str) -> frozenset[int]:
    words = plain(text).split()
    size = min(3, len(words))
    parts = (" ".join(words[place : place + size]) for place in range(len(words) - size + 1)) if words else ()
    return frozenset(zlib.crc32(part.encode()) for part in parts)


def _common(triples: Sequence[frozenset[int]]) -> frozenset[int]:
    if not any(triples):
        return frozenset()
    found, counts = np.unique(np.concatenate([np.fromiter(own, dtype=np.int64) for own in triples]), return_counts=True)
    return frozenset(found[counts > max(_COMMON_LEAST, _COMMON_SHARE * len(triples))].tolist())


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
    seen: set[tuple[int, int]] = set()
    for places in buckets.values():
        # Everything in a bucket is held against its first: a family of thousands costs thousands of looks.
        for other in places[1:]:
            pair = (places[0], other)
            if pair not in seen:
                seen.add(pair)
                yield pair


def _index(one: frozenset[int], other: frozenset[int]) -> float:
    together = len(one | other)
    return len(one & other) / together if together else 0.0


def _root(first: npt.NDArray[np.intp], place: int) -> int:
    while first[place] != place:
        place = int(first[place])
    return place
