"""A session's ends: of tasks that fail, of work that takes long, of a commit under way."""

import asyncio

import pytest

from fraud.streams import session as sessions
from fraud.streams.session import _gather_all, _run_unless, _shorten_once


async def test_every_task_has_ended_before_the_first_error_is_raised() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError

    async def work() -> None:
        await asyncio.sleep(0.01)
        ended.append("work")

    with pytest.raises(ValueError, match=r"^$"):
        await _gather_all([fail(), work()])
    assert ended == ["work"]


async def test_work_is_cut_short_once_the_event_is_set() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stopping.set)
    async with asyncio.timeout(30):
        await _run_unless(stopping, asyncio.sleep(3600))


async def test_an_error_of_the_work_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("the work's")

    with pytest.raises(ValueError, match="the work's"):
        await _run_unless(asyncio.Event(), fail())


async def test_a_commit_under_way_has_little_time_once_the_worker_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LAST_COMMIT_SECONDS", 0.01)
    stopping = asyncio.Event()
    stopping.set()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600) as limit, _shorten_once(stopping, limit):
            await asyncio.sleep(3600)
