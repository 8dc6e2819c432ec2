"""What was drawn from a log, and what it stands for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routebench.errors import SuiteError
from routebench.suites.importers import Tally


@dataclass(frozen=True)
class Drawn:
    """A suite that was drawn from a log, and what it stands for.

    Attributes:
        rows: of the suite file.
        n_lines: calls in the log that could be read.
        n_requests: those that could be drawn.
        n_conversations: they belong to.
        n_repeated: conversations that repeat another one word for word.
        n_looked_at: conversations of which the suite was drawn in the end.
        n_similar: of these, those that say nearly the same as another and were merged into it.
        strata: (task, length, cost, requests in the log, requests in the suite).
        models: which models answered, and how many of the requests.
        n_effective: equally weighted conversations that would be worth as much.
        n_sealed: conversations that only a last look may read.
        redacted: kind of personal data -> how often it was blanked.
        tally: what was skipped or unknown.
    """

    rows: Sequence[Mapping[str, Any]]
    n_lines: int
    n_requests: int
    n_conversations: int
    n_repeated: int
    n_looked_at: int
    n_similar: int
    strata: Sequence[tuple[str, str, str, int, int]]
    models: Mapping[str, int]
    n_effective: float
    n_sealed: int
    redacted: Mapping[str, int]
    tally: Tally = field(repr=False)

    @property
    def n_drawn(self) -> int:
        """Conversations in the suite."""
        return len({row["group"] for row in self.rows})

    def write(self, path: str | Path) -> Path:
        """Writes the suite as JSON Lines, at once or not at all.

        Raises:
            SuiteError: the file cannot be written.
        """
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("w", encoding="utf-8", newline="\n") as file:
                for row in self.rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            part.replace(path)
        except OSError as error:
            raise SuiteError(f"{path}: cannot be written ({error.strerror}); choose another path with --out") from None
        return path

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of the summary."""
        return {
            "n_cases": len(self.rows),
            "n_drawn": self.n_drawn,
            "n_lines": self.n_lines,
            "n_requests": self.n_requests,
            "n_conversations": self.n_conversations,
            "n_repeated": self.n_repeated,
            "n_looked_at": self.n_looked_at,
            "n_similar": self.n_similar,
            "n_effective": round(self.n_effective, 1),
            "n_sealed": self.n_sealed,
            "models": dict(self.models),
            "redacted": dict(self.redacted),
            "skipped": dict(self.tally.skipped),
            "strata": [
                dict(zip(("task", "length", "cost", "requests", "in_suite"), row, strict=True)) for row in self.strata
            ],
        }

    def __str__(self) -> str:
        found = ", ".join(f"{count} {kind}" for kind, count in self.redacted.items() if count) or "nothing was found"
        answered = ", ".join(f"{name} ({count:,})" for name, count in self.models.items())
        stand = f"stand for {self.n_requests:,} requests of"
        lines = [
            f"{len(self.rows)} cases of {self.n_drawn} conversations {stand} {self.n_conversations:,} conversations",
            f"repeated word for word: {self.n_repeated:,} conversations",
            f"nearly the same as another: {self.n_similar:,} of {self.n_looked_at:,} that were looked at",
            f"weights: worth {self.n_effective:.0f} equally weighted conversations",
            f"answered by: {answered}",
            f"blanked: {found}",
        ]
        if self.n_sealed:
            lines.append(f"sealed: {self.n_sealed} conversations, which only `check --final` reads")
        lines += [f"skipped: {count:,} {reason}" for reason, count in self.tally.skipped.items() if count]
        # Nobody scores production.
        unknown = {name: count for name, count in self.tally.unknown.items() if count and name != "scores"}
        lines += [f"{name} missing in {count:,} of {self.n_lines:,} lines" for name, count in unknown.items()]
        lines += [f"noted: {count:,} {reason}" for reason, count in self.tally.noted.items() if count]
        before: Counter[str] = Counter()
        after: Counter[str] = Counter()
        for task, _length, _cost, in_log, in_suite in self.strata:
            before[task] += in_log
            after[task] += in_suite
        width = max(map(len, before))
        lines.append(f"{'task':{width}}  in the log  in the suite  (weighted by length and cost within each task)")
        lines += [f"{task:{width}}  {before[task]:10,}  {after[task]:12,}" for task in before]
        return "\n".join(lines)
