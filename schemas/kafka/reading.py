"""Reading topics from their beginning to their end, outside of any group."""
# ruff: noqa: SLF001 - each place says what aiokafka does not offer

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError, for_code
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.kafka.connect import started
from schemas.kafka.settings import KafkaSettings

FETCH_MS = 500
SILENT_SECONDS = 30.0
"""Time for which Kafka may send nothing while there is more to read."""
LATEST = -1
DEBUGGING_REPLICA = -2
"""ListOffsets in Kafka's protocol: the latest offset, and a replica's number that stands for no follower."""


async def read_to_end(
    kafka: KafkaSettings,
    topics: Iterable[str],
    since: Mapping[TopicPartition, int] | None = None,
    *,
    all_written: bool = False,
) -> AsyncGenerator[list[ConsumerRecord], None]:
    """Read all committed records up to the topics' ends at this moment, in batches, the last with what has come since.

    A topic that is not there has none. `since` are the offsets to begin at; where it has none, the beginning.
    `all_written`: also what no transaction has committed, and what a leader has written and its followers have not;
    these are waited for. Raises KafkaError, also where Kafka falls silent before the ends are reached.
    """
    isolation = "read_uncommitted" if all_written else "read_committed"
    async with started(_reader(kafka, isolation), kafka) as consumer:
        ends = await _ends(consumer, topics)
        if all_written:
            ends = await _ends_of_leaders(consumer, ends)
        unread = {partition for partition, end in ends.items() if end > (since or {}).get(partition, 0)}
        if not unread:
            return
        consumer.assign(list(unread))
        for partition in unread:
            if since and partition in since:
                consumer.seek(partition, since[partition])
        while unread:
            for records in await _next(consumer, unread, ends):
                yield records


def _reader(kafka: KafkaSettings, isolation: str = "read_committed") -> AIOKafkaConsumer:
    """A consumer of no group."""
    return AIOKafkaConsumer(
        **kafka.client_options(), isolation_level=isolation, auto_offset_reset="earliest", enable_auto_commit=False
    )


async def _next(
    consumer: AIOKafkaConsumer, unread: set[TopicPartition], ends: Mapping[TopicPartition, int]
) -> list[list[ConsumerRecord]]:
    """The next batches; takes away from `unread` what has been read. Raises KafkaTimeoutError where nothing comes."""
    before = len(unread)
    try:
        async with asyncio.timeout(SILENT_SECONDS):
            while True:
                batches = list((await consumer.getmany(*unread, timeout_ms=FETCH_MS)).values())
                for partition in list(unread):
                    if await consumer.position(partition) >= ends[partition]:
                        unread.discard(partition)
                        consumer.pause(partition)
                if batches or len(unread) < before:
                    return batches
    except TimeoutError:
        names = ", ".join(sorted({partition.topic for partition in unread}))
        raise KafkaTimeoutError(f"nothing has come for {SILENT_SECONDS:g} s, and there is more of {names}") from None


async def offsets_at(kafka: KafkaSettings, topics: Iterable[str], milliseconds: int) -> dict[TopicPartition, int]:
    """The first offset of each partition with a timestamp from then on, or else its end; raises KafkaError."""
    async with started(_reader(kafka), kafka) as consumer:
        ends = await _ends(consumer, topics)
        firsts = await consumer.offsets_for_times(dict.fromkeys(ends, milliseconds)) if ends else {}
        return {
            partition: firsts[partition].offset if firsts.get(partition) else end for partition, end in ends.items()
        }


async def end_offsets(kafka: KafkaSettings, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """The end of each partition for readers of committed records; raises KafkaError."""
    async with started(_reader(kafka), kafka) as consumer:
        return await _ends(consumer, topics)


async def offset_bounds(kafka: KafkaSettings, topics: Iterable[str]) -> dict[TopicPartition, tuple[int, int]]:
    """The first offset that each partition still has, and its end for readers of committed records; raises KafkaError.

    A topic that is not there has none.
    """
    async with started(_reader(kafka), kafka) as consumer:
        ends = await _ends(consumer, topics)
        beginnings = await consumer.beginning_offsets(list(ends)) if ends else {}
        return {partition: (beginnings[partition], end) for partition, end in ends.items()}


async def record_at(kafka: KafkaSettings, topic: str, partition: int, offset: int) -> ConsumerRecord | None:
    """The record at this place, or None where the topic has none there any more; raises KafkaError.

    It waits for as long as Kafka is silent: the caller sets the time.
    """
    place = TopicPartition(topic, partition)
    async with started(_reader(kafka), kafka) as consumer:
        bounds = await _bounds(consumer, place)
        if bounds is None or not bounds[0] <= offset < bounds[1]:
            return None
        consumer.assign([place])
        consumer.seek(place, offset)
        record = await consumer.getone(place)
        return record if record.offset == offset else None


async def _bounds(consumer: AIOKafkaConsumer, place: TopicPartition) -> tuple[int, int] | None:
    """The first offset that a partition has, and its end; None where there is no such partition."""
    # Who asks for a topic by name makes it, on a broker that makes topics by themselves.
    if place.topic not in await consumer.topics() or place not in (ends := await _ends(consumer, [place.topic])):
        return None
    beginnings = await consumer.beginning_offsets([place])
    return beginnings[place], ends[place]


async def refresh_metadata(consumer: AIOKafkaConsumer) -> None:
    """Ask for the topics and their partitions anew: nothing public of aiokafka (0.14) waits for that, or forces it."""
    await consumer._client.force_metadata_update()


async def _ends(consumer: AIOKafkaConsumer, topics: Iterable[str]) -> dict[TopicPartition, int]:
    existing = set(topics) & await consumer.topics()
    if not existing:
        return {}
    consumer.subscribe(existing)
    await refresh_metadata(consumer)
    partitions = [
        TopicPartition(topic, number) for topic in existing for number in consumer.partitions_for_topic(topic) or ()
    ]
    consumer.unsubscribe()
    return dict(await consumer.end_offsets(partitions)) if partitions else {}


async def _ends_of_leaders(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """Ends of the leaders' logs, followers or no: ListOffsets tells them to whoever reads replicas to debug them."""
    client = consumer._client  # nothing public of aiokafka (0.14) asks as anybody but a consumer
    questions: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for topic, partition in partitions:
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        questions[leader][topic].append((partition, LATEST))
    ends = {}
    for leader, topics in questions.items():
        answer = await client.send(leader, OffsetRequest(DEBUGGING_REPLICA, 0, list(topics.items())))
        for topic, answers in answer.topics:
            for partition, error, _, end in answers:
                if error:
                    raise for_code(error)(f"where {topic}, partition {partition}, ends")
                ends[TopicPartition(topic, partition)] = end
    return ends
