"""What a target does not do as the rule set says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from routebench.errors import RulesError

How = Literal["dropped", "approximated", "refused"]


@dataclass(frozen=True, slots=True)
class Lost:
    """One part of a rule set that a target cannot hold as it is.

    Attributes:
        part: such as `rule long`, `guard legal`, `health`.
        how: `dropped` where it is left out, `approximated` where something safe stands for it, `refused` where there
            is no export without the caller's word.
        why: what the target lacks.
        mend: what to do about it.
    """

    part: str
    how: How
    why: str
    mend: str

    def __str__(self) -> str:
        return f"{self.part}: {self.how}: {self.why}; {self.mend}"


def refuse_lost_guards(lost: Iterable[Lost], target: str, *, allow: bool) -> None:
    """Stops an export that would let requests past a guard.

    Args:
        lost: parts; those that are `refused` are the guards in question.
        target: its title, for the message.
        allow: the caller said that guards may be lost.

    Raises:
        RulesError: a guard is refused and `allow` is not given.
    """
    refused = [one for one in lost if one.how == "refused"]
    if refused and not allow:
        raise RulesError(
            [
                f"{one.part} cannot be held by {target}: {one.why}; {one.mend}, or --allow-lost-guards exports without"
                for one in refused
            ]
        )
