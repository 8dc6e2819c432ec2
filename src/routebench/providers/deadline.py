"""A time by which an answer must be whole, over all the waits on the way to it."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Ends the wait that is under way when the time has come, with TimeoutError, and every wait after it.

    A wait stands in a `with` block. One `asyncio.timeout` around all waits of a stream would end whatever its listener
    does between two pieces, and one around each of them costs a timer for every piece.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._strike)
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._is_over = self._struck = False

    def close(self) -> None:
        """Forgets the time."""
        self._timer.cancel()

    def __enter__(self) -> None:
        if self._is_over:
            raise TimeoutError
        task = self._task = asyncio.current_task()
        assert task is not None
        self._cancelling = task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        assert task is not None
        struck, self._struck = self._struck, False
        n_cancelled = task.uncancel() if struck else task.cancelling()
        if n_cancelled > self._cancelling:
            # Somebody else has cancelled the task, and that stands. What is written in another language may come to
            # its end in the same moment, and return as if nothing had been asked of it.
            if kind is None:
                raise asyncio.CancelledError
        elif struck and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _strike(self) -> None:
        self._is_over = True
        if self._task is not None:
            self._struck = True
            self._task.cancel()
