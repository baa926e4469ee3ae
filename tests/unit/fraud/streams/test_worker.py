"""A worker while Kafka is away: it says why, starts over, and ends as soon as it is to."""

import asyncio

import pytest
from structlog.testing import capture_logs

from compose.addresses import free_port
from fraud.detection.detect import stages
from fraud.rules import load
from fraud.settings import FraudSettings
from fraud.streams import worker as workers
from fraud.streams.worker import Worker, _all, _shortened, _unless
from schemas.kafka.settings import KafkaSettings
from schemas.registry import Registry, RegistrySettings


def worker(**changes: float) -> Worker:
    """A worker that reaches nobody."""
    stage = next(iter(stages(load(), Registry(RegistrySettings()), 1000).values()))
    kafka = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    return Worker(stage, kafka, FraudSettings(**changes))


async def test_it_starts_over_after_each_error_and_says_the_last_one() -> None:
    idle = worker(fraud_retry_seconds=0.01)
    assert await idle.missing() == "it has not joined its group yet"
    with capture_logs() as logs:
        running = asyncio.create_task(idle.run())
        async with asyncio.timeout(30):
            while len(logs) < 3:
                await asyncio.sleep(0.01)
        idle.stopping.set()
        await asyncio.wait_for(running, 30)
    assert {entry["event"] for entry in logs} == {"session ended; starting over"}
    pauses = [entry["pause_seconds"] for entry in logs]
    assert pauses[:3] == [0.01, 0.02, 0.04]
    missing = await idle.missing()
    assert missing is not None
    assert missing.startswith("it starts over after an error: Kafka cannot be reached")


async def test_a_pause_ends_as_soon_as_the_worker_is_to_stop() -> None:
    idle = worker(fraud_retry_seconds=3600.0)
    with capture_logs() as logs:
        running = asyncio.create_task(idle.run())
        async with asyncio.timeout(30):
            while not logs:
                await asyncio.sleep(0.01)
        idle.stopping.set()
        await asyncio.wait_for(running, 30)


async def test_every_task_has_ended_before_the_first_error_is_raised() -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise ValueError

    async def work() -> None:
        await asyncio.sleep(0.01)
        ended.append("work")

    with pytest.raises(ValueError, match=r"^$"):
        await _all([fail(), work()])
    assert ended == ["work"]


async def test_work_is_cut_short_once_the_event_is_set() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stopping.set)
    async with asyncio.timeout(30):
        await _unless(stopping, asyncio.sleep(3600))


async def test_an_error_of_the_work_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("the work's")

    with pytest.raises(ValueError, match="the work's"):
        await _unless(asyncio.Event(), fail())


async def test_a_commit_under_way_has_little_time_once_the_worker_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LAST_COMMIT_SECONDS", 0.01)
    stopping = asyncio.Event()
    stopping.set()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600) as limit, _shortened(limit, stopping):
            await asyncio.sleep(3600)
