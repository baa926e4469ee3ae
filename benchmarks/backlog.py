"""A backlog of payments on Kafka, as after an outage: what a stage works through as fast as it can."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import RecordMetadata

from fraud.detection.partition_keys import payor_key
from fraud.rules import DAY_MS
from schemas.codecs import PaymentCodec, payment_codecs
from schemas.kafka.partitioning import partition_of
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import ALL_TOPICS, CONFIGS, PAYMENT_JSON
from schemas.payment import Payment
from schemas.registry import Registry

PARTITIONS = 6
BATCH_BYTES = 1_000_000
TOPIC_SECONDS = 60
AMOUNT = 2000.01
"""Dollars of each payment: the fifth of a pair crosses the line, the sixth and last leaves it at $12,000.06."""
FIRST_AT = 6 * 3_600_000
EVERY_MS = 4
"""Time between two payments: three million make 3 hours and 20 minutes."""


def payments(count: int, pairs: int, in_turn: int | None = None) -> Iterator[tuple[int, Payment]]:
    """So many payments of so many pairs, each with its time: within one UTC day, yesterday.

    All pairs pay in turn, so that cases come in the last third; or so many of them until they are through, then as many
    others, so that cases come from the beginning to the end.
    """
    in_turn = in_turn or pairs
    yesterday = int(datetime.now(UTC).timestamp() * 1000) // DAY_MS * DAY_MS - DAY_MS
    for number in range(count):
        pair = (number // (count // pairs * in_turn) * in_turn + number % in_turn) % pairs
        payee = f"Bank {pair % 50}", pair % 99_991
        at_ms = yesterday + FIRST_AT + EVERY_MS * number
        yield at_ms, Payment(str(UUID(int=number)), *payee, AMOUNT, "ACH", 100_000 + pair)


async def make_topics(kafka: KafkaSettings) -> None:
    """Every topic but `payment_json`, empty, and that one if it is missing. Nothing is deleted by age from any."""
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        there = set(await admin.list_topics())
        await admin.delete_topics(sorted(there & {*ALL_TOPICS} - {PAYMENT_JSON}))
        missing = {*ALL_TOPICS} - (there & {PAYMENT_JSON})
        async with asyncio.timeout(TOPIC_SECONDS):
            while missing:  # a topic is deleted in the background, and until then it cannot be made
                await admin.create_topics([_topic(name) for name in sorted(missing)])
                missing -= set(await admin.list_topics())
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


def _topic(name: str) -> NewTopic:
    return NewTopic(name, PARTITIONS, 1, topic_configs={**CONFIGS[name], "retention.ms": "-1"})


async def write(kafka: KafkaSettings, registry: Registry, payments: Iterable[tuple[int, Payment]]) -> None:
    """Payments, each with its time, onto `payment_json`."""
    codec = (await payment_codecs(registry))[PAYMENT_JSON]
    async with AIOKafkaProducer(**kafka.client_options(), max_batch_size=BATCH_BYTES) as producer:
        await _send(producer, codec, payments)


async def _send(producer: AIOKafkaProducer, codec: PaymentCodec, payments: Iterable[tuple[int, Payment]]) -> None:
    """Full batches, partition by partition, each acknowledged before the next of its partition is sent."""
    batches = {number: producer.create_batch() for number in range(PARTITIONS)}
    under_way: dict[int, asyncio.Future[RecordMetadata]] = {}
    await producer.partitions_for(PAYMENT_JSON)

    async def send(number: int) -> None:
        if number in under_way:
            await under_way[number]
        under_way[number] = await producer.send_batch(batches[number], PAYMENT_JSON, partition=number)
        batches[number] = producer.create_batch()

    for at_ms, payment in payments:
        key = payor_key(payment.payor_account_no)
        number = partition_of(key, PARTITIONS)
        record = {"timestamp": at_ms, "key": key, "value": codec.encode(payment)}
        if batches[number].append(**record) is None:
            await send(number)
            batches[number].append(**record)
    for number in range(PARTITIONS):
        await send(number)
        await under_way[number]
