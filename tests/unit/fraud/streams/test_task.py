"""A task: where it goes on after a batch; and without Kafka there is none."""

from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import ConsumerRecord, TopicPartition

from compose.addresses import free_port
from fraud.detection.detect import stages
from fraud.rules import load
from fraud.streams.task import open_task, positions_after
from schemas.kafka.settings import KafkaSettings
from schemas.registry import Registry, RegistrySettings


def record(topic: str, offset: int) -> Any:
    return ConsumerRecord(topic, 3, offset, 0, 0, None, None, None, 0, 0, ())


def test_it_goes_on_after_the_last_record_of_each_topic() -> None:
    records = [record("a", 7), record("b", 100), record("a", 8), record("a", 11)]
    assert positions_after(records) == {TopicPartition("a", 3): 12, TopicPartition("b", 3): 101}


def test_a_batch_without_records_moves_nothing() -> None:
    assert positions_after([]) == {}


async def test_where_kafka_is_away_no_task_opens_and_nothing_is_left_behind() -> None:
    kafka = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    stage = next(iter(stages(load(), Registry(RegistrySettings()), 1000).values()))
    consumer = AIOKafkaConsumer(**kafka.client_options())
    with pytest.raises(KafkaConnectionError):
        await open_task(stage, 0, app="app", group="app-group", kafka=kafka, consumer=consumer)
    await consumer.stop()
