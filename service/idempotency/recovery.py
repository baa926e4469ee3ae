"""Receipts from the topics: those that a killed process left unwritten, that Kafka never confirmed, or all of them.

`Recovery` runs before payments are taken, and again whenever the state is uncertain: in one process at a time.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog
from aiohttp import web

from schemas.errors import PaymentError, UndertenError
from schemas.kafka.failures import reason_to_retry
from schemas.kafka.reading import offsets_at, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import RAW_TOPICS, REQUEST_ID
from schemas.payment_reader import PaymentReader
from service.idempotency.deduplicator import Deduplicator
from service.idempotency.fingerprints import fingerprint, id_bytes
from service.idempotency.processes import Processes
from service.idempotency.receipt_log import LOG_ERRORS
from service.idempotency.receipts import Receipts
from service.producer.connection import ProducerConnection
from service.producer.outcomes import NotAccepted, Receipt

# Brokers that set the time themselves may have another one.
MARGIN_SECONDS = 10.0
# Batches sent to a broker that had stopped are appended as it goes on: let that be done before the topics are read.
SETTLE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 30.0
BATCH_RECORDS = 500
POLL_SECONDS = 0.1
READING = "still reading which payments Kafka has"

PostedReceipt = tuple[bytes, bytes, Receipt]
"""A payment on the topics: id, fingerprint, and its receipt."""


class LogUnusable(UndertenError):
    """The files of the receipts are damaged, or their disk is full."""


log = structlog.get_logger(__name__)


async def read_receipts(
    kafka: KafkaSettings, reader: PaymentReader, since: float
) -> AsyncIterator[list[PostedReceipt]]:
    """Read the payments that were posted since a Unix time, as far as leaders have written them.

    A record of another producer on the raw topics was not posted: it has no request's id. Raises KafkaError,
    RegistryUnavailable.
    """
    offsets = await offsets_at(kafka, RAW_TOPICS, int(1000 * max(0.0, since)))
    async for batch in read_to_end(kafka, RAW_TOPICS, offsets, all_written=True):
        records = [record for record in batch if any(name == REQUEST_ID for name, _ in record.headers)]
        await reader.learn(records)
        for start in range(0, len(records), BATCH_RECORDS):
            receipts = []
            for record in records[start : start + BATCH_RECORDS]:
                try:
                    payment = reader.read(record)
                except PaymentError:
                    continue
                receipt = Receipt(record.partition, record.offset, record.timestamp)
                receipts.append((id_bytes(payment.id), fingerprint(record.topic, payment), receipt))
            yield receipts
            await asyncio.sleep(0)


class Recovery:
    """Keeps the deduplicator certain; `run` is its task."""

    def __init__(
        self,
        deduplicator: Deduplicator,
        receipts: Receipts,
        processes: Processes,
        connection: ProducerConnection,
        kafka: KafkaSettings,
        reader: PaymentReader,
        lock: Path,
        *,
        shared: bool,
    ) -> None:
        """Take the parts to keep certain, and the file that is locked by the process at it."""
        self.reason = READING
        self._deduplicator = deduplicator
        self._state = deduplicator.state
        self._receipts = receipts
        self._processes = processes
        self._connection = connection
        self._kafka = kafka
        self._reader = reader
        self._lock = lock
        self._shared = shared
        self._uncertain_since: list[float] = []

    async def run(self) -> None:
        """Recover whenever the state is uncertain, until cancelled."""
        pause = SETTLE_SECONDS
        while True:
            await self._connection.producer()
            self._state.uncertain.clear()
            if await self._succeeds():
                pause = SETTLE_SECONDS
                await self._state.uncertain.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE_SECONDS)

    async def _succeeds(self) -> bool:
        """Recover, and tell whether that came to its end; else the reason is there and in the log."""
        try:
            await self._await_predecessor()
            async with _exclusive(self._lock):
                await self._recover()
        except LogUnusable as error:
            self.reason = str(error)
            self._state.fail(error)
            self._state.ready = True
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it raises what ends the work
            self.reason = reason_to_retry(error)
        else:
            return True
        log.warning("receipts cannot be read from the topics", reason=self.reason)
        return False

    async def _await_predecessor(self) -> None:
        """Wait, where nothing is shared, for the end of a process that may still have payments in flight."""
        while not self._shared and not self._state.ready and self._processes.has_peers():
            self.reason = "the process before this one still has payments in flight"
            await asyncio.sleep(POLL_SECONDS)

    async def _recover(self) -> None:
        deduplicator, state = self._deduplicator, self._state
        self.reason = READING
        earliest = time.time() - self._receipts.keep_seconds
        doubtful, dead = deduplicator.doubts.all(), self._processes.dead()
        since = self._uncertain_since
        since += [max(earliest, marked_until) for marked_until in dead.values()]
        # However long ago: payments in flight are remembered until their outcome is known.
        since += [records.timestamp / 1000 for records in doubtful]
        if not state.usable:
            self._begin_anew()
            since.append(earliest)
        resets = state.resets
        if not (state.ready or since or self._processes.has_current_peers()):
            since.append(earliest)
        if since:
            async for receipts in read_receipts(self._kafka, self._reader, min(since) - MARGIN_SECONDS):
                self._keep(receipts)
        since.clear()
        self._processes.forget(dead)
        for records in deduplicator.doubts.deny(doubtful):
            deduplicator.reject(records, NotAccepted(_NOT_FOUND))
        state.finish(resets)

    def _begin_anew(self) -> None:
        """Throw damaged files away; nothing is taken until the topics were read."""
        with _log_errors():
            self._receipts.begin_anew()
        self._state.reset()
        self._processes.mark(0.0)
        self._state.usable = True

    def _keep(self, receipts: list[PostedReceipt]) -> None:
        with _log_errors():
            self._receipts.keep_first(receipts, lambda timestamp: time.time() - timestamp / 1000)
        for payment_id, payment_fingerprint, receipt in receipts:
            records = self._deduplicator.doubts.confirm(payment_id, payment_fingerprint)
            if records is not None:
                self._deduplicator.acknowledge(records, receipt)


RECOVERY = web.AppKey("recovery", Recovery)


@contextmanager
def _log_errors() -> Iterator[None]:
    """Tell the log's errors from those of Kafka's clients, which may be OSErrors, too."""
    try:
        yield
    except LOG_ERRORS as error:
        raise LogUnusable(str(error)) from error


@asynccontextmanager
async def _exclusive(lock: Path) -> AsyncIterator[None]:
    """Wait until no other process holds this lock, and hold it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(POLL_SECONDS)
            else:
                break
        yield
    finally:
        os.close(descriptor)


_NOT_FOUND = "the payment did not arrive at Kafka; it was not accepted, send it again"
