# mypy: disable-error-code="misc"
"""Consumer groups, as their coordinator knows them.

aiokafka (0.14) reads answers to DescribeGroups version 3 by the layout of version 2 and loses its connection over it.
Hence the request in version 2.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import stamina
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v2
from aiokafka.protocol.api import Request

from schemas.kafka.connect import started
from schemas.kafka.settings import KafkaSettings


@dataclass(frozen=True)
class ConsumerGroup:
    """A group: where it has committed, and its members' client ids.

    `state` is Kafka's word: Stable, PreparingRebalance, CompletingRebalance, Empty (no member), Dead (no such group).
    """

    state: str
    clients: tuple[str, ...]
    offsets: Mapping[TopicPartition, int]


class DescribeGroups(Request[DescribeGroupsRequest_v2]):
    """Asks for the state and the members of a group."""

    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[DescribeGroupsRequest_v2]) -> DescribeGroupsRequest_v2:
        """The request, for one group."""
        return request_struct_class([self._group])


# A broker makes the topic of its groups' offsets when the first group is asked for; until it has read that, too, there
# is no coordinator.
COORDINATOR_STARTS = (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, GroupLoadInProgressError)


@stamina.retry(on=COORDINATOR_STARTS, timeout=30.0)
async def consumer_groups(kafka: KafkaSettings, names: Iterable[str]) -> dict[str, ConsumerGroup]:
    """The groups of these names, also of those that are not there; raises KafkaError."""
    async with started(AIOKafkaAdminClient(**kafka.client_options()), kafka) as admin:
        return {name: await _consumer_group(admin, name) for name in names}


async def _consumer_group(admin: AIOKafkaAdminClient, name: str) -> ConsumerGroup:
    coordinator = await admin.find_coordinator(name)
    answer: Any = await admin._send_request(DescribeGroups(name), coordinator)  # noqa: SLF001 - see the module
    [(code, _, state, _, _, members)] = answer.groups
    if code:
        raise for_code(code)(f"consumer group {name}")
    committed = await admin.list_consumer_group_offsets(name, coordinator)
    offsets = {partition: offset.offset for partition, offset in committed.items()}
    return ConsumerGroup(state, tuple(client for _, client, *_ in members), offsets)
