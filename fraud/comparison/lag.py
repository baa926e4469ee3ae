"""Lag of the engines: how many records of their inputs they have not read, by the offsets that they committed."""

from collections.abc import Mapping

from aiokafka.structs import TopicPartition

from fraud.detection.topology import BY_PAYOR, INPUTS, consumer_group
from schemas.kafka.groups import consumer_groups
from schemas.kafka.reading import end_offsets, offset_bounds, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS

MAX_COUNTED = 2_000
"""Offsets up to which the records between them are counted: further behind, markers among them do not matter."""


async def python_lag(kafka: KafkaSettings, app: str) -> int:
    """Records that Python's stages have not read; raises KafkaError."""
    groups = await consumer_groups(kafka, [consumer_group(app, stage) for stage in INPUTS])
    lag = 0
    for stage, topics in INPUTS.items():
        lag += await unread(kafka, groups[consumer_group(app, stage)].offsets, await offset_bounds(kafka, topics))
    return lag


async def unread_payments(kafka: KafkaSettings, app: str) -> tuple[int, int]:
    """Payments ever posted, and those of them that Python has not read, as counts; raises KafkaError.

    No transaction writes to the raw topics, so their offsets count payments.
    """
    name = consumer_group(app, BY_PAYOR)
    committed = (await consumer_groups(kafka, [name]))[name].offsets
    ends = await end_offsets(kafka, RAW_TOPICS)
    unread_ones = sum(end - _position(committed.get(partition, 0), 0, end) for partition, end in ends.items())
    return sum(ends.values()), unread_ones


async def unread(
    kafka: KafkaSettings, committed: Mapping[TopicPartition, int], bounds: Mapping[TopicPartition, tuple[int, int]]
) -> int:
    """Records between the committed offsets and the ends of these partitions; raises KafkaError.

    No transaction writes to the raw topics: there the offsets say it. Elsewhere the last offset of a transaction is its
    marker, which is no record, so what little is left is counted.
    """
    positions = {partition: _position(committed.get(partition, 0), *limits) for partition, limits in bounds.items()}
    behind = {partition: end for partition, (_, end) in bounds.items() if positions[partition] < end}
    written_by_transactions = {partition.topic for partition in behind} - {*RAW_TOPICS}
    lag = marked = 0
    for partition, end in behind.items():
        lag += end - positions[partition]
        marked += end - positions[partition] if partition.topic in written_by_transactions else 0
    if not 0 < marked <= MAX_COUNTED:
        return lag
    lag -= marked
    async for records in read_to_end(kafka, written_by_transactions, positions):
        lag += len(records)
    return lag


def _position(committed: int, begin: int, end: int) -> int:
    """The next offset to read. One beyond the end was committed before the topic was made anew: all is to be read."""
    return max(begin, committed) if committed <= end else begin
