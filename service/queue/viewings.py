"""Viewings onto `review_views`: who looked at what of the queue, and when.

Nobody waits for them: they are put down, and written beside the answers. Those that wait are bounded, and so is the
time that Kafka has for them; what it did not acknowledge by then is counted, and said in the log.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import structlog
from aiohttp import web
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from schemas.kafka.topics import REVIEW_VIEWS
from schemas.payment import Time
from service.producer.connection import ProducerConnection
from service.producer.records import RecordHeaders

MAX_WAITING = 10_000
MAX_BATCH = 500

ViewedItem = Literal["case", "subject", "report", "payments", "payment", "queue"]
"""A case or a subject; a subject's report, or its table of payments; a payment's record; the table of the queue."""

_encode = msgspec.json.Encoder().encode

log = structlog.get_logger(__name__)


class Viewing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A record of `review_views`; `time` in ms since the epoch.

    `viewer` is the name that a token says, None where nobody asks for tokens. `filter` are the parameters by which a
    table of the queue was asked for.
    """

    time: Time
    item: ViewedItem
    viewer: str | None
    case_id: str | None = None
    subject_id: str | None = None
    payment_id: str | None = None
    filter: dict[str, str] | None = None

    @property
    def key(self) -> str:
        """The record's key."""
        return self.case_id or self.subject_id or self.item


class WaitingViewing(NamedTuple):
    """A viewing on its way, and its record's headers."""

    viewing: Viewing
    headers: RecordHeaders


class ViewingLog:
    """Writes viewings; `run` is its task."""

    def __init__(self, connection: ProducerConnection, deadline: float) -> None:
        """`deadline`: seconds for Kafka to acknowledge what is written together."""
        self._connection = connection
        self._deadline = deadline
        self._unwritten: asyncio.Queue[WaitingViewing] = asyncio.Queue(MAX_WAITING)
        self.lost = 0
        """Viewings that Kafka has not acknowledged: they may be recorded or not."""

    def put(self, viewing: Viewing, headers: RecordHeaders) -> None:
        """Put down a viewing to be written; waits for nothing."""
        try:
            self._unwritten.put_nowait(WaitingViewing(viewing, headers))
        except asyncio.QueueFull:
            self._lose(1, f"{MAX_WAITING:,} are waiting already")

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            batch = [await self._unwritten.get()]
            while len(batch) < MAX_BATCH and not self._unwritten.empty():
                batch.append(self._unwritten.get_nowait())
            try:
                await self._write(batch)
            finally:
                for _ in batch:
                    self._unwritten.task_done()

    async def drain(self) -> None:
        """Return when nothing waits any more, or the deadline is over."""
        try:
            async with asyncio.timeout(self._deadline):
                await self._unwritten.join()
        except TimeoutError:
            self._lose(self._unwritten.qsize(), "the service ends")

    async def _write(self, batch: Sequence[WaitingViewing]) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                producer = await self._connection.producer()
                reports = [
                    await producer.send(REVIEW_VIEWS, _encode(viewing), key=viewing.key.encode(), headers=headers)
                    for viewing, headers in batch
                ]
                try:
                    await asyncio.gather(*reports)
                except KafkaError as error:
                    # aiokafka has counted sequence numbers that the broker has not (see `connection`). Where we may not
                    # write at all, another producer is refused as well, and payments share it.
                    if not isinstance(error, TopicAuthorizationFailedError):
                        self._connection.replace(producer)
                    self._lose(len(batch), str(error))
        except KafkaError as error:
            self._lose(len(batch), str(error))
        except TimeoutError:
            self._lose(len(batch), f"no answer within {self._deadline:g} seconds")

    def _lose(self, number: int, reason: str) -> None:
        self.lost += number
        log.warning("viewings are not recorded", count=number, reason=reason)


VIEWING_LOG = web.AppKey("viewing_log", ViewingLog)
