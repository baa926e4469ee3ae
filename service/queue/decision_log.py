"""Decisions onto `review_decisions`: each acknowledged by Kafka, and read back before its reviewer is answered.

Which of two decisions came first is for Kafka to say: both are written, the view takes in what the partition has
first, and so does every other process's view. So there is no lock to hold, and none to lose.
"""

import asyncio
from collections.abc import Sequence

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

_encode = msgspec.json.Encoder().encode


class DecisionUnknown(BrokerError):
    """The decision was sent; whether it is on Kafka, and whether it stands, is not known in time."""


class DecisionLog:
    """Writes decisions, and waits until the view holds them."""

    def __init__(self, connection: ProducerConnection, reader: QueueReader, deadline: float) -> None:
        """`deadline`: seconds for all of it."""
        self._connection = connection
        self._reader = reader
        self._deadline = deadline

    async def write(self, decisions: Sequence[Decision], headers: RecordHeaders) -> None:
        """Return when the view holds all of them; raises BrokerError, DecisionUnknown."""
        producer = self._connection.current
        if producer is None:
            raise BrokerError(f"not connected to Kafka: {self._connection.reason}")
        try:
            async with asyncio.timeout(self._deadline):
                sent = [
                    await producer.send(REVIEW_DECISIONS, _encode(each), key=each.case_id.encode(), headers=headers)
                    for each in decisions
                ]
                receipts = await asyncio.gather(*sent)
                # In order of their offsets, so that of each partition the last one stays.
                ends = sorted((each.topic, each.partition, each.offset + 1) for each in receipts)
                await self._reader.read_to({TopicPartition(topic, number): end for topic, number, end in ends})
        except KafkaError as error:
            # aiokafka has counted sequence numbers that the broker has not (see `connection`).
            self._connection.replace(producer)
            raise BrokerError(f"Kafka did not take the decision: {error}") from None
        except TimeoutError:
            raise DecisionUnknown(
                f"the decision may be recorded or not: no answer within {self._deadline:g} seconds; look at the case"
            ) from None


DECISION_LOG = web.AppKey("decision_log", DecisionLog)
