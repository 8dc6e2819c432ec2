"""What a foreign file tells: one answer of one model to one prompt, and what every reader of such a file is."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from routebench.suites.importers.frames import Tally
from routebench.types import Case, ErrorKind, ToolCall, Usage


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one model to one prompt; None is unknown everywhere.

    Attributes:
        case: the prompt; readers yield one and the same object for answers to the same prompt where they can.
        model: as the file names it.
        score: in [0, 1]; None where the answer is unscored.
        error_kind: of a call that failed; it has no score then.
        text: of the answer.
        cost_usd: US dollars; an amount in another currency is noted and left unknown.
        latency_s: seconds of the whole call.
        ttft_s: seconds to the first token.
        started_at: when the call began, with its zone.
        sample: which of several answers to one prompt by one model; None: numbered in the order of the file.
        conversation: the log's own name of the conversation or session that the call belongs to.
        where: file and line, for errors.
    """

    case: Case
    model: str
    score: float | None = None
    error_kind: ErrorKind | None = None
    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    latency_s: float | None = None
    ttft_s: float | None = None
    started_at: datetime | None = None
    sample: int | None = None
    conversation: str | None = None
    where: str = ""


Read = Callable[[Sequence[Path], Tally, Container[int] | None], Iterator[Answer]]
"""Reads files one answer at a time, whatever their size.

The tally counts, by reason, what had to be skipped, clipped or left unknown. Where the third argument is given, only
answers at those places are yielded, counted from 0 over everything that would be yielded without it, and whatever can
be spared for the others is spared.

Raises OutcomesError where a file is not what its format says; it names the file, the line or record, and the mend.
"""


def _itself(path: Path) -> Sequence[Path]:
    return (path,)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that can be brought in.

    Attributes:
        name: what users type.
        about: one line for the help.
        read: the reader.
        is_log: whether it holds what production asked, once each: personal data, and one answer a prompt.
        files: of what a path stands for, for two readings of the same; a folder that is written to is several.
    """

    name: str
    about: str
    read: Read
    is_log: bool = False
    files: Callable[[Path], Sequence[Path]] = _itself
