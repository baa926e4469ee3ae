"""Assignment of partitions to workers: the same partition number of every input topic goes to the same worker.

A task is a partition number over all of its stage's input topics, as in Kafka Streams, and has one transactional id.
Range assignment gives the same result only while all topics have equally many partitions; this one always does.
"""

from collections.abc import Iterable, Mapping

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class TaskAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Partition numbers in contiguous shares, over members in order of their ids."""

    name = "underten-task"
    version = 0

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Called on the group's leader."""
        topics = sorted({topic for member in members.values() for topic in member.subscription})
        partitions = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
        numbers = sorted(set().union(*partitions.values()))
        order = sorted(members)
        owner = {number: order[place * len(order) // len(numbers)] for place, number in enumerate(numbers)}
        return {
            member: ConsumerProtocolMemberAssignment(
                cls.version,
                [
                    (topic, share)
                    for topic in topics
                    if (share := sorted(number for number in partitions[topic] if owner[number] == member))
                ],
                b"",
            )
            for member in order
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """A member's metadata when it joins."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Do nothing: an assignment does not depend on the one before."""
