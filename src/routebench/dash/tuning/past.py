"""The settings before this one: the way back."""

from __future__ import annotations

from collections.abc import Callable

from routebench.dash.tuning.setting import Setting

STEPS = 20
"""How many changes can be undone."""
_GESTURE_S = 2.0
"""Changes of one control that follow each other so closely are one step: somebody drags."""


class Past:
    """Settings that were left, the latest last.

    Args:
        clock: seconds that only grow; tells dragging from deciding.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: list[Setting] = []
        self._latest: tuple[str, float] | None = None

    def __len__(self) -> int:
        return len(self._left)

    def leave(self, setting: Setting, control: str = "") -> bool:
        """Notes that a setting is left; returns whether that is a step of its own.

        Args:
            setting: that is left.
            control: by which; an empty string where nobody drags it.
        """
        latest, at = self._latest, self._clock()
        self._latest = (control, at) if control else None
        if latest is not None and latest[0] == control and at - latest[1] < _GESTURE_S:
            return False
        self._left = [*self._left, setting][-STEPS:]
        return True

    def back(self) -> Setting | None:
        """Returns the setting before and forgets it; None where there is none."""
        self._latest = None
        return self._left.pop() if self._left else None
