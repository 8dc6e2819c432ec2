"""What another gateway makes of the setting: its files, what is lost, and what the loss does on the training half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from routebench.errors import InputError
from routebench.evaluate import Outcomes
from routebench.export import Exported, Target, find_target
from routebench.export.capability import capability_line
from routebench.export.effect import Effect, effect_of
from routebench.export.openings import openings_of
from routebench.export.prompts import known_prompts
from routebench.export.verify.verified import Verified
from routebench.export.writing import WRITTEN, heading, write
from routebench.rules import RuleSet
from routebench.types import Request

PREVIEWED = 40
MOST_PROVED = 200
"""Prompts that a product is tried with from a page: a minute of it."""


@dataclass(frozen=True)
class GatewayForm:
    """A rule set in the form of one gateway.

    Attributes:
        target: the gateway.
        ruleset: as it was chosen.
        exported: the files, and what is lost.
        effect: what the loss does on the cases it was chosen on.
        requests: their prompts.
        verified: what came of a trial; None before it.
    """

    target: Target
    ruleset: RuleSet
    exported: Exported
    effect: Effect
    requests: Sequence[Request]
    verified: Verified | None = None

    @classmethod
    def of(
        cls,
        name: str,
        ruleset: RuleSet,
        outcomes: Outcomes,
        *,
        names: Mapping[str, str] | None = None,
        allow_lost_guards: bool = False,
    ) -> Self:
        """Writes a rule set for a gateway.

        Args:
            name: of the target.
            ruleset: the policy.
            outcomes: the training half: the other one stays sealed.
            names: what the target calls models, where that cannot be told from them.
            allow_lost_guards: guards that cannot be held there may be lost.

        Raises:
            RulesError: it cannot be written, or a guard would be lost.
        """
        target = find_target(name)
        requests = known_prompts(ruleset, outcomes)
        exported = target.export(
            ruleset,
            requests=requests,
            openings=openings_of(ruleset, outcomes),
            names=names,
            allow_lost_guards=allow_lost_guards,
        )
        unknown = target.check(exported.files)
        if unknown:
            raise InputError(f"{unknown[0]}; it is not written")
        return cls(target, ruleset, exported, effect_of(ruleset, exported, outcomes), requests)

    def proved(self) -> GatewayForm:
        """Runs the product on some of the prompts.

        Raises:
            MissingDependencyError: it is not installed.
            ProviderError: it does not start, or refuses the files.
        """
        tried = known_prompts(self.ruleset) or self.requests
        verified = self.target.verify(self.exported, self.ruleset, list(tried)[:MOST_PROVED])
        return replace(self, verified=verified)

    @property
    def capability(self) -> str:
        """What the gateway can hold, in a line."""
        return f"{self.target.title}: {capability_line(self.target.capabilities)}"

    @property
    def lossless(self) -> bool:
        """Whether nothing is lost."""
        return not self.exported.lost

    @property
    def lines(self) -> tuple[str, ...]:
        """The heading of the files."""
        return heading(self.ruleset, self.exported, self.effect, self.verified)

    @property
    def preview(self) -> str:
        """How the main file begins after its heading."""
        lines = next(iter(self.exported.files.values())).splitlines()
        rest = len(lines) - PREVIEWED
        return "\n".join(lines[:PREVIEWED] + ([f"… {rest} more lines"] if rest > 0 else []))

    def write(self, path: Path, *, replace: bool) -> tuple[Path, ...]:
        """Writes the files, the main one at a path and the others beside it.

        Raises:
            InputError: something is there already.
        """
        others = list(self.exported.files)[1:]
        there = [one for one in (path, *(path.parent / name for name in others)) if one.exists()]
        if there and not replace:
            raise InputError(f"{there[0]} exists already; tick `replace`, or give another path")
        if there and not all(_is_ours(one) for one in there):
            raise InputError(f"{there[0]} is there and was not written by an export; give another path")
        return write(self.exported, path, self.lines)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return WRITTEN.encode() in file.read(4096)
