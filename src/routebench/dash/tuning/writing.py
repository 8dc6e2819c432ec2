"""Writing a tuned rule set where it will be kept, without writing over anything unasked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from routebench.errors import InputError
from routebench.rules import RuleSet, check_golden
from routebench.tune import Tuned
from routebench.types import Request

_PREVIEWED = 40


@dataclass(frozen=True, slots=True)
class Written:
    """A rules.yaml that was written and read back.

    Attributes:
        path: of the file.
        beside: names of the files that it refers to.
        n_golden: golden decisions that it was held to, all of which it keeps.
        n_unseen: those of private prompts that are not at hand here.
    """

    path: Path
    beside: tuple[str, ...]
    n_golden: int
    n_unseen: int

    @property
    def told(self) -> str:
        """What is there now, and what to do next."""
        files = f" with {', '.join(self.beside)} beside it" if self.beside else ""
        golden = f"all {self.n_golden} golden decisions hold" if self.n_golden else "it has no golden decision to hold"
        golden += f", {self.n_unseen} more are of private prompts that are not here" if self.n_unseen else ""
        return f"Written: {self.path}{files}; read back, {golden}. Next: routebench check {self.path}"


def write(tuned: Tuned, path: str | Path, *, replace: bool = False, known: Iterable[Request] = ()) -> Written:
    """Writes a rules.yaml and what it refers to, reads it back and holds it to its golden decisions.

    Args:
        tuned: what is written.
        path: of the file.
        replace: whether what is there may be written over.
        known: requests by which golden decisions of private prompts are recognised.

    Raises:
        InputError: the path is no file name, something is there already, or it cannot be written.
    """
    target = Path(str(path).strip())
    if not str(path).strip() or target.is_dir():
        raise InputError(f"{str(path)!r} names no file; give one such as rules.yaml")
    there = [one for one in (target, *(target.parent / name for name in tuned.files)) if one.exists()]
    if there and not replace:
        raise InputError(f"{there[0]} exists already; tick `replace`, or give another path")
    written = RuleSet.load(tuned.export(target))
    held = check_golden(written, known)
    n_seen = held.n - len(held.unseen) - len(held.unasked)
    return Written(target, tuple(sorted(tuned.files)), n_seen, len(held.unseen))


def preview(ruleset: RuleSet) -> str:
    """Returns the first lines of a rules.yaml, as it would be written."""
    lines = ruleset.to_yaml().splitlines()
    rest = len(lines) - _PREVIEWED
    return "\n".join(lines[:_PREVIEWED] + ([f"… {rest} more lines"] if rest > 0 else []))
