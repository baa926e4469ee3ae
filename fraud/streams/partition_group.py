"""Reading several partitions in the order of their times, so that being behind makes no payment late.

After an outage each partition holds hours of payments. Read one after another, the first would carry stream time
hours ahead, and all of the second would be late. So the partition whose *next* record is oldest goes first, as in
Kafka Streams (KIP-353, KIP-695). A record then finds stream time nowhere beyond what its own partition had shown
before it: whatever ran ahead in between was no younger than a record that waited here. So no record is later in
the merged order than it is in its own partition.

That needs to know the next record of *every* partition. One that has nothing buffered holds the others up, unless it
has been read to its end. One batch spans at most `drift_ms` of time, because the order in which several tasks write
their batches is not kept.

All this is for a stage whose outputs bring several partitions together. Where each partition has its own stream time,
as for the rules' windows, there is nothing to align.
"""

import heapq
from collections import deque
from collections.abc import Container, Iterable

from aiokafka.structs import ConsumerRecord, TopicPartition


class PartitionGroup:
    """The assigned partitions, with their fetched records that have not been taken yet."""

    def __init__(self, drift_ms: int | None) -> None:
        """`drift_ms` is None where partitions have nothing to do with each other: none waits for another then."""
        self._drift_ms = drift_ms
        self._buffers: dict[TopicPartition, deque[ConsumerRecord]] = {}

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Start over with these partitions; what was buffered is dropped."""
        self._buffers = {partition: deque() for partition in partitions}

    def add(self, partition: TopicPartition, records: Iterable[ConsumerRecord]) -> None:
        """Buffer what was fetched."""
        self._buffers[partition].extend(records)

    def short_of(self, records: int) -> list[TopicPartition]:
        """The partitions to fetch from: those with fewer records buffered than so many."""
        return [partition for partition, buffer in self._buffers.items() if len(buffer) < records]

    def empty(self) -> list[TopicPartition]:
        """The partitions with nothing buffered: the others wait for them, unless they are at their end."""
        return self.short_of(1)

    def buffered(self) -> int:
        """Number of records that wait to be taken."""
        return sum(map(len, self._buffers.values()))

    def take(self, at_end: Container[TopicPartition], limit: int) -> list[ConsumerRecord]:
        """Take records, at most `limit`, of the partition with the oldest next record first.

        `at_end` are the partitions of which all there is has been added. Stops where another one runs empty, and
        `drift_ms` after the first record's time.
        """
        buffers = self._buffers
        if self._drift_ms is None:
            return self._take_shares(limit)
        if any(partition not in at_end for partition in self.empty()):
            return []
        heads = [(buffer[0].timestamp, partition) for partition, buffer in buffers.items() if buffer]
        heapq.heapify(heads)
        until = heads[0][0] + self._drift_ms if heads else 0
        batch: list[ConsumerRecord] = []
        while heads and len(batch) < limit and heads[0][0] <= until:
            partition = heads[0][1]
            buffer = buffers[partition]
            batch.append(buffer.popleft())
            if buffer:
                heapq.heapreplace(heads, (buffer[0].timestamp, partition))
            elif partition in at_end:
                heapq.heappop(heads)
            else:
                break
        return batch

    def _take_shares(self, limit: int) -> list[ConsumerRecord]:
        """Take an equal share of `limit` records of each partition, in its own order."""
        share = limit // max(1, len(self._buffers))
        batch: list[ConsumerRecord] = []
        for buffer in self._buffers.values():
            if len(buffer) <= share:
                batch.extend(buffer)
                buffer.clear()
            else:
                batch.extend(buffer.popleft() for _ in range(share))
        return batch
