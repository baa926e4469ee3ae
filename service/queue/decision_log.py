"""Decisions onto `review_decisions`: each acknowledged by Kafka, and read back before its reviewer is answered.

Which of two decisions came first is for Kafka to say: both are written, the view takes in what the partition has
first, and so does every other process's view. So there is no lock to hold, and none to lose.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.errors import BrokerError
from schemas.kafka.topics import REVIEW_DECISIONS
from service.producer.connection import ProducerConnection
from service.producer.records import RecordHeaders
from service.queue.consumer import QueueReader
from service.queue.decisions import Decision
from service.queue.exemptions import Exemption
from service.queue.shared_ends import SharedEnds

MAX_WAIT_SECONDS = 2.0
"""For another process's decision to be read: after that, the view as it is is better than no answer."""

_encode = msgspec.json.Encoder().encode


class DecisionUnknown(BrokerError):
    """The decision was sent; whether it is on Kafka, and whether it stands, is not known in time."""


class DecisionLog:
    """Writes decisions, and waits until the view holds them."""

    def __init__(
        self, connection: ProducerConnection, reader: QueueReader, deadline: float, shared: SharedEnds | None = None
    ) -> None:
        """`deadline`: seconds for all of it; `shared`: the ends that the processes of one port have written."""
        self._connection = connection
        self._reader = reader
        self._deadline = deadline
        self._shared = shared

    async def write(self, decisions: Sequence[Decision | Exemption], headers: RecordHeaders) -> None:
        """Return when the view holds all of them; raises BrokerError, DecisionUnknown."""
        producer = self._connection.current
        if producer is None:
            raise BrokerError(f"not connected to Kafka: {self._connection.reason}")
        try:
            async with asyncio.timeout(self._deadline):
                reports = [
                    await producer.send(REVIEW_DECISIONS, _encode(decision), key=decision.key.encode(), headers=headers)
                    for decision in decisions
                ]
                records = await asyncio.gather(*reports)
                # In order of their offsets, so that of each partition the last one stays.
                ends = dict(sorted((record.partition, record.offset + 1) for record in records))
                if self._shared is not None and (topic_id := self._reader.topic_id(REVIEW_DECISIONS)):
                    with contextlib.suppress(OSError):  # the decision is on Kafka; others see it a moment later
                        self._shared.put(topic_id, ends)
                await self._read_to(ends)
        except KafkaError as error:
            # aiokafka has counted sequence numbers that the broker has not (see `connection`).
            self._connection.replace(producer)
            raise BrokerError(f"Kafka did not take the decision: {error}") from None
        except TimeoutError:
            raise DecisionUnknown(
                f"the decision may be recorded or not: no answer within {self._deadline:g} seconds; look at the case"
            ) from None

    async def catch_up(self) -> None:
        """Return when the view holds what other processes of this port have written, or MAX_WAIT_SECONDS are over."""
        if self._shared is None or not (topic_id := self._reader.topic_id(REVIEW_DECISIONS)):
            return
        with contextlib.suppress(OSError):  # a timeout is one
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await self._read_to(self._shared.get(topic_id))

    async def _read_to(self, ends: Mapping[int, int]) -> None:
        await self._reader.read_to({TopicPartition(REVIEW_DECISIONS, number): end for number, end in ends.items()})


DECISION_LOG = web.AppKey("decision_log", DecisionLog)
