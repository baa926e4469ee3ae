"""Work beside a block begins with it and is over when the block is left."""

import asyncio
from contextlib import suppress

import pytest

from schemas.event_loop import background, being_cancelled


async def test_work_in_the_background_has_ended_when_the_block_is_left() -> None:
    events: list[str] = []

    async def work() -> None:
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("ended")

    async with background(work()):
        await asyncio.sleep(0)
    assert events == ["begun", "ended"]


async def test_an_error_of_the_work_is_in_its_task_and_raises_nothing_in_the_block() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async with background(fail()) as task:
        await asyncio.wait([task])
    with pytest.raises(ValueError, match="no"):
        task.result()


async def test_the_work_ends_where_the_block_fails() -> None:
    with pytest.raises(ValueError, match="no"):
        async with background(asyncio.Event().wait()) as task:
            raise ValueError("no")
    assert task.cancelled()


async def test_a_task_knows_whether_it_is_being_cancelled() -> None:
    answers: list[bool] = []

    async def work() -> None:
        answers.append(being_cancelled())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            answers.append(being_cancelled())
            raise

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert answers == [False, True]
