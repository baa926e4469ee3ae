"""Confluent's own deserialisers read what the service writes: they share no code with it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas import payment_pb2
from schemas.codecs import schema_text
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF, RAW_TOPICS
from schemas.payment import FIELDS
from schemas.registry import RegistrySettings
from service.app import make_app
from tests.integration.processes import Json, make_topics, read_all
from tests.integration.serving import payment, post, ready, settings


@pytest.fixture
def readers(registry: RegistrySettings) -> Iterator[dict[str, Callable[[bytes, SerializationContext], Any]]]:
    with SchemaRegistryClient({"url": registry.schema_registry_url}) as client:
        yield {
            PAYMENT_JSON: JSONDeserializer(schema_text("payment.schema.json"), schema_registry_client=client),
            PAYMENT_AVRO: AvroDeserializer(client),
            # Without the client: it would ask for the schema in a form that Apicurio does not have (format=serialized).
            PAYMENT_PROTOBUF: ProtobufDeserializer(payment_pb2.Payment, {"use.deprecated.format": False}),
        }


@pytest.mark.parametrize("topic", RAW_TOPICS)
async def test_confluents_deserialisers_read_the_posted_payment(
    topic: str, kafka: KafkaSettings, registry: RegistrySettings, readers: Any, aiohttp_client: Any, tmp_path: Path
) -> None:
    await make_topics(kafka)
    client = await aiohttp_client(make_app(settings(kafka, registry, tmp_path / "view.sqlite")))
    await ready(client)
    posted = payment(payment_amount=9999.99, payee_bank="Österreichische Nationalbank")
    status, receipt = await post(client, f"/{topic}", posted)
    assert status == 201
    [record] = await read_all(kafka, topic)
    assert (record.partition, record.offset) == (receipt["partition"], receipt["offset"])
    assert record.timestamp == receipt["timestamp"]
    assert record.key == str(posted["payor_account_no"]).encode()
    read = readers[topic](record.value, SerializationContext(topic, MessageField.VALUE))
    assert as_fields(read) == posted


def as_fields(read: Any) -> Json:
    return read if isinstance(read, dict) else {name: getattr(read, name) for name in FIELDS}


def test_the_posted_payment_is_valid_json_schema() -> None:
    assert set(json.loads(schema_text("payment.schema.json"))["properties"]) == set(FIELDS)
