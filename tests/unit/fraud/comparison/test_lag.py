"""Lag by offsets alone: where no transaction writes, and where so much is left that its markers do not matter."""

from aiokafka.structs import TopicPartition

from fraud.comparison.lag import MAX_COUNTED, unread
from schemas.kafka.settings import KafkaSettings

RAW, OTHER = TopicPartition("payment_json", 0), TopicPartition("payments", 0)
NOBODY = KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1")


async def test_of_a_raw_topic_all_offsets_after_the_committed_one_are_unread() -> None:
    assert await unread(NOBODY, {RAW: 7}, {RAW: (0, 10)}) == 3
    assert await unread(NOBODY, {RAW: 10}, {RAW: (0, 10)}) == 0


async def test_what_was_deleted_before_it_was_read_is_not_unread() -> None:
    assert await unread(NOBODY, {RAW: 2}, {RAW: (8, 10)}) == 2


async def test_of_a_partition_without_a_committed_offset_everything_is_unread() -> None:
    assert await unread(NOBODY, {}, {RAW: (4, 10)}) == 6


async def test_far_behind_nothing_is_counted_one_by_one() -> None:
    assert await unread(NOBODY, {RAW: 0}, {RAW: (0, 5), OTHER: (0, MAX_COUNTED + 1)}) == MAX_COUNTED + 6


async def test_an_offset_beyond_the_end_is_that_of_a_topic_before_it_was_made_anew() -> None:
    assert await unread(NOBODY, {RAW: 1000}, {RAW: (0, 10)}) == 10
    assert await unread(NOBODY, {RAW: 1000}, {RAW: (0, 0)}) == 0
