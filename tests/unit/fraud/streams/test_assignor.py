"""The same partition number of every input topic goes to the same worker."""

from types import SimpleNamespace

import pytest

from fraud.streams.assignor import TaskAssignor


def assign(members: list[str], topics: dict[str, int]) -> dict[str, dict[str, list[int]]]:
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: set(range(topics[topic])))
    metadata = {member: TaskAssignor.metadata(topics) for member in members}
    return {member: dict(share.assignment) for member, share in TaskAssignor.assign(cluster, metadata).items()}


@pytest.mark.parametrize("workers", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("topics", [{"a": 6, "b": 6}, {"a": 6, "b": 1, "c": 4}, {"a": 1}])
def test_every_partition_has_one_owner_and_a_number_has_the_same_in_all_topics(
    workers: int, topics: dict[str, int]
) -> None:
    assignment = assign([f"worker-{number}" for number in range(workers)], topics)
    owners: dict[int, set[str]] = {}
    owned = []
    for member, share in assignment.items():
        for topic, partitions in share.items():
            for partition in partitions:
                owners.setdefault(partition, set()).add(member)
                owned.append((topic, partition))
    assert sorted(owned) == sorted((topic, number) for topic, count in topics.items() for number in range(count))
    assert all(len(members) == 1 for members in owners.values())


def test_the_shares_differ_by_one_at_most() -> None:
    shares = [len(share.get("a", [])) for share in assign(["x", "y", "z", "w"], {"a": 6}).values()]
    assert max(shares) - min(shares) <= 1
