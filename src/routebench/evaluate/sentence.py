"""One thing that a comparison found, in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Topic = Literal[
    "best",
    "caching",
    "cases",
    "cost",
    "file",
    "guards",
    "judge",
    "latency",
    "missing",
    "moves",
    "noise",
    "power",
    "quality",
    "slice",
    "today",
    "tries",
    "weights",
]


def signed_points(share: float) -> str:
    """Returns a difference of shares in points, `+1.2`; what rounds to nothing has no minus."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing that was found.

    Attributes:
        topic: what it is about.
        text: the sentence.
        grave: whether a reader must not miss it.
    """

    topic: Topic
    text: str
    grave: bool = False

    @property
    def is_finding(self) -> bool:
        """Whether it says what was found; the others say what that rests on."""
        return self.topic in ("today", "best", "cost")

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)
