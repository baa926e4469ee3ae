"""Payments onto Kafka: acknowledged by all in-sync replicas, idempotent, bounded in memory and in time."""

import asyncio
from collections.abc import Iterable
from contextvars import Context
from itertools import accumulate

from aiohttp import web

from service.producer.connection import ProducerConnection
from service.producer.outcomes import NotAccepted, NotDelivered, TooManyInFlight
from service.producer.partition_queue import PartitionQueue, settle
from service.producer.records import Observer, Records

SWEEP_SECONDS = 0.05
RESPONSE_SECONDS = 0.25
"""Time for a response to be made and sent: it is to be out by the deadline."""
STUCK_SECONDS = 30.0


class PaymentProducer:
    """Takes records, and settles each within its deadline; `observer` learns all final outcomes, too."""

    def __init__(
        self, connection: ProducerConnection, *, linger: float, max_in_flight: int, max_in_flight_bytes: int
    ) -> None:
        """Start inside a running event loop; `linger` in seconds; `close` ends it."""
        self.observer: Observer | None = None
        self.in_flight = 0
        self.in_flight_bytes = 0
        self._connection = connection
        self._linger = linger
        self._max_in_flight = max_in_flight
        self._max_in_flight_bytes = max_in_flight_bytes
        self._queues: dict[tuple[str, int], PartitionQueue] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._sweeping = asyncio.create_task(self._sweep())

    def submit(self, records: Records) -> None:
        """Send records, and settle those at once that cannot be taken."""
        room = self._room(records)
        if room < records.count:
            reason = "too many payments are waiting for Kafka; this one was not accepted"
            self._settle(records.select(range(room, records.count)), TooManyInFlight(reason))
            if not room:
                return
            records = records.select(range(room))
        partitions = self._connection.partitions.get(records.topic, 0)
        if not partitions:
            reason = f"the payment was not accepted: not connected to Kafka: {self._connection.reason}"
            self._settle(records, NotAccepted(reason))
            return
        self.in_flight += records.count
        self.in_flight_bytes += records.size
        for partition, part in records.by_partition(partitions):
            queue = self._queues.get((part.topic, partition)) or self._open_queue(part.topic, partition)
            queue.append(part)

    async def close(self, seconds: float) -> None:
        """Wait so many seconds at most for what is in flight; then end. Submit nothing after this."""
        give_up_at = self._loop.time() + seconds
        while self.in_flight and self._loop.time() < give_up_at:  # noqa: ASYNC110 - an event would cost every payment
            await asyncio.sleep(SWEEP_SECONDS)
        for task in (self._sweeping, *self._tasks):
            task.cancel()
        await asyncio.gather(self._sweeping, *self._tasks, return_exceptions=True)
        for queue in self._queues.values():
            queue.expire(float("inf"))
        await self._connection.close(max(1.0, give_up_at - self._loop.time()))

    def _room(self, records: Records) -> int:
        """Count the rows that may be in flight beside those that are."""
        free_rows = max(0, self._max_in_flight - self.in_flight)
        free_bytes = self._max_in_flight_bytes - self.in_flight_bytes
        if records.count <= free_rows and records.size <= free_bytes:
            return records.count
        rows = zip(records.keys[:free_rows], records.values, strict=False)
        return sum(size <= free_bytes for size in accumulate(len(key) + len(value) for key, value in rows))

    def _settle(self, records: Records, outcome: NotDelivered) -> None:
        settle(records, outcome, self.observer)

    def _open_queue(self, topic: str, partition: int) -> PartitionQueue:
        queue = PartitionQueue(topic, partition, self._connection, self._linger, self._release, self.observer)
        self._queues[topic, partition] = queue
        # A context of its own: what it logs belongs to no request, least of all for ever to the first.
        task = asyncio.create_task(queue.run(), name=f"queue {topic}/{partition}", context=Context())
        self._tasks.add(task)
        return queue

    def _release(self, batch: Iterable[Records]) -> None:
        for records in batch:
            self.in_flight -= records.count
            self.in_flight_bytes -= records.size

    async def _sweep(self) -> None:
        """Hold every record to its deadline, and every producer to delivering something at all."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._loop.time()
            for queue in self._queues.values():
                queue.expire(now + RESPONSE_SECONDS)
                if queue.in_flight is not None and now - queue.in_flight.sent_at > STUCK_SECONDS:
                    self._connection.replace(queue.in_flight.producer)


PRODUCER = web.AppKey("producer", PaymentProducer)
