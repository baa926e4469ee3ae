"""A worker while Kafka is away: it says why, starts over, and ends as soon as it is to."""

import asyncio

from structlog.testing import capture_logs

from compose.addresses import free_port
from fraud.detection.detect import stages
from fraud.rules import load
from fraud.settings import FraudSettings
from fraud.streams.worker import Worker
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
