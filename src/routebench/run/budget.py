"""Hard caps on what a run spends: the worst case of every attempt is reserved before it is sent, and settled after."""

from __future__ import annotations


class Budget:
    """Money and requests of one run.

    Args:
        cap_usd: the most that may be billed, in US dollars; None for no cap.
        max_calls: the most requests that may be sent, retries included; None for no cap.

    Attributes:
        spent_usd: what was billed, with an unknown bill at its worst case while there is a cap.
        n_sent: requests sent.
        n_unknown: requests whose bill is unknown.
        n_open: requests sent and not settled.
    """

    def __init__(self, cap_usd: float | None = None, max_calls: int | None = None) -> None:
        self.cap_usd = cap_usd
        self.max_calls = max_calls
        self.spent_usd = 0.0
        self.n_sent = 0
        self.n_unknown = 0
        self.n_open = 0
        self._reserved_usd = 0.0

    def reserve(self, worst_case_usd: float | None) -> bool:
        """Sets the worst case of one attempt aside; False when it does not fit under a cap any more.

        A call whose worst case is unknown fits under a cap in US dollars only where calls are capped too: the user has
        then said how many of those there may be.
        """
        if self.max_calls is not None and self.n_sent >= self.max_calls:
            return False
        if self.cap_usd is not None:
            if worst_case_usd is None:
                if self.max_calls is None:
                    return False
            elif self.spent_usd + self._reserved_usd + worst_case_usd > self.cap_usd:
                return False
            else:
                self._reserved_usd += worst_case_usd
        self.n_sent += 1
        self.n_open += 1
        return True

    def settle(self, worst_case_usd: float | None, billed_usd: float | None) -> None:
        """Frees a reservation and books what was billed; an unknown bill is booked at its worst case under a cap."""
        self.n_open -= 1
        if self.cap_usd is not None and worst_case_usd is not None:
            self._reserved_usd -= worst_case_usd
            if not self.n_open:
                # What rounding has left over.
                self._reserved_usd = 0.0
        if billed_usd is not None:
            self.spent_usd += billed_usd
        else:
            self.n_unknown += 1
            if self.cap_usd is not None:
                self.spent_usd += worst_case_usd or 0.0

    def full(self, worst_case_usd: float | None) -> str:
        """Says which cap holds back what is left, and what a call like the next one needs."""
        if self.max_calls is not None and self.n_sent >= self.max_calls:
            return f"{self.max_calls} requests are sent, the cap of this run"
        need = "" if worst_case_usd is None else f"; it may cost up to ${worst_case_usd:.2g}, and that must fit"
        return f"the next call might cross the cap of ${self.cap_usd or 0.0:.6f}{need}"
