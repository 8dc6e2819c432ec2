"""What takes its time: done beside the kernel or by whoever waits for it, and never lost sight of where it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from routebench.errors import RoutebenchError

Start = Callable[[Callable[[], None]], None]
"""Begins some work; nobody waits for it."""


class Refuse(Protocol):
    """Is told why something cannot be done, and what helps."""

    def __call__(self, cause: object, mend: str = "") -> None:
        """Says it."""
        ...


def in_thread(work: Callable[[], None]) -> None:
    """Begins work on a thread of its own: the kernel stays free."""
    threading.Thread(target=work, name="routebench-tuner", daemon=True).start()


def in_sight(work: Callable[[], object], refuse: Refuse) -> RoutebenchError | None:
    """Does some work and says what goes wrong; returns it where it is an error of this house.

    Any other is a defect: it is said in a line, and goes on to the log with its traceback.
    """
    try:
        work()
    except RoutebenchError as error:
        refuse(error)
        return error
    except Exception as error:
        refuse(f"{type(error).__name__}: {error}", "This is a defect of routebench; its traceback stands in the log.")
        raise
    return None


class Work:
    """Work of one kind.

    Args:
        start: begins some of it.
        refuse: is told what went wrong.

    Attributes:
        error: what ended the latest work; None where it came to its end, or has not done so yet.
    """

    def __init__(self, start: Start, refuse: Refuse) -> None:
        self.error: Exception | None = None
        self._start, self._refuse = start, refuse
        self._n_begun = 0
        self._turned = threading.Condition()

    def begin(self, work: Callable[[], None]) -> None:
        """Begins some work."""
        self._count(1)
        self._start(lambda: self._do(work))

    def do(self, work: Callable[[], None]) -> None:
        """Does some work at once, and raises what ends it."""
        self._count(1)
        self._do(work)
        self.check()

    def tell(self) -> None:
        """Lets those who wait for something look whether it is there."""
        self._count(0)

    def join(self, until: Callable[[], bool] = lambda: False) -> None:
        """Waits for the end of all that was begun, or until something is there."""
        with self._turned:
            self._turned.wait_for(lambda: not self._n_begun or until())

    def check(self) -> None:
        """Raises what ended the latest work."""
        if self.error is not None:
            raise self.error

    def _do(self, work: Callable[[], None]) -> None:
        try:
            self.error = in_sight(work, self._refuse)
        except Exception as error:
            self.error = error
            raise
        finally:
            self._count(-1)

    def _count(self, n: int) -> None:
        with self._turned:
            self.error = None if n > 0 else self.error
            self._n_begun += n
            self._turned.notify_all()
