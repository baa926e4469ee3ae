"""Stopping Kafka's clients within a time, whether Kafka answers or not.

aiokafka (0.14) waits without end for a broker that does not answer, and where that is cut short, leaves tasks and
connections behind; of its own tasks it lets CancelledError out. A producer's sender even survives its first
cancellation: it waits for its requests then. Nothing public ends a client's parts, so they are ended here one by one.
"""
# ruff: noqa: SLF001 - see above

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError

STOP_SECONDS = 5.0
PART_SECONDS = 1.0


async def stop_client(client: AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient) -> None:
    """Give a client up, of whichever kind."""
    match client:
        case AIOKafkaProducer():
            await stop_producer(client)
        case AIOKafkaConsumer():
            await stop_consumer(client)
        case AIOKafkaAdminClient():
            await _ended(client.close(), STOP_SECONDS)


async def stop_producer(producer: AIOKafkaProducer, seconds: float = STOP_SECONDS) -> None:
    """Let a producer deliver what it holds within this time, then give it up.

    A transaction that is open is left for the next owner of its id to abort.
    """
    delivered = False
    try:
        delivered = await _ended(producer.stop(), seconds)
    finally:
        if not delivered:
            await abandon_producer(producer)


async def abandon_producer(producer: AIOKafkaProducer) -> None:
    """Give a producer up at once; whoever awaits one of its batches gets KafkaError."""
    producer._closed = True
    producer._message_accumulator.fail_all(KafkaError("the producer was abandoned"))
    await _close(producer.client)
    if producer._sender is not None and producer._sender.sender_task is not None:
        producer._sender.sender_task.cancel()
        await asyncio.wait([producer._sender.sender_task], timeout=PART_SECONDS)


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Give a consumer up; it leaves its group if Kafka answers."""
    stopped = False
    try:
        stopped = await _ended(consumer.stop(), STOP_SECONDS)
    finally:
        if not stopped:
            await _abandon_consumer(consumer)


async def _abandon_consumer(consumer: AIOKafkaConsumer) -> None:
    if isinstance(consumer._coordinator, GroupCoordinator):
        await _ended(consumer._coordinator._stop_heartbeat_task(), PART_SECONDS)
        await _ended(consumer._coordinator._stop_commit_offsets_refresh_task(), PART_SECONDS)
    if consumer._fetcher is not None:
        await _ended(consumer._fetcher.close(), PART_SECONDS)
    await _close(consumer._client)


async def _close(client: AIOKafkaClient) -> None:
    if client._sync_task is not None and client._sync_task.done():
        client._sync_task = None  # it would raise the error that it ended with, and close no connection
    for connection in client._conns.values():
        if connection.connected():
            # Closed, it would stay open until the broker has read what was written.
            connection._writer.transport.abort()
    await _ended(client.close(), PART_SECONDS)


async def _ended(stopping: Awaitable[Any], seconds: float) -> bool:
    """True for an end in time and without an error; aiokafka lets out CancelledError of tasks of its own."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return (await asyncio.gather(stopping, return_exceptions=True))[0] is None
    return False
