"""Topics cannot be made or asked where Kafka cannot be reached, and that is said as the caller expects it."""

import pytest

from compose.addresses import free_port
from schemas.errors import BrokerError
from schemas.kafka.connect import Unreachable
from schemas.kafka.provisioning import TopicSettings, create_topics, retention_ms
from schemas.kafka.settings import KafkaSettings


@pytest.fixture
def nobody() -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")


async def test_making_topics_is_an_error_of_the_broker(nobody: KafkaSettings) -> None:
    with pytest.raises(BrokerError, match=f"Kafka cannot be reached: {nobody.kafka_bootstrap_servers}"):
        await create_topics(nobody, TopicSettings())


async def test_asking_how_long_they_keep_a_record_is_one_of_kafka(nobody: KafkaSettings) -> None:
    with pytest.raises(Unreachable):
        await retention_ms(nobody, ["payments"])
