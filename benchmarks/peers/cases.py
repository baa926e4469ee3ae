"""The topics that a peer writes to, and how many cases stand in one."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.kafka.settings import KafkaSettings

PARTITIONS = 6
COUNT_SECONDS = 120


def make_topics(kafka: KafkaSettings, application: str) -> None:
    """Before the peer starts."""
    by_payee = f"{application}_payments_by_payee"
    asyncio.run(make(kafka, (topic_of(application), by_payee)))


def topic_of(application: str) -> str:
    """The topic that takes a peer's cases."""
    return f"{application}_cases"


async def make(kafka: KafkaSettings, topics: Iterable[str]) -> None:
    """Topics that are not there yet."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics])
    finally:
        await admin.close()


def count(kafka: KafkaSettings, topic: str) -> int:
    """Different keys of committed records. Raises TimeoutError."""
    return asyncio.run(asyncio.wait_for(_count(kafka, topic), COUNT_SECONDS))


async def _count(kafka: KafkaSettings, topic: str) -> int:
    keys: set[bytes | None] = set()
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    async with AIOKafkaConsumer(**kafka.client_options(), isolation_level="read_committed") as consumer:
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        while [partition for partition in partitions if await consumer.position(partition) < ends[partition]]:
            batches = await consumer.getmany(timeout_ms=100)
            keys.update(record.key for records in batches.values() for record in records)
    return len(keys)
