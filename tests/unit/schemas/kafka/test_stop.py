"""Stopping clients, as far as no Kafka is needed."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.conn import collect_hosts, create_conn

from schemas.kafka.stop import abandon_producer, stop_producer
from tests.unit.schemas.kafka.mute_broker import mute_broker

MORE_THAN_THE_SYSTEM_HOLDS = 16 * 1024 * 1024


async def test_a_producer_is_given_up_whose_client_wrote_to_a_closed_connection() -> None:
    async def write() -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
    producer.client._sync_task = failed = asyncio.create_task(write())
    await asyncio.wait([failed])
    await stop_producer(producer)
    assert producer.client._sync_task is None


async def test_an_abandoned_producer_holds_no_connection_for_what_a_frozen_broker_has_not_read() -> None:
    async with mute_broker() as broker:
        producer = AIOKafkaProducer(**broker.kafka.client_options())
        [(host, port, _)] = collect_hosts(broker.kafka.kafka_bootstrap_servers)
        connection = await create_conn(host, port)
        await broker.introduced.wait()
        producer.client._conns[0, 0] = connection
        connection._writer.write(bytes(MORE_THAN_THE_SYSTEM_HOLDS))
        await abandon_producer(producer)
        with suppress(ConnectionResetError):
            assert len(await broker.reader.read()) < MORE_THAN_THE_SYSTEM_HOLDS
