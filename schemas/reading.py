"""Reading topics from their beginning to their end, outside of any group."""

from collections.abc import AsyncIterator, Iterable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.kafka import KafkaSettings
from schemas.reach import start_client

FETCH_MS = 500


async def read_to_end(
    kafka: KafkaSettings, topics: Iterable[str], since: Mapping[TopicPartition, int] | None = None
) -> AsyncIterator[list[ConsumerRecord]]:
    """All committed records up to the topics' ends at this moment, in batches; a topic that is not there has none.

    `since` are the offsets to begin at; without it, the beginning. Raises KafkaError.
    """
    consumer = AIOKafkaConsumer(
        **kafka.client_options(),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        await start_client(consumer, kafka)
        ends = await _ends(consumer, topics)
        left = {partition for partition, end in ends.items() if end > (since or {}).get(partition, 0)}
        if not left:
            return
        consumer.assign(list(left))
        for partition in left:
            if since and partition in since:
                consumer.seek(partition, since[partition])
        while left:
            for records in (await consumer.getmany(*left, timeout_ms=FETCH_MS)).values():
                yield records
            for partition in list(left):
                if await consumer.position(partition) >= ends[partition]:
                    left.discard(partition)
                    consumer.pause(partition)
    finally:
        await consumer.stop()


async def offsets_at(kafka: KafkaSettings, topics: Iterable[str], milliseconds: int) -> dict[TopicPartition, int]:
    """Each partition's first offset with a timestamp from then on, or else its end; raises KafkaError."""
    consumer = AIOKafkaConsumer(**kafka.client_options(), isolation_level="read_committed", enable_auto_commit=False)
    try:
        await consumer.start()
        ends = await _ends(consumer, topics)
        found = await consumer.offsets_for_times(dict.fromkeys(ends, milliseconds)) if ends else {}
        return {partition: found[partition].offset if found.get(partition) else end for partition, end in ends.items()}
    finally:
        await consumer.stop()


async def end_offsets(kafka: KafkaSettings, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """The end of each partition for readers of committed records; raises KafkaError."""
    consumer = AIOKafkaConsumer(**kafka.client_options(), isolation_level="read_committed", enable_auto_commit=False)
    try:
        await start_client(consumer, kafka)
        return await _ends(consumer, topics)
    finally:
        await consumer.stop()


async def _ends(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> dict[TopicPartition, int]:
    there = await consumer.topics()
    consumer.subscribe([topic for topic in topics if topic in there] or ["none"])
    await consumer._client.force_metadata_update()  # noqa: SLF001 - nothing public waits for a topic's partitions
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        if topic in there
        for number in consumer.partitions_for_topic(topic) or ()
    ]
    consumer.unsubscribe()
    return dict(await consumer.end_offsets(partitions)) if partitions else {}
