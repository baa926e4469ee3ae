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

from service.connection import ProducerConnection, Wire
from service.deliveries import Acknowledged, Entry, NeverAnswered, NotAccepted, OutcomeUnknown, Refused, TooLarge

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

    entries: list[Entry]
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
    release: Callable[[list[Entry]], None]
    """Called with payments that have left the lane for good."""
    queue: deque[Entry] = field(default_factory=deque)
    sent: Sent | None = None
    at_most: int = NO_LIMIT
    """Records in the next batch: halved after a batch was refused as too large, doubled after each that got through, so
    that the one at fault ends up alone."""
    _filled: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, entry: Entry) -> None:
        """Queue a payment."""
        self.queue.append(entry)
        if not self._filled.is_set():
            self._filled.set()

    def expire(self, now: float) -> None:
        """Answer every payment whose deadline has passed, and take back those that were never sent."""
        if self.sent is not None:
            for entry in self.sent.entries:
                if entry.deadline > now:
                    break
                entry.settle(OutcomeUnknown(_UNKNOWN))
        expired = []
        while self.queue and self.queue[0].deadline <= now:
            entry = self.queue.popleft()
            entry.settle(NotAccepted(_NOT_SENT))
            expired.append(entry)
        if expired:
            self.release(expired)

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
        batch, entries = self._fill(wire)
        if not entries:
            return
        self.sent = Sent(entries, wire, asyncio.get_running_loop().time())
        try:
            receipt = await self._deliver(wire, batch)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the lane goes on and the payments are answered
            self._failed(error, wire, entries)
        else:
            self.at_most = min(self.at_most * 2, NO_LIMIT)
            self._acknowledged(receipt, entries)
        finally:
            self.sent = None

    def _fill(self, wire: Wire) -> tuple[BatchBuilder, list[Entry]]:
        """A batch from the head of the queue, as large as it may be."""
        batch = wire.producer.create_batch()
        queue = self.queue
        entries: list[Entry] = []
        while queue and len(entries) < self.at_most:
            entry = queue[0]
            taken = batch.append(
                timestamp=entry.timestamp, key=entry.key, value=entry.value, headers=entry.client.headers
            )
            if taken is None:
                break
            entries.append(queue.popleft())
        batch.close()
        return batch, entries

    async def _deliver(self, wire: Wire, batch: BatchBuilder) -> RecordMetadata:
        try:
            future = await wire.producer.send_batch(batch, self.topic, partition=self.partition)
        except (KafkaError, AssertionError, TypeError) as error:
            # The last two are aiokafka's, when the topic has lost the partition, or itself.
            raise NotQueued(str(error) or type(error).__name__) from error
        receipt: RecordMetadata = await future
        return receipt

    def _acknowledged(self, receipt: RecordMetadata, entries: list[Entry]) -> None:
        # The broker answers with a timestamp only where the topic is set to LogAppendTime.
        appended_at = receipt.timestamp if receipt.timestamp_type == 1 else None
        for offset, entry in enumerate(entries, receipt.offset):
            timestamp = entry.timestamp if appended_at is None else appended_at
            entry.settle(Acknowledged(self.partition, offset, timestamp))
        self.release(entries)

    def _failed(self, error: Exception, wire: Wire, entries: list[Entry]) -> None:
        log.warning("batch failed", topic=self.topic, partition=self.partition, records=len(entries), error=repr(error))
        # Whatever the reason: aiokafka has counted sequence numbers that the broker has not (see `connection`).
        self.connection.replace(wire)
        match error:
            case NotQueued():
                self._put_back(entries)
            case _ if isinstance(error, PRODUCER_SPENT):
                self._put_back(entries)
            case _ if isinstance(error, TOO_LARGE) and len(entries) > 1:
                self.at_most = len(entries) // 2
                self._put_back(entries)
            case _ if isinstance(error, TOO_LARGE):
                self._give_up(entries, TooLarge(_TOO_LARGE))
            case InvalidTimestampError():
                self._give_up(entries, Refused(_CLOCKS_DIFFER))
            case BrokerResponseError() if not error.retriable:
                self._give_up(entries, Refused(f"Kafka refused the payment, it was not accepted: {error.description}"))
            case _:
                self._give_up(entries, NeverAnswered(_UNKNOWN))

    def _put_back(self, entries: list[Entry]) -> None:
        """Queue them again, in their order and before the others, but for those whose client has been answered."""
        self.queue.extendleft(reversed([entry for entry in entries if not entry.answered]))
        dropped = [entry for entry in entries if entry.answered]
        for entry in dropped:
            entry.settle(NotAccepted(_NOT_SENT))
        self.release(dropped)

    def _give_up(self, entries: list[Entry], outcome: Refused | OutcomeUnknown) -> None:
        for entry in entries:
            entry.settle(outcome)
        self.release(entries)


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
