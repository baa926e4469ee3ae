"""Topics at Kafka: made where they are missing, and asked how long they keep a record."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from cyclopts import Parameter

from schemas.errors import BrokerError
from schemas.kafka.connect import Unreachable, started
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import ALL_TOPICS, CONFIGS

log = structlog.get_logger(__name__)


async def retention_ms(kafka: KafkaSettings, names: Iterable[str]) -> dict[str, int]:
    """Milliseconds for which each topic keeps a record, if it deletes them by age; raises KafkaError."""
    async with started(AIOKafkaAdminClient(**kafka.client_options()), kafka) as admin:
        existing = set(await admin.list_topics())
        options = dict.fromkeys(("cleanup.policy", "retention.ms"))
        topics = [ConfigResource(ConfigResourceType.TOPIC, name, options) for name in names if name in existing]
        answers = await admin.describe_configs(topics)
    retention = {}
    for code, _, _, name, entries in (resource for answer in answers for resource in answer.resources):
        if code:
            raise for_code(code)(f"the settings of topic {name} cannot be read")
        config = {key: value for key, value, *_ in entries}
        if "delete" in config["cleanup.policy"] and (milliseconds := int(config["retention.ms"])) >= 0:
            retention[name] = milliseconds
    return retention


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TopicSettings:
    """Size of the topics that have to be made; an existing topic is never altered."""

    topic_partitions: int = 6
    """Partitions of a topic that has to be created."""

    topic_replication: int = 1
    """Replicas of each partition of a topic that has to be created."""


async def create_topics(kafka: KafkaSettings, topics: TopicSettings, names: Iterable[str] = ALL_TOPICS) -> list[str]:
    """Create the topics that are missing, and say which; raises BrokerError.

    Two processes may do so at once: the one that comes second finds them there.
    """
    try:
        async with started(AIOKafkaAdminClient(**kafka.client_options(), request_timeout_ms=20_000), kafka) as admin:
            missing = sorted(set(names) - set(await admin.list_topics()))
            if not missing:
                return []
            answer = await admin.create_topics(
                [
                    NewTopic(name, topics.topic_partitions, topics.topic_replication, topic_configs=CONFIGS[name])
                    for name in missing
                ]
            )
    except Unreachable as error:
        raise BrokerError(str(error)) from None
    except KafkaError as error:
        raise BrokerError(f"cannot create topics at {kafka.kafka_bootstrap_servers}: {error}") from error
    created = []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            created.append(name)
        elif code != TopicAlreadyExistsError.errno:
            reason = message[0] if message and message[0] else for_code(code).__name__
            raise BrokerError(f"cannot create topic {name}: {reason}")
    if created:
        log.info("topics created", topics=created, partitions=topics.topic_partitions)
    return created
