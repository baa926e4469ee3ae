"""Consumer groups: the request in the version whose answer aiokafka reads; and without Kafka there is none."""

import pytest
from aiokafka.protocol.admin import DescribeGroupsRequest_v2

from compose.addresses import free_port
from schemas.kafka.connect import Unreachable
from schemas.kafka.groups import DescribeGroups, consumer_groups
from schemas.kafka.settings import KafkaSettings


def test_the_request_names_the_group_alone() -> None:
    request = DescribeGroups("underten-payor").build(DescribeGroupsRequest_v2)
    assert request.encode() == (1).to_bytes(4, "big") + (14).to_bytes(2, "big") + b"underten-payor"
    assert (request.API_KEY, request.API_VERSION) == (15, 2)


async def test_where_kafka_cannot_be_reached_it_says_why() -> None:
    nobody = KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable, match="is not listening"):
        await consumer_groups(nobody, ["underten-payor"])
