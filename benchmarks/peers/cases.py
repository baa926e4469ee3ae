"""The topic that a peer writes its cases to, and how many pairs stand in it."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.kafka import KafkaSettings

PARTITIONS = 6
COUNT_SECONDS = 120


def make_topic(kafka: KafkaSettings, application: str) -> None:
    """Before the peer starts."""
    asyncio.run(_make_topic(kafka, topic_of(application)))


def topic_of(application: str) -> str:
    """Where a peer's cases go."""
    return f"{application}_cases"


async def _make_topic(kafka: KafkaSettings, topic: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
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
        while [each for each in partitions if await consumer.position(each) < ends[each]]:
            found = await consumer.getmany(timeout_ms=100)
            keys.update(record.key for records in found.values() for record in records)
    return len(keys)
