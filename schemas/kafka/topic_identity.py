# mypy: disable-error-code="misc"
"""Identity of a topic: its cluster's id and its own, which a topic of the same name made later has not.

aiokafka asks for metadata in version 5; topic ids came with version 10 (KIP-516). Hence the request in that version.
"""

import uuid
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from schemas.errors import BrokerError


class Uuid(AbstractType[uuid.UUID]):
    """16 bytes, not a length before them."""

    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        """Write an id as it goes over the wire."""
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        """Read an id."""
        return uuid.UUID(bytes=data.read(16))

    @classmethod
    def repr(cls, value: uuid.UUID) -> str:
        """Show an id to a person."""
        return str(value)


_STRING = CompactString("utf-8")
_IDS = CompactArray(Int32)


class MetadataResponseV10(Response):
    """MetadataResponse, version 10 (KIP-516)."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("id", Int32), ("host", _STRING), ("port", Int32), ("rack", _STRING), ("tags", TaggedFields)),
        ),
        ("cluster_id", _STRING),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _STRING),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", _IDS),
                        ("isr", _IDS),
                        ("offline", _IDS),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequestV10(RequestStruct):
    """MetadataRequest, version 10 (KIP-516)."""

    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = MetadataResponseV10
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", _STRING), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicMetadata(Request[MetadataRequestV10]):
    """Asks for one topic, and does not create it."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[MetadataRequestV10]) -> MetadataRequestV10:
        """The request; the topic is named, so its id is left at zero."""
        create_it = cluster_operations = topic_operations = False
        tags: dict[int, bytes] = {}
        topics = [(uuid.UUID(int=0), self._topic, tags)]
        return request_struct_class(topics, create_it, cluster_operations, topic_operations, tags)


@dataclass(frozen=True)
class TopicIdentity:
    """A topic as nothing else can be it."""

    cluster_id: str
    topic_id: str
    partitions: int


async def topic_identity(consumer: AIOKafkaConsumer, topic: str) -> TopicIdentity:
    """The identity of a topic; raises BrokerError where there is none of that name."""
    client = consumer._client  # noqa: SLF001 - nothing public of aiokafka (0.14) sends a request over its connections
    answer: Any = await client.send(client.get_random_node(), TopicMetadata(topic))
    [(code, _, topic_id, _, partitions, _, _)] = answer.topics
    if for_code(code) is not NoError or not partitions:
        raise BrokerError(f"topic {topic} is not there: {for_code(code).__name__}")
    return TopicIdentity(answer.cluster_id, str(topic_id), len(partitions))
