"""Reads cases, decisions, what was late or repeated, and the sink topics of a second engine, into the view."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

import stamina
import structlog
from aiohttp import web
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from fraud.comparison.rows import SINK, RowError, cases_of_repeated
from fraud.rules import Rule
from schemas.errors import BrokerError, reason_of
from schemas.kafka.connect import started
from schemas.kafka.failures import reason_to_retry
from schemas.kafka.reading import refresh_metadata
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topic_identity import TopicIdentity, topic_identity
from schemas.kafka.topics import PAYMENT_LATE, PAYMENT_REPEATED, REVIEW_DECISIONS, REVIEW_QUEUE
from service.queue.agreement import KsqldbRow, read_ksqldb
from service.queue.batch import TopicRecord
from service.queue.database import Damaged
from service.queue.view import QueueView

TOPICS = (REVIEW_QUEUE, REVIEW_DECISIONS, PAYMENT_LATE, PAYMENT_REPEATED)
POLL_MS = 500
MAX_RECORDS = 10_000
"""In a batch: behind a backlog, a subject is folded once a batch."""
CHECK_SECONDS = 5.0
WAKE_SECONDS = 1.0
"""Interval at which snoozes are looked at whose time may be over."""
FORGET_SECONDS = 60.0
"""Interval at which the places are forgotten where lines stood long ago."""

PASSING = (Damaged, sqlite3.OperationalError)
"""Errors beside Kafka's after which it is tried again: the file is made anew, the disk is full."""

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Silent(BrokerError):
    """A topic has more than was read, and nothing comes: the consumer has to be replaced."""


class QueueReader:
    """Keeps a view up to date.

    It reads all partitions without a consumer group: where it stands is kept in the view itself, in the transaction of
    the cases, so that a restart goes on from there.
    """

    def __init__(self, kafka: KafkaSettings, view: QueueView, rules: Sequence[Rule] = ()) -> None:
        """`rules` are those of which ksqlDB's rows are read as well; its topics may come later."""
        self.caught_up = False
        """True once the view holds all that the topics did when reading began; under load there is always more."""
        self.reason: str | None = "still reading the topic"
        """Why the reader is not at work, or None if it is."""
        self.lag = 0
        """Records on the topics that are not in the view; as of the last check."""
        self.applied = 0
        self.bad = 0
        self._kafka = kafka
        self._view = view
        self._sinks = {SINK + rule.name: rule for rule in rules}
        self._source: dict[str, str] = {}
        self._damaged = False
        self._checks = 0
        self._hurry = False
        self._read_to: dict[TopicPartition, int] = {}
        self._goal: dict[TopicPartition, int] = {}
        self._moved = asyncio.Event()

    def rebuild(self) -> None:
        """Make the view anew: somebody who read it found it damaged."""
        self._damaged = True

    @property
    def sinks(self) -> list[str]:
        """Topics of the second engine."""
        return list(self._sinks)

    @property
    def awaited(self) -> list[str]:
        """Topics of ksqlDB's that are not there yet."""
        return [sink for sink in self._sinks if sink not in self._source]

    async def run(self) -> None:
        """Read until cancelled."""
        async for attempt in stamina.retry_context(
            on=Exception, attempts=None, timeout=None, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                try:
                    await self._read_until_it_fails()
                except (Exception, asyncio.CancelledError) as error:
                    self._interrupted(reason_to_retry(error, *PASSING))
                    raise BrokerError("reading is interrupted") from error

    def _interrupted(self, reason: str) -> None:
        if reason != self.reason:
            log.warning("reading the review queue is interrupted", reason=reason)
        self.reason = reason

    async def _read_until_it_fails(self) -> None:
        # Fetches return as soon as there is anything; the wait is only how long an idle one stays open.
        client = AIOKafkaConsumer(
            **self._kafka.client_options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=POLL_MS,
            request_timeout_ms=10_000,
            metadata_max_age_ms=60_000,
        )
        try:
            async with started(client, self._kafka) as consumer:
                await self._begin(consumer)
                await self._follow(consumer)
        except (OffsetOutOfRangeError, Damaged) as error:
            log.warning("the review queue's view is made anew", reason=reason_of(error))
            self.caught_up = False
            self._damaged = False
            await asyncio.to_thread(self._view.rebuild)
            raise

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        identities = await self._identities(consumer)
        partitions = [
            TopicPartition(topic, n) for topic, identity in identities.items() for n in range(identity.partitions)
        ]
        self._source = _source(identities)
        read_to = await asyncio.to_thread(self._view.positions, self._source)
        consumer.assign(partitions)
        self._goal = await consumer.end_offsets(partitions)
        beginnings = await consumer.beginning_offsets(partitions)
        self._read_to = {at: max(read_to.get(at, 0), beginnings[at]) for at in partitions}
        for partition, offset in self._read_to.items():
            consumer.seek(partition, offset)

    async def _identities(self, consumer: AIOKafkaConsumer) -> dict[str, TopicIdentity]:
        """The topics that are there to be read; raises BrokerError where one that must be is not."""
        there = await consumer.topics() if self._sinks else set()
        topics = [*TOPICS, *(sink for sink in self._sinks if sink in there)]
        return {topic: await topic_identity(consumer, topic) for topic in topics}

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        await self._check(consumer)
        checked_at = heard_at = time.monotonic()
        woken_at = forgotten_at = -FORGET_SECONDS
        while True:
            if self._damaged:
                raise Damaged("a reader found it so")
            batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            now = time.monotonic()
            if now - woken_at > WAKE_SECONDS:
                await asyncio.to_thread(self._view.wake)
                woken_at = now
            if now - forgotten_at > FORGET_SECONDS:
                await asyncio.to_thread(self._view.forget_past)
                forgotten_at = now
            if batches:
                await self._apply(batches)
                heard_at = now
            # Until the view has caught up, every batch may be the one that completes it.
            if now - checked_at > CHECK_SECONDS or self._hurry or not self.caught_up:
                await self._check(consumer)
                if now - checked_at > CHECK_SECONDS and self._sinks:
                    await self._check_sinks(consumer)
                checked_at = now
                if self.lag and now - heard_at > 2 * CHECK_SECONDS:
                    raise Silent(f"{self.lag} records of {' and '.join(TOPICS)} are not delivered")

    async def _apply(self, batches: dict[TopicPartition, list]) -> None:  # type: ignore[type-arg]
        records: dict[str, list[TopicRecord]] = {REVIEW_QUEUE: [], REVIEW_DECISIONS: []}
        late: list[str] = []
        repeated: list[str] = []
        ksqldb: list[KsqldbRow] = []
        for partition, batch in batches.items():
            if partition.topic in records:
                records[partition.topic] += [TopicRecord(at.partition, at.offset, at.key, at.value) for at in batch]
            elif rule := self._sinks.get(partition.topic):
                ksqldb += self._read_ksqldb(rule, batch)
            elif partition.topic == PAYMENT_REPEATED:
                repeated += chain.from_iterable(self._understood(batch, lambda record: cases_of_repeated(record.value)))
            else:
                late += [record.key.decode(errors="replace") for record in batch if record.key is not None]
        positions = {partition: batch[-1].offset + 1 for partition, batch in batches.items()}
        cases, decisions = records.values()
        self.bad += await asyncio.to_thread(self._view.apply, cases, positions, late, ksqldb, decisions, repeated)
        self.applied += len(cases)
        self._read_to |= positions
        self._moved.set()
        self._moved = asyncio.Event()

    def _read_ksqldb(self, rule: Rule, batch: list[ConsumerRecord]) -> Iterator[KsqldbRow]:
        return self._understood(batch, lambda at: read_ksqldb(rule, at.key, at.value, at.timestamp))

    def _understood(self, batch: list[ConsumerRecord], read: Callable[[ConsumerRecord], T]) -> Iterator[T]:
        """Read records; those that make no sense are counted, and the first is named in the log."""
        bad = []
        for record in batch:
            try:
                yield read(record)
            except RowError as error:
                bad.append(f"{record.topic}, partition {record.partition}, offset {record.offset}: {error}")
        if bad:
            log.warning("not understood", count=len(bad), first=bad[0])
            self.bad += len(bad)

    async def _check_sinks(self, consumer: AIOKafkaConsumer) -> None:
        """Begin anew where ksqlDB has made, or made again, a topic."""
        await refresh_metadata(consumer)
        if _source(await self._identities(consumer)) != self._source:
            raise BrokerError("the second engine's topics have changed")

    def topic_id(self, topic: str) -> str | None:
        """Return a topic's id; None before reading has begun."""
        return self._source.get(topic)

    async def read_to(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Return when the view holds everything before these offsets."""
        while any(self._read_to.get(partition, 0) < offset for partition, offset in offsets.items()):
            await self._moved.wait()

    async def check_now(self) -> None:
        """Return when the view has held all that the topics did at this moment."""
        before = self._checks
        while self._checks < before + 2 or self.lag:
            self._hurry = True
            await asyncio.sleep(POLL_MS / 1000)

    async def _check(self, consumer: AIOKafkaConsumer) -> None:
        """Records between the consumer and the topic's end."""
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        positions = {at: await consumer.position(at) for at in partitions}
        self.lag = sum(max(0, ends[at] - positions[at]) for at in partitions)
        self.reason = None
        self._hurry = False
        self._checks += 1
        if all(positions[at] >= end for at, end in self._goal.items()):
            self.caught_up = True


QUEUE_READER = web.AppKey("queue_reader", QueueReader)


def _source(identities: Mapping[str, TopicIdentity]) -> dict[str, str]:
    """Source of the view: the cluster, and the id of each topic."""
    [cluster] = {identity.cluster_id for identity in identities.values()}
    return {"cluster_id": cluster, **{topic: identity.topic_id for topic, identity in identities.items()}}
