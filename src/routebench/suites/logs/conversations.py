"""Which calls of a log belong to one conversation.

By the log's own name for it, else because one call goes on where another one ended.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.messages import text_of
from routebench.suites.importers import Answer
from routebench.suites.importers.chat import reply
from routebench.suites.importers.frames import Tally
from routebench.suites.logs.sampling import IntArray
from routebench.types import Message

_NONE = -1


class Conversations:
    """The calls of a log while they go by, in any order; of texts only digests of 63 bits are kept.

    A call whose messages begin with all of another call's, that call's own answer next, continues it.
    """

    def __init__(self) -> None:
        # Columns, 24 bytes a call: a table of a million keys would take ten times as much.
        self._name = array("q")
        self._begins = array("q")
        self._ends = array("q")

    def add(self, answer: Answer) -> None:
        """Takes a call."""
        named = answer.conversation is not None
        begins, ends = (_NONE, _NONE) if named else _places(answer)
        digest = hashlib.blake2b((answer.conversation or "").encode(errors="replace"), digest_size=8)
        self._name.append(_number(digest) if named else _NONE)
        self._begins.append(begins)
        self._ends.append(ends)

    def numbers(self) -> npt.NDArray[np.int32]:
        """Returns the conversation of each of n calls, as numbers from 0, shape (n,)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        n = len(self._name)
        name, begins, ends = (
            np.frombuffer(column, dtype=np.int64) for column in (self._name, self._begins, self._ends)
        )
        named = np.flatnonzero(name != _NONE)
        _, first, same = np.unique(name[named], return_index=True, return_inverse=True)
        later, earlier = _continued(begins, ends)
        one, other = np.concatenate([named, later]), np.concatenate([named[first][same], earlier])
        links = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(n, n))
        found: npt.NDArray[np.int32] = connected_components(links, directed=False)[1]
        return found


def _continued(begins: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """Pairs of a call and the one that it continues.

    Where several calls ended with the same words, each is continued once, in their order; what is left continues the
    last of them, as an answer that was asked for again does.
    """
    later = np.flatnonzero(begins != _NONE)
    later = later[np.argsort(begins[later], kind="stable")]
    earlier = np.flatnonzero(ends != _NONE)
    earlier = earlier[np.argsort(ends[earlier], kind="stable")]
    keys, wanted = ends[earlier], begins[later]
    start, stop = np.searchsorted(keys, wanted, side="left"), np.searchsorted(keys, wanted, side="right")
    turn = np.arange(len(later)) - np.searchsorted(wanted, wanted, side="left")
    there = stop > start
    place = np.minimum(start + turn, stop - 1)[there]
    return later[there], earlier[place]


def _places(answer: Answer) -> tuple[int, int]:
    """Digests of all up to the last answer in the messages, _NONE where there is none, and of all with the new one."""
    digest = hashlib.blake2b(digest_size=8)
    last = _NONE
    for message in answer.case.request.messages:
        digest.update(_flat(message))
        if message.get("role") == "assistant":
            last = _number(digest)
    digest.update(_said("assistant", answer.text or "", [(call.name, call.arguments) for call in answer.tool_calls]))
    return last, _number(digest)


def _flat(message: Message) -> bytes:
    role = str(message.get("role"))
    if role != "assistant":
        return _said(role, text_of(message), ())
    # Read as answers are, so that one is known again whatever it is written as: with tool_calls, or in parts.
    said = reply(message, Tally())
    return _said(role, said.text or "", [(call.name, call.arguments) for call in said.tool_calls])


def _said(role: str, text: str, calls: Sequence[tuple[str, str]]) -> bytes:
    return f"\x00{role}\x00{text.strip()}\x00{calls or ''}".encode(errors="replace")


def _number(digest: Any) -> int:
    return int.from_bytes(digest.digest(), "big") >> 1
