"""The records on their way to one partition: a queue, and one batch at a time in flight from it to Kafka.

aiokafka has one batch per partition in flight at a time; with a queue of our own before it, a record that waits stays
ours. At its deadline a record that has not been sent expires, and its client is told the truth: it was not accepted.
Only for a record in a batch that Kafka has not answered the outcome is unknown.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from schemas.errors import reason_of
from service.producer.connection import ProducerConnection
from service.producer.outcomes import (
    NeverAnswered,
    NotAccepted,
    NotDelivered,
    OutcomeUnknown,
    Receipt,
    Refused,
    TooLarge,
)
from service.producer.records import Observer, Records

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# The producer's state is broken, the records are not: nothing of the batch was appended, a new producer can send it.
PRODUCER_SPENT = (
    OutOfOrderSequenceNumber,
    UnknownProducerId,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    ProducerFenced,
)
MAX_BATCH_RECORDS = 1_000_000

log = structlog.get_logger(__name__)


class NotQueued(Exception):
    """aiokafka did not take the batch; nothing of it was sent."""


@dataclass
class Batch:
    """Records in flight: sent in one batch that Kafka has not answered yet; `sent_at` on the event loop's clock."""

    records: list[Records]
    producer: AIOKafkaProducer
    sent_at: float


@dataclass
class PartitionQueue:
    """The queue of one partition. `run` is its task; `expire` is called from outside, a few times a second."""

    topic: str
    partition: int
    connection: ProducerConnection
    linger: float
    """Seconds that the first record of a batch waits for company."""
    release: Callable[[Iterable[Records]], None]
    """Called with records that have left the queue for good."""
    observer: Observer | None = None
    queue: deque[Records] = field(default_factory=deque)
    in_flight: Batch | None = None
    max_records: int = MAX_BATCH_RECORDS
    """Records in the next batch: halved after a batch was refused as too large, doubled after each acknowledgement, so
    that the one at fault ends up alone."""
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, records: Records) -> None:
        """Queue records."""
        self.queue.append(records)
        if not self._filled.is_set():
            self._filled.set()

    def expire(self, now: float) -> None:
        """Settle all records whose deadline has passed, and take back those that were never sent."""
        if self.in_flight is not None:
            for records in self.in_flight.records:
                if records.delivery.deadline <= now and not records.has_response:
                    self._settle(records, OutcomeUnknown(_UNKNOWN))
        expired = []
        while self.queue and self.queue[0].delivery.deadline <= now:
            expired.append(self.queue.popleft())
        self._give_up(expired, NotAccepted(_NOT_SENT))

    async def run(self) -> None:
        """Send what is queued, batch after batch, for ever."""
        while True:
            await self._filled.wait()
            if self.linger:
                await asyncio.sleep(self.linger)
            while self.queue:
                await self._send_batch(await self.connection.producer())
            self._filled.clear()

    async def _send_batch(self, producer: AIOKafkaProducer) -> None:
        builder, queued = self._fill_batch(producer)
        if not queued:
            return
        self.in_flight = batch = Batch(queued, producer, asyncio.get_running_loop().time())
        try:
            metadata = await self._deliver(producer, builder)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the queue goes on and the records are settled
            self._fail(batch, error)
        else:
            self.max_records = min(self.max_records * 2, MAX_BATCH_RECORDS)
            self._acknowledge(batch, metadata)
        finally:
            self.in_flight = None

    def _fill_batch(self, producer: AIOKafkaProducer) -> tuple[BatchBuilder, list[Records]]:
        """Fill a batch from the head of the queue, as large as it may be; its first record always fits."""
        builder = producer.create_batch()
        queued: list[Records] = []
        room = self.max_records
        while self.queue and room:
            records = self.queue.popleft()
            rows = _append_rows(builder, records, room)
            room -= rows
            if rows < records.count:
                room = 0
                if not rows:
                    self.queue.appendleft(records)
                    break
                records, remainder = records.split(rows)
                self.queue.appendleft(remainder)
            queued.append(records)
        builder.close()
        return builder, queued

    async def _deliver(self, producer: AIOKafkaProducer, builder: BatchBuilder) -> RecordMetadata:
        try:
            future = await producer.send_batch(builder, self.topic, partition=self.partition)
        except (KafkaError, AssertionError, TypeError) as error:
            # The last two are aiokafka's, when the topic has lost the partition, or itself.
            raise NotQueued(reason_of(error)) from error
        metadata: RecordMetadata = await future
        return metadata

    def _acknowledge(self, batch: Batch, metadata: RecordMetadata) -> None:
        offset = metadata.offset
        for records in batch.records:
            # The broker answers with a timestamp only where the topic is set to LogAppendTime.
            timestamp = metadata.timestamp if metadata.timestamp_type == 1 else records.timestamp
            first_receipt = Receipt(self.partition, offset, timestamp)
            records.delivery.settle_all(records.positions, records.receipts(first_receipt))
            if self.observer is not None:
                self.observer.acknowledge(records, first_receipt)
            offset += records.count
        self.release(batch.records)

    def _fail(self, batch: Batch, error: Exception) -> None:
        size = sum(records.count for records in batch.records)
        log.warning("batch failed", topic=self.topic, partition=self.partition, records=size, error=repr(error))
        # Whatever the reason: aiokafka has counted sequence numbers that the broker has not (see `connection`).
        self.connection.replace(batch.producer)
        match error:
            case NotQueued():
                self._reenqueue(batch.records)
            case _ if isinstance(error, PRODUCER_SPENT):
                self._reenqueue(batch.records)
            case _ if isinstance(error, TOO_LARGE) and size > 1:
                self.max_records = size // 2
                self._reenqueue(batch.records)
            case _ if isinstance(error, TOO_LARGE):
                self._give_up(batch.records, TooLarge(_TOO_LARGE))
            case InvalidTimestampError():
                self._give_up(batch.records, Refused(_CLOCKS_DIFFER))
            case BrokerResponseError() if not error.retriable:
                reason = f"Kafka refused the payment, it was not accepted: {error.description}"
                self._give_up(batch.records, Refused(reason))
            case _:
                self._give_up(batch.records, NeverAnswered(_UNKNOWN))

    def _reenqueue(self, batch: list[Records]) -> None:
        """Queue records again, in their order and at the head, but for those whose client has its response."""
        self.queue.extendleft(reversed([records for records in batch if not records.has_response]))
        self._give_up([records for records in batch if records.has_response], NotAccepted(_NOT_SENT))

    def _give_up(self, batch: list[Records], outcome: NotDelivered) -> None:
        for records in batch:
            self._settle(records, outcome)
        if batch:
            self.release(batch)

    def _settle(self, records: Records, outcome: NotDelivered) -> None:
        """Settle records; after OutcomeUnknown there may be more to report."""
        settle(records, outcome, self.observer)


def settle(records: Records, outcome: NotDelivered, observer: Observer | None) -> None:
    """Report an outcome to the client and to the observer; the latter is spared one that is not final."""
    records.settle(outcome)
    if observer is None:
        return
    if isinstance(outcome, NeverAnswered):
        observer.doubt(records, outcome)
    elif not isinstance(outcome, OutcomeUnknown):
        observer.reject(records, outcome)


def _append_rows(builder: BatchBuilder, records: Records, max_rows: int) -> int:
    """Append rows to a batch, in order, as far as there is room; returns how many went in."""
    append, timestamp, headers = builder.append, records.timestamp, records.delivery.headers
    for row, (key, value) in enumerate(zip(records.keys, records.values, strict=True)):
        if row == max_rows or append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            return row
    return records.count


_NOT_SENT = "Kafka was not ready to take the payment before the deadline; it was not accepted, send it again"
_TOO_LARGE = "Kafka refused the payment, it was not accepted: it is larger than the topic's max.message.bytes"
_CLOCKS_DIFFER = (
    "Kafka refused the payment, it was not accepted: the clocks of this service and of Kafka are further apart than "
    "the topic's message.timestamp.after.max.ms; once they are right, send it again"
)
_UNKNOWN = (
    "Kafka did not acknowledge the payment before the deadline; it may have been accepted, or may yet be: "
    "retry with the same id"
)
