"""A deadline over many waits."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from routebench.providers.deadline import Deadline

AT_ONCE = 0.0
NEVER = 3600.0


async def forever(deadline: Deadline) -> None:
    with deadline:
        await asyncio.Event().wait()


async def struck() -> None:
    """Until whatever was due at once has been done."""
    past = asyncio.Event()
    asyncio.get_running_loop().call_later(AT_ONCE, past.set)
    await past.wait()


def test_it_ends_the_wait_that_is_under_way_and_every_one_after_it() -> None:
    async def main() -> int:
        deadline = Deadline(AT_ONCE)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await forever(deadline)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert asyncio.run(main()) == 0


def test_between_two_waits_it_ends_nothing() -> None:
    async def main() -> None:
        deadline = Deadline(AT_ONCE)
        with deadline:
            pass
        await struck()
        with pytest.raises(TimeoutError):
            await forever(deadline)

    asyncio.run(main())


def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    async def main() -> None:
        deadline = Deadline(NEVER)
        task = asyncio.create_task(forever(deadline))
        await struck()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadline.close()

    asyncio.run(main())


def test_cancelled_by_both_at_once_a_task_is_cancelled() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def wait() -> None:
            deadline = Deadline(AT_ONCE)
            loop.call_later(AT_ONCE, task.cancel)
            await forever(deadline)

        task = asyncio.create_task(wait())
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_closed_it_ends_nothing() -> None:
    async def main() -> None:
        deadline = Deadline(AT_ONCE)
        deadline.close()
        with deadline:
            await struck()

    asyncio.run(main())


def test_a_wait_that_takes_no_notice_of_being_cancelled_is_cancelled_all_the_same() -> None:
    async def deaf(deadline: Deadline) -> str:
        with deadline, contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "went on"

    async def main() -> None:
        deadline = Deadline(NEVER)
        task = asyncio.create_task(deaf(deadline))
        await struck()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadline.close()

    asyncio.run(main())
