"""Stopping clients, as far as no Kafka is needed."""

import asyncio

from aiokafka import AIOKafkaProducer

from schemas.kafka.stop import stop_producer


async def test_a_producer_is_given_up_whose_client_wrote_to_a_closed_connection() -> None:
    async def write() -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
    producer.client._sync_task = failed = asyncio.create_task(write())
    await asyncio.wait([failed])
    await stop_producer(producer)
    assert producer.client._sync_task is None
