"""Writing a tuned rule set where it will be kept, without writing over anything unasked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from routebench.errors import InputError
from routebench.evaluate import Outcomes
from routebench.rules import RuleSet, check_golden
from routebench.tune import Tuned
from routebench.types import Request

_PREVIEWED = 40
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml")
"""No folder, nothing hidden, and nothing that another program runs."""
_HEAD_BYTES = 4096


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


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rules.yaml goes.

    Attributes:
        path: of the file.
        replace: whether rules that are there may be written over.
    """

    path: Path
    replace: bool = False

    @classmethod
    def of(cls, path: str | Path, *, replace: bool = False, folder: Path | None = None) -> Self:
        """Reads what somebody has typed.

        Args:
            path: of the file.
            replace: whether rules that are there may be written over.
            folder: the only one that may be written into, under a plain name; None where any path will do.

        Raises:
            InputError: the path is no file name, or leads out of the folder.
        """
        name = str(path).strip()
        if folder is None:
            if not name or "\0" in name:
                raise InputError(f"{str(path)!r} names no file; give one such as rules.yaml")
            return cls(Path(name), replace)
        if not _PLAIN.fullmatch(name):
            raise InputError(f"{name!r}: from this page files go into {folder} only; give a name such as rules.yaml")
        if (folder / name).is_symlink():
            raise InputError(f"{folder / name} leads elsewhere; give another name")
        return cls(folder / name, replace)

    def check(self, beside: Iterable[str]) -> None:
        """Checks that nothing stands in the way.

        Args:
            beside: names of the files that the rules.yaml refers to.

        Raises:
            InputError: something does.
        """
        try:
            if self.path.is_dir():
                raise InputError(f"{str(self.path)!r} names no file; give one such as rules.yaml")
            there = [one for one in (self.path, *(self.path.parent / name for name in beside)) if one.exists()]
            if there and not self.replace:
                raise InputError(f"{there[0]} exists already; tick `replace`, or give another path")
            if self.path.exists() and not _holds_rules(self.path):
                raise InputError(f"{self.path} is there and is no rules.yaml; give another path")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); give another path") from None

    def write(self, tuned: Tuned, outcomes: Outcomes | None = None) -> Written:
        """Writes a rules.yaml and what it refers to, reads it back and holds it to its golden decisions.

        Args:
            tuned: what is written.
            outcomes: by whose requests golden decisions of private prompts are recognised.

        Raises:
            InputError: something is there already, or it cannot be written.
        """
        self.check(tuned.files)
        read = RuleSet.load(tuned.export(self.path))
        held = check_golden(read, () if outcomes is None else _known(outcomes))
        n_seen = held.n - len(held.unseen) - len(held.unasked)
        return Written(self.path, tuple(sorted(tuned.files)), n_seen, len(held.unseen))


def _known(outcomes: Outcomes) -> Iterable[Request]:
    cases = outcomes.cases
    return (case.request for case, there in zip(cases, cases.has_text, strict=True) if there)


def _holds_rules(path: Path) -> bool:
    with path.open("rb") as file:
        return b"routebench/rules/" in file.read(_HEAD_BYTES)


def preview(ruleset: RuleSet) -> str:
    """Returns the first lines of a rules.yaml, as it would be written."""
    lines = ruleset.to_yaml().splitlines()
    rest = len(lines) - _PREVIEWED
    return "\n".join(lines[:_PREVIEWED] + ([f"… {rest} more lines"] if rest > 0 else []))
