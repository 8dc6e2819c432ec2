"""What one reading of a log tells of its conversations: a few numbers of each, and the way back to their texts."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from routebench.errors import OutcomesError
from routebench.messages import estimate_input_tokens, text_of
from routebench.suites.importers import Answer, Format, Tally
from routebench.suites.logs.conversations import Conversations
from routebench.suites.logs.similar import digest, plain
from routebench.suites.logs.tasks import TASKS, recognise

_TELL_EVERY = 100_000
Column = npt.NDArray[Any]
"""Of the smallest type that holds it: a log may have millions of calls."""


class Seen:
    """What the first reading tells of every conversation, as columns.

    Attributes:
        requests: calls of each conversation, shape (c,).
        text: digest of what was asked in each, shape (c,).
        task: place in TASKS of each, shape (c,).
        tokens: estimated input tokens of the longest call of each, shape (c,).
        cost_usd: of all calls of each, NaN while one is unknown, shape (c,).
    """

    def __init__(self, form: Format, files: Sequence[Path], tell: Callable[[str], None]) -> None:
        self.tally = Tally()
        self.models: Counter[str] = Counter()
        self._form, self._files = form, files
        conversations = Conversations()
        kept, text, task, tokens = array("i"), array("q"), array("b"), array("i")
        cost = array("d")
        places = {name: place for place, name in enumerate(TASKS)}
        self.n_lines = 0
        for place, answer in enumerate(form.read(files, self.tally, None)):
            self.n_lines = place + 1
            if self.n_lines % _TELL_EVERY == 0:
                tell(f"{self.n_lines:,} calls read")
            if answer.error_kind is not None or not ((answer.text or "").strip() or answer.tool_calls):
                reason = "failed calls" if answer.error_kind is not None else "calls without an answer"
                self.tally.skipped[reason] += 1
                continue
            kept.append(place)
            conversations.add(answer)
            self.models[answer.model] += 1
            request = answer.case.request
            text.append(digest(asked_text(request.messages)))
            task.append(places[recognise(request)])
            tokens.append(min(estimate_input_tokens(request.messages), 2**31 - 1))
            cost.append(float("nan") if answer.cost_usd is None else answer.cost_usd)
        if not len(kept):
            reasons = "; ".join(f"{count} {reason}" for reason, count in self.tally.skipped.items()) or "no calls"
            raise OutcomesError(f"{', '.join(map(str, files))}: holds no answered request ({reasons})")
        self._places = np.frombuffer(kept, dtype=np.int32)
        self._conversation = conversations.numbers()
        del conversations
        self._gather(
            np.frombuffer(text, dtype=np.int64),
            np.frombuffer(task, dtype=np.int8),
            np.frombuffer(tokens, dtype=np.int32),
            np.frombuffer(cost, dtype=np.float64),
        )

    def _gather(self, text: Column, task: Column, tokens: Column, cost: Column) -> None:
        """Sums the columns of calls up to columns of conversations."""
        number = self._conversation
        n = int(number.max()) + 1
        self.requests: Column = np.bincount(number, minlength=n).astype(np.int32)
        first = np.empty(n, dtype=np.int32)
        # Of several writes to one place the last one stays: from the end, that is the first call.
        first[number[::-1]] = np.arange(len(number) - 1, -1, -1, dtype=np.int32)
        self.task: Column = task[first]
        del first
        self.tokens: Column = np.zeros(n, dtype=np.int32)
        np.maximum.at(self.tokens, number, tokens)
        self.cost_usd: Column = np.bincount(number, weights=cost, minlength=n).astype(np.float32)
        # Sums of digests times odd numbers by their turn: the same turns in the same order, whatever stood between.
        order = np.argsort(number, kind="stable").astype(np.int32)
        starts = np.cumsum(self.requests, dtype=np.int32) - self.requests
        turn = np.empty(len(order), dtype=np.int32)
        turn[order] = np.arange(len(order), dtype=np.int32) - np.repeat(starts, self.requests)
        del order, starts
        odd = turn.astype(np.uint64)
        odd *= np.uint64(2)
        odd += np.uint64(1)
        odd *= text.view(np.uint64)
        self.text: Column = np.zeros(n, dtype=np.uint64)
        np.add.at(self.text, number, odd)

    @property
    def n_repeated(self) -> int:
        """Conversations that ask word for word what another one asked."""
        return len(self.text) - len(np.unique(self.text))

    def fetch(self, conversations: Sequence[int]) -> dict[int, list[Answer]]:
        """Reads the log again and returns the calls of some conversations, in their order.

        Raises:
            OutcomesError: the log is shorter than it was.
        """
        wanted = np.isin(self._conversation, np.array(conversations))
        where = dict(zip(self._places[wanted].tolist(), self._conversation[wanted].tolist(), strict=True))
        found: dict[int, list[Answer]] = {number: [] for number in conversations}
        places = sorted(where)
        for place, answer in zip(places, self._form.read(self._files, Tally(), where.keys()), strict=False):
            found[where[place]].append(answer)
        if sum(map(len, found.values())) < len(places):
            raise OutcomesError(f"{', '.join(map(str, self._files))}: has become shorter while it was read; try again")
        for calls in found.values():
            # Logs are not always in order; a later turn holds more messages.
            calls.sort(key=lambda call: len(call.case.request.messages))
        return found


def asked_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """What a call asks and what it was told to be, without what models said before."""
    return plain(told_text([message for message in messages if message.get("role") != "assistant"]))


def told_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The texts of messages; what is no text, such as an image, as three words that only the very same shares."""
    parts = []
    for message in messages:
        parts.append(text_of(message))
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if not (isinstance(part, dict) and isinstance(part.get("text"), str)):
                number = f"{digest(json.dumps(part, sort_keys=True)):019d}"
                parts.append(f"{number[:7]} {number[7:13]} {number[13:]}")
    return "\n".join(parts)
