"""Stopping Kafka's clients within a time, whether Kafka answers or not.

aiokafka waits without end for a broker that does not answer, and where that is cut short, leaves tasks and connections
behind. A producer's sender even survives its first cancellation: it waits for its requests then.
"""
# ruff: noqa: SLF001 - nothing public ends a client's parts

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator

STOP_SECONDS = 5.0
PART_SECONDS = 1.0


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Give a producer up; a transaction that is open is left for the next owner to abort."""
    if not await _ended(producer.stop(), STOP_SECONDS):
        await _ended(producer._sender.close(), PART_SECONDS)
        await _close(producer.client)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Give a consumer up; it leaves its group if Kafka answers."""
    if not await _ended(consumer.stop(), STOP_SECONDS):
        if isinstance(consumer._coordinator, GroupCoordinator):
            await _ended(consumer._coordinator._stop_heartbeat_task(), PART_SECONDS)
            await _ended(consumer._coordinator._stop_commit_offsets_refresh_task(), PART_SECONDS)
        if consumer._fetcher is not None:
            await _ended(consumer._fetcher.close(), PART_SECONDS)
        await _close(consumer._client)


async def _close(client: AIOKafkaClient) -> None:
    if client._sync_task is not None and client._sync_task.done():
        client._sync_task = None  # it would raise the error that it ended with, and close no connection
    await _ended(client.close(), PART_SECONDS)


async def _ended(stopping: Awaitable[Any], seconds: float) -> bool:
    """Whether it ended within that time and without an error; aiokafka lets out CancelledError of tasks of its own."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return (await asyncio.gather(stopping, return_exceptions=True))[0] is None
    return False
