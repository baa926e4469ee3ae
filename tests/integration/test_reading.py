"""Reading topics to their ends: all of them, or an error, but never for ever."""

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from schemas.kafka import reading
from schemas.kafka.reading import end_offsets, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENTS
from tests.conftest import Servers
from tests.integration.processes import make_topics, producer
from tests.link import Link

RECORDS = 20


@pytest.fixture
async def filled(kafka: KafkaSettings) -> KafkaSettings:
    """Kafka with as many records on `payments` that they come in several answers."""
    await make_topics(kafka)
    async with producer(kafka) as client:
        for number in range(RECORDS):
            await client.send_and_wait(PAYMENTS, bytes(500_000), partition=number % 2)
    return kafka


async def test_a_reader_that_hears_nothing_more_says_so(
    servers: Servers, filled: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "SILENT_SECONDS", 2.0)
    assert sum([len(records) async for records in read_to_end(filled, [PAYMENTS])]) == RECORDS
    async with Link(servers.link_port, servers.far_port).running() as link:
        batches = read_to_end(servers.link_settings, [PAYMENTS])
        await anext(batches)
        link.cut()
        with pytest.raises(KafkaTimeoutError, match=PAYMENTS):
            _ = [batch async for batch in batches]


async def test_who_wants_all_that_was_written_reads_what_no_transaction_has_committed(filled: KafkaSettings) -> None:
    async with AIOKafkaProducer(**filled.client_options(), transactional_id="open") as client, client.transaction():
        await client.send_and_wait(PAYMENTS, b"open", partition=1)
        committed = [record async for records in read_to_end(filled, [PAYMENTS]) for record in records]
        written = [record async for records in read_to_end(filled, [PAYMENTS], all_written=True) for record in records]
    assert [len(committed), len(written)] == [RECORDS, RECORDS + 1]


async def test_a_topic_that_is_not_there_has_nothing_and_is_not_made(kafka: KafkaSettings) -> None:
    assert [records async for records in read_to_end(kafka, ["not_there"])] == []
    assert await end_offsets(kafka, ["not_there", "none"]) == {}
