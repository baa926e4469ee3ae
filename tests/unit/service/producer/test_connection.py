"""The connection: one producer in use, and a new one in the place of one that is spent. Producers are played."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from schemas.errors import BrokerError
from schemas.kafka.provisioning import TopicSettings
from schemas.kafka.settings import KafkaSettings
from service.producer.connection import ProducerConnection


class Producer:
    """A producer that stops at once."""

    def __init__(self) -> None:
        self.stopped = False

    async def stop(self) -> None:
        self.stopped = True


class Kafka:
    """Answers to attempts to connect, in order; a producer for each after those."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.producers: list[Producer] = []

    async def open(self) -> Producer:
        if self.answers:
            raise self.answers.pop(0)
        self.producers.append(Producer())
        return self.producers[-1]


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
async def connection(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProducerConnection]:
    monkeypatch.setattr(ProducerConnection, "_open", lambda _: kafka.open())
    opened = ProducerConnection(KafkaSettings(), TopicSettings(), max_batch_bytes=1000, abandon_after=1.0)
    yield opened
    await opened.close(1.0)


async def test_it_is_tried_until_there_is_a_producer_and_the_reason_told_meanwhile(
    kafka: Kafka, connection: ProducerConnection
) -> None:
    spent = await connection.producer()
    kafka.answers = [OSError("refused"), TimeoutError()]
    connection.replace(spent)
    with pytest.raises(BrokerError, match="not connected to Kafka"):
        await connection.ping(1.0)
    while connection.reason != "refused":
        await asyncio.sleep(0)
    assert connection.current is None
    assert cast(Any, await connection.producer()) is kafka.producers[1]
    assert connection.reason is None


async def test_a_producer_is_replaced_once_however_many_say_it_is_spent(
    kafka: Kafka, connection: ProducerConnection
) -> None:
    spent = await connection.producer()
    connection.replace(spent)
    assert connection.current is None
    connection.replace(spent)
    assert await connection.producer() is not spent
    connection.replace(spent)
    assert (connection.replaced, len(kafka.producers)) == (1, 2)
    await asyncio.sleep(0)
    assert kafka.producers[0].stopped


async def test_at_the_end_the_producer_in_use_is_stopped(kafka: Kafka, connection: ProducerConnection) -> None:
    await connection.producer()
    stopped: list[Any] = []
    kafka.producers[0].stop = lambda: asyncio.sleep(0, stopped.append(1))  # type: ignore[method-assign]
    await connection.close(1.0)
    assert stopped
