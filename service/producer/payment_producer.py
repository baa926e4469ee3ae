"""Payments onto Kafka: acknowledged by all in-sync replicas, idempotent, bounded in memory and in time."""

import asyncio
import time
from contextvars import Context
from itertools import accumulate

import structlog
from aiohttp import web

from schemas.kafka.partitioning import partition_of
from service.producer.connection import ProducerConnection
from service.producer.outcomes import Delivery, NotAccepted, TooManyInFlight
from service.producer.partition_queue import Lane
from service.producer.pending_records import Observer, Outgoing, Parcel

SWEEP_SECONDS = 0.05
# An answer is to be out by the deadline, not to be thought of.
ANSWER_SECONDS = 0.25
STUCK_SECONDS = 30.0

log = structlog.get_logger(__name__)


class PaymentProducer:
    """Takes payments, and says of each what became of it, within the deadline."""

    def __init__(
        self,
        connection: ProducerConnection,
        *,
        deadline: float,
        linger: float,
        max_in_flight: int,
        max_in_flight_bytes: int,
    ) -> None:
        """`deadline` and `linger` in seconds. Call it inside a running event loop; `close` ends it."""
        self.in_flight = 0
        self.in_flight_bytes = 0
        self._connection = connection
        self._deadline = deadline
        self._linger = linger
        self._max_in_flight = max_in_flight
        self._max_in_flight_bytes = max_in_flight_bytes
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._sweeping = asyncio.create_task(self._sweep())

    def submit(self, client: Delivery, topic: str, payments: list[Outgoing], observer: Observer | None = None) -> None:
        """Send payments; who wants to know is told what became of each, at once where it cannot be taken."""
        timestamp, deadline = int(time.time() * 1000), self._loop.time() + self._deadline
        together = Parcel(client, payments, timestamp, deadline, observer)
        fitting = self._fitting(together)
        if fitting < len(payments):
            together, rest = together.split(fitting)
            rest.settle(TooManyInFlight("too many payments are waiting for Kafka; this one was not accepted"))
        partitions = self._connection.partitions.get(topic, 0)
        if not partitions:
            reason = self._connection.reason
            together.settle(NotAccepted(f"the payment was not accepted: not connected to Kafka: {reason}"))
            return
        by_partition: dict[int, list[Outgoing]] = {}
        for each in together.payments:
            by_partition.setdefault(partition_of(each.payor, partitions), []).append(each)
        for partition, some in by_partition.items():
            parcel = Parcel(client, some, timestamp, deadline, observer)
            self.in_flight += len(some)
            self.in_flight_bytes += parcel.size
            lane = self._lanes.get((topic, partition)) or self._open_lane(topic, partition)
            lane.add(parcel)

    def _fitting(self, parcel: Parcel) -> int:
        """How many of its payments may be in flight beside those that are."""
        room = self._max_in_flight - self.in_flight
        bytes_left = self._max_in_flight_bytes - self.in_flight_bytes
        if len(parcel.payments) <= room and parcel.size <= bytes_left:
            return len(parcel.payments)
        sizes = accumulate(len(each.payor) + len(each.value) for each in parcel.payments[: max(0, room)])
        return sum(size <= bytes_left for size in sizes)

    async def close(self) -> None:
        """Wait for what is in flight, at most until its deadline; then end. Submit nothing after this."""
        give_up = self._loop.time() + self._deadline
        while self.in_flight and self._loop.time() < give_up:  # noqa: ASYNC110 - an event would cost every payment
            await asyncio.sleep(SWEEP_SECONDS)
        for task in (self._sweeping, *self._tasks):
            task.cancel()
        await asyncio.gather(self._sweeping, *self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            lane.expire(float("inf"))
        await self._connection.close(max(1.0, give_up - self._loop.time()))

    def _open_lane(self, topic: str, partition: int) -> Lane:
        lane = Lane(topic, partition, self._connection, self._linger, self._release)
        self._lanes[topic, partition] = lane
        # A context of its own: what it logs belongs to no request, least of all for ever to the first.
        task = asyncio.create_task(lane.run(), name=f"lane {topic}/{partition}", context=Context())
        self._tasks.add(task)
        return lane

    def _release(self, parcels: list[Parcel]) -> None:
        self.in_flight -= sum(len(parcel.payments) for parcel in parcels)
        self.in_flight_bytes -= sum(parcel.size for parcel in parcels)

    async def _sweep(self) -> None:
        """Hold every payment to its deadline, and every producer to delivering something at all."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._loop.time()
            for lane in self._lanes.values():
                lane.expire(now + ANSWER_SECONDS)
                if lane.sent is not None and now - lane.sent.since > STUCK_SECONDS:
                    self._connection.replace(lane.sent.wire)


PRODUCER = web.AppKey("producer", PaymentProducer)
