"""Starting a client that reaches nobody: the reason is said, with the setting to look at."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from compose.addresses import free_port
from schemas.kafka import connect
from schemas.kafka.connect import Unreachable, start_client, started, why_unreachable
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.stop import stop_client
from tests.unit.schemas.kafka.mute_broker import mute_broker

Visit = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def listening(visit: Visit) -> AsyncIterator[KafkaSettings]:
    """Settings of a port that is none of Kafka's."""
    server = await asyncio.start_server(visit, "127.0.0.1", 0)
    async with server:
        yield KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize("kind", [AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient])
async def test_a_client_of_any_kind_says_that_nobody_listens(kind: type[AIOKafkaConsumer]) -> None:
    kafka = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match=rf"{kafka.kafka_bootstrap_servers} is not listening"):
        async with started(kind(**kafka.client_options()), kafka):
            pass


async def test_each_broker_has_its_own_reason() -> None:
    first, second = free_port(), free_port()
    kafka = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{first},127.0.0.1:{second}")
    reasons = (await why_unreachable(kafka)).split("; ")
    assert sorted(reasons) == sorted(f"127.0.0.1:{port} is not listening" for port in (first, second))


async def test_whoever_closes_the_connection_may_speak_another_protocol() -> None:
    async with listening(close) as kafka:
        assert "KAFKA_SECURITY_PROTOCOL may have to be another than PLAINTEXT" in await why_unreachable(kafka)


async def test_whoever_does_not_answer_is_asked_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "PROBE_SECONDS", 0.2)
    async with listening(say_nothing) as kafka:
        assert "does not answer within" in await why_unreachable(kafka)


async def test_a_client_that_is_cancelled_while_it_asks_for_topics_leaves_no_connection_open() -> None:
    async with mute_broker() as broker:
        producer = AIOKafkaProducer(**broker.kafka.client_options())
        start = asyncio.create_task(start_client(producer, broker.kafka))
        await broker.introduced.wait()
        await broker.reader.readexactly(4)
        start.cancel()
        with pytest.raises(asyncio.CancelledError) as cancellation:
            await start
        # Its frames hold the connection: without them Python closes it, with a warning.
        assert cancellation.tb
        await broker.reader.read()
        await stop_client(producer)
