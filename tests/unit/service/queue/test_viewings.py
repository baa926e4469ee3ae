"""Viewings that wait for Kafka: bounded, and counted where they are not recorded."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from compose.addresses import free_port
from schemas.event_loop import background
from schemas.kafka.provisioning import TopicSettings
from schemas.kafka.settings import KafkaSettings
from service.producer.connection import ProducerConnection
from service.queue.viewings import MAX_WAITING, Viewing, ViewingLog


@pytest.fixture
async def unconnected() -> AsyncIterator[ProducerConnection]:
    """A connection to a Kafka that is not there."""
    kafka = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    connection = ProducerConnection(kafka, TopicSettings(), max_batch_bytes=1000, abandon_after=0.1)
    yield connection
    await connection.close(0.1)


def viewing(**ids: str) -> Viewing:
    return Viewing(time=1, item="subject", viewer=None, **ids)


@pytest.mark.parametrize(
    ("ids", "key"), [({"case_id": "a"}, "a"), ({"subject_id": "b"}, "b"), ({"case_id": "a", "payment_id": "p"}, "a")]
)
def test_a_viewings_record_has_the_key_of_what_was_looked_at(ids: dict[str, str], key: str) -> None:
    assert viewing(**ids).key == key


def test_a_viewing_of_the_queue_has_a_key_too() -> None:
    assert Viewing(time=1, item="queue", viewer="ann").key == "queue"


async def test_nobody_waits_while_kafka_is_away_and_what_was_not_recorded_is_counted(
    unconnected: ProducerConnection,
) -> None:
    written = ViewingLog(unconnected, deadline=0.05)
    with capture_logs() as logs:
        async with background(written.run()):
            for _ in range(3):
                written.put(viewing(subject_id="a"), [])
            await asyncio.wait_for(written._unwritten.join(), 20)
    assert written.lost == 3
    assert "no answer within 0.05 seconds" in [entry["reason"] for entry in logs if "count" in entry]


async def test_no_more_wait_than_there_is_room_for(unconnected: ProducerConnection) -> None:
    written = ViewingLog(unconnected, deadline=0.05)
    with capture_logs() as logs:
        for _ in range(MAX_WAITING + 2):
            written.put(viewing(subject_id="a"), [])
        assert written.lost == 2
        await written.drain()
    assert written.lost == MAX_WAITING + 2
    assert [entry["reason"] for entry in logs if "count" in entry][-1] == "the service ends"
