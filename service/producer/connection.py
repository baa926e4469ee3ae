"""The aiokafka producer in use, and its replacement.

An idempotent producer cannot go on after Kafka refused one of its batches: aiokafka has counted the batch's sequence
numbers, the broker has not, and every later batch to that partition fails with OutOfOrderSequenceNumber. The way out is
a new producer with a new id (KIP-98), while the old one delivers what it still holds.
"""

import asyncio

import stamina
import structlog
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError, reason_of
from schemas.kafka.connect import start_client, started
from schemas.kafka.provisioning import TopicSettings, create_topics
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.stop import abandon_producer, stop_producer
from schemas.kafka.topics import (
    PAYMENT_LATE,
    PAYMENT_REPEATED,
    RAW_TOPICS,
    REVIEW_DECISIONS,
    REVIEW_QUEUE,
    REVIEW_VIEWS,
)

CONNECT_SECONDS = 10.0
FAILED = (TimeoutError, KafkaError, RuntimeError)
"""Errors of a producer that does not stop in time: uvloop raises the last, where a closed connection is written to."""

log = structlog.get_logger(__name__)


class ProducerConnection:
    """Keeps one producer connected, from now on until `close`."""

    def __init__(
        self, kafka: KafkaSettings, topics: TopicSettings, *, max_batch_bytes: int, abandon_after: float
    ) -> None:
        """`abandon_after`: seconds that a replaced producer gets to deliver what it still holds."""
        self._kafka = kafka
        self._topics = topics
        self._max_batch_bytes = max_batch_bytes
        self._abandon_after = abandon_after
        self._producer: asyncio.Future[AIOKafkaProducer] = asyncio.get_running_loop().create_future()
        self._connecting = asyncio.create_task(self._connect())
        self._retiring: set[asyncio.Task[None]] = set()
        self.replaced = 0
        self.partitions: dict[str, int] = {}
        """Partitions of each raw topic when Kafka was last reached; empty before."""
        self.reason: str | None = "still connecting"

    @property
    def current(self) -> AIOKafkaProducer | None:
        """The producer in use, if there is one at this moment."""
        return self._producer.result() if self._producer.done() else None

    async def producer(self) -> AIOKafkaProducer:
        """Return the producer in use; waits until there is one."""
        return self.current or await asyncio.shield(self._producer)

    def replace(self, producer: AIOKafkaProducer) -> None:
        """Start a new producer in the place of this one; does nothing where that has been done."""
        if self.current is not producer:
            return
        self.replaced += 1
        self._producer = asyncio.get_running_loop().create_future()
        self._connecting = asyncio.create_task(self._connect())
        retiring = asyncio.create_task(self._retire(producer, self._producer))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def ping(self, seconds: float) -> None:
        """Ask Kafka for its metadata; raises BrokerError if no answer comes in time."""
        producer = self.current
        if producer is None:
            raise BrokerError(f"not connected to Kafka: {self.reason}")
        try:
            async with asyncio.timeout(seconds):
                await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as error:
            raise BrokerError(f"Kafka does not answer: {str(error) or 'nothing came in time'}") from None

    async def close(self, seconds: float) -> None:
        """Deliver what is left, but no longer than that; then let go."""
        self._connecting.cancel()
        await asyncio.gather(self._connecting, return_exceptions=True)
        if self.current is not None:
            await stop_producer(self.current, seconds)
        for retiring in self._retiring:
            retiring.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    async def _connect(self) -> None:
        producer = await self._open_until_it_works()
        self.reason = None
        self._producer.set_result(producer)

    async def _open_until_it_works(self) -> AIOKafkaProducer:
        async for attempt in stamina.retry_context(
            on=Exception, attempts=None, timeout=None, wait_max=2.0, wait_jitter=0.2
        ):
            with attempt:
                try:
                    return await self._open()
                except Exception as error:
                    reason = reason_of(error)
                    if reason != self.reason:  # else it would be said every two seconds
                        log.warning("not connected to Kafka", reason=reason)
                    self.reason = reason
                    raise
        raise AssertionError("unreachable: attempts have no limit")

    async def _open(self) -> AIOKafkaProducer:
        async with asyncio.timeout(CONNECT_SECONDS):
            if self.replaced == 0:
                await create_topics(
                    self._kafka,
                    self._topics,
                    (*RAW_TOPICS, REVIEW_QUEUE, PAYMENT_LATE, PAYMENT_REPEATED, REVIEW_DECISIONS, REVIEW_VIEWS),
                )
            max_batch_bytes = await self._allowed_batch_bytes()
        # aiokafka's own request timeout says when a silent connection is given up; sends are retried, never expire.
        producer = AIOKafkaProducer(
            **self._kafka.client_options(),
            enable_idempotence=True,
            acks="all",
            max_batch_size=max_batch_bytes,
            request_timeout_ms=10_000,
            metadata_max_age_ms=60_000,
        )
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await start_client(producer, self._kafka)
                self.partitions = {topic: len(await producer.partitions_for(topic)) for topic in RAW_TOPICS}
        except BaseException:
            await abandon_producer(producer)
            raise
        log.info("producer connected", max_batch_bytes=max_batch_bytes)
        return producer

    async def _allowed_batch_bytes(self) -> int:
        """Ask for the size of batch that every raw topic takes."""
        resources = [
            ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": None}) for topic in RAW_TOPICS
        ]
        client = AIOKafkaAdminClient(**self._kafka.client_options(), request_timeout_ms=5_000)
        async with started(client, self._kafka) as admin:
            answers = await admin.describe_configs(resources)
        limits = [
            int(value)
            for answer in answers
            for _, _, _, _, entries in answer.resources
            for name, value, *_ in entries
            if name == "max.message.bytes"
        ]
        return min([self._max_batch_bytes, *limits])

    async def _retire(self, producer: AIOKafkaProducer, successor: asyncio.Future[AIOKafkaProducer]) -> None:
        """Let a replaced producer deliver what it holds. Its time runs from when Kafka is known to be there again."""
        try:
            stopping = asyncio.create_task(producer.stop())
            await asyncio.wait([stopping, successor], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait_for(stopping, self._abandon_after)
        except FAILED as error:
            log.warning("producer abandoned", reason=str(error) or "it delivered nothing in time")
            await abandon_producer(producer)
        except asyncio.CancelledError:
            await abandon_producer(producer)
            raise


CONNECTION = web.AppKey("connection", ProducerConnection)
