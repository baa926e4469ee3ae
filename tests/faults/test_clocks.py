"""Clocks that jump: a payment's time is the service's clock, and Kafka takes none from far in the future."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidTimestampError

from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_JSON
from tests.conftest import Servers
from tests.integration.bursts import burst, serving, takes_payments
from tests.integration.processes import ledger_ids, make_topics, producer, running, until
from tests.integration.serving import end_offsets, payment, post, ready, records

HOUR = 3600.0


async def test_a_clock_far_ahead_is_named_in_the_answer_and_a_clock_set_back_is_none_of_kafkas_business(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = 0.0
    clock = SimpleNamespace(time=lambda: time.time() + ahead)
    monkeypatch.setattr("service.producer.records.time", clock)
    async with serving(servers.kafka_settings, servers.registry_settings, tmp_path / "view.sqlite") as client:
        await ready(client)
        before = await end_offsets(servers.kafka_settings, PAYMENT_JSON)
        ahead = 2 * HOUR
        status, problem = await post(client, "/payment_json", refused := payment())
        assert (status, problem["type"].rpartition(":")[2]) == (503, "refused-by-kafka")
        assert "clocks" in problem["detail"]
        assert {answer.kind for answer in await burst(client, 50)} == {"refused-by-kafka"}
        ahead = 0.0
        await until(lambda: takes_payments(client))
        assert {answer.status for answer in await burst(client, 50)} == {201}
        ahead = -2 * HOUR
        status, receipt = await post(client, "/payment_json", refused)
        assert status == 201
        assert receipt["timestamp"] < (time.time() - HOUR) * 1000
        values = [record.value for record in await records(servers.kafka_settings, PAYMENT_JSON, before)]
    assert len(values) == len(set(values))
    assert sum(refused["id"].encode() in value for value in values) == 1


async def accept_any_time(kafka: KafkaSettings, topic: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.client_options())
    await admin.start()
    try:
        change = {"message.timestamp.after.max.ms": str(2**63 - 1)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, change)])
    finally:
        await admin.close()


async def test_a_payment_from_the_future_that_was_taken_does_not_stop_fraud(servers: Servers, tmp_path: Path) -> None:
    kafka = servers.kafka_settings
    await make_topics(kafka)
    # As if Kafka's own clock had been ahead, and then been set back.
    await accept_any_time(kafka, PAYMENT_JSON)
    then = int((time.time() + 5 * HOUR) * 1000)

    async def is_taken() -> bool:
        """The broker hears of the change a moment later."""
        async with producer(kafka) as client:
            try:
                await client.send_and_wait(PAYMENT_JSON, json.dumps(payment()).encode(), timestamp_ms=then)
            except InvalidTimestampError:
                return False
            return True

    await until(is_taken)

    async def is_judged() -> bool:
        return len(await ledger_ids(kafka)) == 1

    with running(servers, tmp_path / "fraud.log", "fraud", "normalise", FRAUD_APP="clocks"):
        await until(is_judged)
