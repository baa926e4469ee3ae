"""Being behind makes no payment late: partitions are read in the order of their times."""

from collections import defaultdict

from aiokafka.structs import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from fraud.streams.partition_group import PartitionGroup

A, B = TopicPartition("payment_json", 0), TopicPartition("payment_avro", 1)
FOREVER = 2**62


def record(partition: TopicPartition, timestamp: int) -> ConsumerRecord:
    return ConsumerRecord(*partition, 0, timestamp, 0, None, b"", 0, 0, 0, ())


def partition_group(times: dict[TopicPartition, list[int]], drift_ms: int = FOREVER) -> PartitionGroup:
    group = PartitionGroup(drift_ms)
    group.assign(times)
    for partition, stamps in times.items():
        group.add(partition, [record(partition, stamp) for stamp in stamps])
    return group


def test_the_partition_whose_next_record_is_oldest_goes_first() -> None:
    batch = partition_group({A: [10, 40, 20], B: [30, 35]}).take({A, B}, limit=99)
    assert [record.timestamp for record in batch] == [10, 30, 35, 40, 20]


def test_a_partition_that_may_have_more_holds_the_others_up() -> None:
    group = partition_group({A: [10], B: []})
    assert group.take({A}, limit=99) == []
    assert [record.timestamp for record in group.take({A, B}, limit=99)] == [10]


def test_taking_stops_where_a_partition_that_may_have_more_runs_empty() -> None:
    group = partition_group({A: [10], B: [5, 20]})
    assert [record.timestamp for record in group.take({B}, limit=99)] == [5, 10]
    assert group.empty() == [A]


def test_a_batch_spans_no_more_time_than_the_drift() -> None:
    group = partition_group({A: [0, 50, 101], B: [100, 160]}, drift_ms=100)
    assert [record.timestamp for record in group.take({A, B}, limit=99)] == [0, 50, 100]
    assert [record.timestamp for record in group.take({A, B}, limit=99)] == [101, 160]


def test_a_batch_has_no_more_records_than_asked_for() -> None:
    group = partition_group({A: [1, 2, 3], B: [1, 2, 3]})
    assert len(group.take({A, B}, limit=4)) == 4
    assert group.buffered() == 2


@given(
    st.lists(st.lists(st.integers(0, 1000), max_size=20), min_size=1, max_size=5),
    st.integers(0, 1000),
    st.integers(1, 9),
)
def test_no_record_is_later_in_the_merged_order_than_in_its_own_partition(
    streams: list[list[int]], drift_ms: int, most: int
) -> None:
    times = {TopicPartition("t", number): stamps for number, stamps in enumerate(streams)}
    group = partition_group(times, drift_ms)
    merged_time, own_time = 0, defaultdict[int, int](int)
    count = 0
    while batch := group.take(times, most):
        for record in batch:
            own_time[record.partition] = max(own_time[record.partition], record.timestamp)
            merged_time = max(merged_time, record.timestamp)
            assert merged_time - record.timestamp <= own_time[record.partition] - record.timestamp
            count += 1
    assert count == sum(map(len, streams))


def test_partitions_that_have_nothing_to_do_with_each_other_do_not_wait() -> None:
    group = PartitionGroup(None)
    group.assign([A, B])
    group.add(A, [record(A, stamp) for stamp in (50, 10, 20)])
    assert [record.timestamp for record in group.take(set(), limit=4)] == [50, 10]
    group.add(B, [record(B, 5)])
    assert [record.timestamp for record in group.take(set(), limit=4)] == [20, 5]
