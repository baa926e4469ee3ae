"""Receipts from the topics: what a process that was killed left unwritten, what Kafka never answered, or all of them.

Run before payments are taken, and again whenever `Once` is unsure. One process of a service does it at a time.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web

from schemas.errors import PaymentError
from schemas.kafka.failures import reason_to_retry
from schemas.kafka.reading import offsets_at, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS, REQUEST_ID
from schemas.payment_reader import PaymentReader
from service.idempotency.deduplicator import NotKept, Once
from service.idempotency.fingerprints import fingerprint, key
from service.idempotency.processes import Owners
from service.producer.connection import ProducerConnection
from service.producer.outcomes import Acknowledged

# Brokers that set the time themselves may have another one.
MARGIN_SECONDS = 10.0
# What was sent to a broker that had stopped is appended as it goes on: let that be done before the topics are read.
SETTLE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
RECORDS_AT_A_TIME = 500
LOOK_SECONDS = 0.1
READING = "still reading which payments Kafka has"

log = structlog.get_logger(__name__)


class CatchUp:
    """Keeps `once` certain, from now on until `close`."""

    def __init__(
        self,
        once: Once,
        owners: Owners,
        connection: ProducerConnection,
        kafka: KafkaSettings,
        reader: PaymentReader,
        folder: Path,
        keep_seconds: float,
    ) -> None:
        self.reason = READING
        self._once = once
        self._owners = owners
        self._connection = connection
        self._kafka = kafka
        self._reader = reader
        self._lock = folder / "catching-up"
        self._keep_seconds = keep_seconds
        self._unsure_since: list[float] = []

    async def run(self) -> None:
        """Catch up whenever `once` is unsure, until cancelled."""
        pause = SETTLE_SECONDS
        while True:
            await self._connection.get()
            self._once.unsure.clear()
            if await self._succeeded():
                pause = SETTLE_SECONDS
                await self._once.unsure.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _succeeded(self) -> bool:
        """Catch up, and say whether that came to its end; else the reason is there and in the log."""
        try:
            await self._others_are_done()
            async with _alone(self._lock):
                await self._catch_up()
        except NotKept as error:
            self.reason = str(error)
            self._once.broken(error)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it raises what ends the work
            self.reason = reason_to_retry(error)
        else:
            return True
        log.warning("receipts cannot be read from the topics", reason=self.reason)
        return False

    async def _others_are_done(self) -> None:
        """A process that shares nothing follows one that may still have payments in flight: wait for its end."""
        while not self._once.shared and not self._once.ready and self._owners.others():
            self.reason = "the process before this one still has payments in flight"
            await asyncio.sleep(LOOK_SECONDS)

    async def _catch_up(self) -> None:
        once, owners = self._once, self._owners
        self.reason = READING
        earliest = time.time() - self._keep_seconds
        doubtful, dead = once.doubtful(), owners.dead()
        unsure_since = self._unsure_since
        unsure_since += [max(earliest, marked) for marked in dead.values()]
        # However long ago: what is in flight is remembered until it is known.
        unsure_since += [each.began for each in doubtful]
        if not once.usable:
            once.begin_anew()
            unsure_since.append(earliest)
        beginnings = once.beginnings
        if not (once.ready or unsure_since or owners.up_to_date()):
            unsure_since.append(earliest)
        if unsure_since:
            async for found in read_receipts(self._kafka, self._reader, min(unsure_since) - MARGIN_SECONDS):
                once.found(found)
        unsure_since.clear()
        owners.forget(dead)
        once.caught_up(doubtful, beginnings)


CATCH_UP = web.AppKey("catch_up", CatchUp)


async def read_receipts(
    kafka: KafkaSettings, reader: PaymentReader, since: float
) -> AsyncIterator[list[tuple[bytes, bytes, Acknowledged]]]:
    """The payments that were posted since a Unix time, as far as leaders have written them, by key and fingerprint.

    What somebody else wrote to the raw topics was not posted: it has no request's id. Raises KafkaError,
    RegistryUnavailable.
    """
    offsets = await offsets_at(kafka, RAW_TOPICS, int(1000 * max(0.0, since)))
    async for written in read_to_end(kafka, RAW_TOPICS, offsets, all_written=True):
        records = [record for record in written if any(name == REQUEST_ID for name, _ in record.headers)]
        await reader.learn(record.value for record in records)
        for at in range(0, len(records), RECORDS_AT_A_TIME):
            found = []
            for record in records[at : at + RECORDS_AT_A_TIME]:
                try:
                    payment = reader.read(record.topic, record.value)
                except PaymentError:
                    continue
                place = Acknowledged(record.partition, record.offset, record.timestamp)
                found.append((key(payment.id), fingerprint(record.topic, payment), place))
            yield found
            await asyncio.sleep(0)


@asynccontextmanager
async def _alone(lock: Path) -> AsyncIterator[None]:
    """Wait until no other process holds this lock, and hold it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(LOOK_SECONDS)
            else:
                break
        yield
    finally:
        os.close(descriptor)
