"""A hard cap on what a run spends: the worst case is reserved before a call is sent, and settled after it."""

from __future__ import annotations


class Budget:
    """Money of one run, in US dollars.

    Args:
        cap_usd: the cap, None for no cap.
    """

    def __init__(self, cap_usd: float | None = None) -> None:
        self.cap_usd = cap_usd
        self.spent_usd = 0.0
        self.n_unknown = 0
        self._reserved_usd = 0.0

    def reserve(self, worst_case_usd: float | None) -> bool:
        """Sets the worst case aside; False when it does not fit under the cap any more.

        Under a cap, a call whose worst case is unknown never fits.
        """
        if self.cap_usd is None:
            return True
        if worst_case_usd is None or self.spent_usd + self._reserved_usd + worst_case_usd > self.cap_usd:
            return False
        self._reserved_usd += worst_case_usd
        return True

    def settle(self, worst_case_usd: float | None, billed_usd: float | None) -> None:
        """Frees the reservation and books what was billed; an unknown bill is booked at its worst case."""
        if self.cap_usd is not None and worst_case_usd is not None:
            self._reserved_usd -= worst_case_usd
        if billed_usd is not None:
            self.spent_usd += billed_usd
        else:
            self.n_unknown += 1
            if self.cap_usd is not None:
                self.spent_usd += worst_case_usd or 0.0
