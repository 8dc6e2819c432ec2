"""The process that serves: its event loop, its signals, and how requests are cut off that do not end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import uvicorn

_THREADS = 128
"""Decisions that wait for a model's word at once, one a thread; others wait for their turn."""
_LAST_S = 5.0


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: it would take them from a notebook, and does not know SIGHUP."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them alone."""
        yield


@contextmanager
def signals(loop: asyncio.AbstractEventLoop, end: Callable[[], None], again: Callable[[], None]) -> Iterator[None]:
    """Has signals end what is served, by `end`, or read its files `again`; as they were before afterwards."""
    handled = {signal.SIGINT: end, signal.SIGTERM: end}
    if hasattr(signal, "SIGHUP"):
        handled[signal.SIGHUP] = again
    for number, act in handled.items():
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


async def cut_off(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Ends requests that have been waited for long enough: their clients are told, and their rows are written."""
    left = list(tasks)
    for task in left:
        if not task.cancelling():
            task.cancel()
    if left:
        await asyncio.wait(left, timeout=_LAST_S)


def quick_loop() -> asyncio.Runner:
    """Returns a runner of uvloop where there is one: it halves what a request costs."""
    return asyncio.Runner(loop_factory=_new_loop)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ModuleNotFoundError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="routebench-decides"))
    return loop
