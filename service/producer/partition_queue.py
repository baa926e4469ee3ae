"""The payments on their way to one partition: a queue, and one batch at a time from it to Kafka.

aiokafka has one batch per partition in flight at a time; with a queue of our own before it, what waits stays ours. At
its deadline a payment that has not been sent is taken back, and its client told the truth: it was not accepted. Only
what is inside a batch that Kafka has not answered is unknown.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
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
from service.producer.connection import ProducerConnection, Wire
from service.producer.outcomes import NeverAnswered, NotAccepted, NotDelivered, OutcomeUnknown, Refused, TooLarge
from service.producer.pending_records import Parcel

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# The producer's state is broken, the records are not: nothing of the batch was appended, a new producer can send it.
PRODUCER_SPENT = (
    OutOfOrderSequenceNumber,
    UnknownProducerId,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    ProducerFenced,
)
NO_LIMIT = 1_000_000

log = structlog.get_logger(__name__)


class NotQueued(Exception):
    """aiokafka did not take the batch; nothing of it was sent."""


@dataclass
class Sent:
    """A batch that Kafka has not answered yet."""

    parcels: list[Parcel]
    wire: Wire
    since: float


@dataclass
class Lane:
    """One partition's queue. `run` is its task; `expire` is called from outside, a few times a second."""

    topic: str
    partition: int
    connection: ProducerConnection
    linger: float
    """Seconds that a first payment waits for company."""
    release: Callable[[list[Parcel]], None]
    """Called with parcels that have left the lane for good."""
    queue: deque[Parcel] = field(default_factory=deque)
    sent: Sent | None = None
    at_most: int = NO_LIMIT
    """Payments in the next batch: halved after a batch was refused as too large, doubled after each that got through,
    so that the one at fault ends up alone."""
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, parcel: Parcel) -> None:
        """Queue payments."""
        self.queue.append(parcel)
        if not self._filled.is_set():
            self._filled.set()

    def expire(self, now: float) -> None:
        """Answer every payment whose deadline has passed, and take back those that were never sent."""
        if self.sent is not None:
            for parcel in self.sent.parcels:
                if parcel.deadline > now:
                    break
                if not parcel.answered:
                    parcel.settle(OutcomeUnknown(_UNKNOWN))
        expired = []
        while self.queue and self.queue[0].deadline <= now:
            expired.append(self.queue.popleft())
        self._give_up(expired, NotAccepted(_NOT_SENT))

    async def run(self) -> None:
        """Send what is queued, batch after batch, for ever."""
        while True:
            await self._filled.wait()
            if self.linger:
                await asyncio.sleep(self.linger)
            while self.queue:
                await self._send_one_batch(await self.connection.get())
            self._filled.clear()

    async def _send_one_batch(self, wire: Wire) -> None:
        batch, parcels = self._fill(wire)
        if not parcels:
            return
        self.sent = Sent(parcels, wire, asyncio.get_running_loop().time())
        try:
            receipt = await self._deliver(wire, batch)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the lane goes on and the payments are answered
            self._failed(error, wire, parcels)
        else:
            self.at_most = min(self.at_most * 2, NO_LIMIT)
            self._acknowledged(receipt, parcels)
        finally:
            self.sent = None

    def _fill(self, wire: Wire) -> tuple[BatchBuilder, list[Parcel]]:
        """A batch from the head of the queue, as large as it may be; its first payment always fits."""
        batch = wire.producer.create_batch()
        parcels: list[Parcel] = []
        room = self.at_most
        while self.queue and room:
            parcel = self.queue.popleft()
            fitting = parcel.fill(batch, room)
            room -= fitting
            if fitting < len(parcel.payments):
                parcel, rest = parcel.split(fitting)
                self.queue.appendleft(rest)
                room = 0
            if fitting:
                parcels.append(parcel)
        batch.close()
        return batch, parcels

    async def _deliver(self, wire: Wire, batch: BatchBuilder) -> RecordMetadata:
        try:
            future = await wire.producer.send_batch(batch, self.topic, partition=self.partition)
        except (KafkaError, AssertionError, TypeError) as error:
            # The last two are aiokafka's, when the topic has lost the partition, or itself.
            raise NotQueued(reason_of(error)) from error
        receipt: RecordMetadata = await future
        return receipt

    def _acknowledged(self, receipt: RecordMetadata, parcels: list[Parcel]) -> None:
        offset = receipt.offset
        for parcel in parcels:
            # The broker answers with a timestamp only where the topic is set to LogAppendTime.
            appended_at = receipt.timestamp if receipt.timestamp_type == 1 else parcel.timestamp
            parcel.acknowledge(self.partition, offset, appended_at)
            offset += len(parcel.payments)
        self.release(parcels)

    def _failed(self, error: Exception, wire: Wire, parcels: list[Parcel]) -> None:
        number = sum(len(parcel.payments) for parcel in parcels)
        log.warning("batch failed", topic=self.topic, partition=self.partition, records=number, error=repr(error))
        # Whatever the reason: aiokafka has counted sequence numbers that the broker has not (see `connection`).
        self.connection.replace(wire)
        match error:
            case NotQueued():
                self._put_back(parcels)
            case _ if isinstance(error, PRODUCER_SPENT):
                self._put_back(parcels)
            case _ if isinstance(error, TOO_LARGE) and number > 1:
                self.at_most = number // 2
                self._put_back(parcels)
            case _ if isinstance(error, TOO_LARGE):
                self._give_up(parcels, TooLarge(_TOO_LARGE))
            case InvalidTimestampError():
                self._give_up(parcels, Refused(_CLOCKS_DIFFER))
            case BrokerResponseError() if not error.retriable:
                self._give_up(parcels, Refused(f"Kafka refused the payment, it was not accepted: {error.description}"))
            case _:
                self._give_up(parcels, NeverAnswered(_UNKNOWN))

    def _put_back(self, parcels: list[Parcel]) -> None:
        """Queue them again, in their order and before the others, but for those whose client has been answered."""
        self.queue.extendleft(reversed([parcel for parcel in parcels if not parcel.answered]))
        self._give_up([parcel for parcel in parcels if parcel.answered], NotAccepted(_NOT_SENT))

    def _give_up(self, parcels: list[Parcel], outcome: NotDelivered) -> None:
        for parcel in parcels:
            parcel.settle(outcome)
        if parcels:
            self.release(parcels)


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
