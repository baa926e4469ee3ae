"""A topic's identity, in version 10 of Kafka's metadata: the bytes are those of KIP-516."""

from io import BytesIO
from uuid import UUID

from schemas.kafka.topic_identity import MetadataRequestV10, MetadataResponseV10, TopicMetadata, Uuid

TOPIC_ID = UUID("0b7e9a52-31f5-4b0e-9f0e-5a1d2c3b4e51")
ANSWER = b"".join(
    [
        (5).to_bytes(4, "big"),  # throttle_time_ms
        b"\x02" + (1).to_bytes(4, "big") + b"\x05host" + (9092).to_bytes(4, "big") + b"\x00\x00",  # a broker, no rack
        b"\x08cluster",
        (1).to_bytes(4, "big"),  # controller
        b"\x02" + (0).to_bytes(2, "big") + b"\x07topic1" + TOPIC_ID.bytes + b"\x00",
        b"\x02" + (0).to_bytes(2, "big") + b"".join(number.to_bytes(4, "big") for number in (0, 1, 7)),
        b"\x02\x00\x00\x00\x01" + b"\x02\x00\x00\x00\x01" + b"\x01" + b"\x00",  # replicas, isr, offline, tags
        (0).to_bytes(4, "big") + b"\x00",  # operations on the topic, tags
        (0).to_bytes(4, "big") + b"\x00",
    ]
)


def test_a_request_names_the_topic_and_does_not_make_it() -> None:
    request = TopicMetadata("topic1").build(MetadataRequestV10)
    assert request.encode() == b"".join([b"\x02", bytes(16), b"\x07topic1", b"\x00", b"\x00\x00\x00", b"\x00"])


def test_an_answer_has_the_cluster_and_the_topic_by_their_ids() -> None:
    answer = MetadataResponseV10.decode(BytesIO(ANSWER))
    [(code, name, topic_id, _, partitions, _, _)] = answer.topics
    assert (answer.cluster_id, code, name, topic_id, len(partitions)) == ("cluster", 0, "topic1", TOPIC_ID, 1)


def test_an_id_is_16_bytes_and_nothing_before_them() -> None:
    assert Uuid.encode(TOPIC_ID) == TOPIC_ID.bytes
    assert Uuid.decode(BytesIO(TOPIC_ID.bytes + b"more")) == TOPIC_ID
    assert Uuid.repr(TOPIC_ID) == str(TOPIC_ID)
