"""A task: an input partition number, its state, and the transactions that move it forward.

Exactly once, by three things together (KIP-98):

- Outputs, state and offsets of a batch are written in one transaction; everything downstream reads committed.
- The task has a transactional id of its own. Opening the task initialises that id, which fences whoever worked on
  it before: aiokafka commits offsets by version 0 of TxnOffsetCommit, without the group's generation, so the
  group alone would not keep a zombie from committing.
- Only after fencing are the committed offsets and the changelog read: nothing can be added to them any more.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import ConsumerRecord, TopicPartition

from fraud.streams import metrics
from fraud.streams.stage import Output, Processor, Stage
from schemas.errors import BrokerError
from schemas.kafka.connect import start_client, started
from schemas.kafka.reconnect import back_off
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.stop import stop_producer

BATCH_BYTES = 256 * 1024
MAX_REQUEST_BYTES = 4 * 1024 * 1024
STALLED_AFTER_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Stalled(BrokerError):
    """A consumer receives nothing although there is something to receive."""


class Task:
    """The work on one partition number. Made by `open_task`; after any error it must be closed and opened anew."""

    def __init__(self, stage: str, number: int, group: str, producer: AIOKafkaProducer, processor: Processor) -> None:
        self.stage = stage
        self.number = number
        self.processor = processor
        self.positions: dict[TopicPartition, int] = {}
        self.written: dict[TopicPartition, int] = {}
        """Partitions that it has written to, and offsets that their ends are beyond."""
        self._group = group
        self._producer = producer

    async def commit(self, records: Sequence[ConsumerRecord], now: float) -> None:
        """Process records and commit what follows from them, in one transaction; raises KafkaError."""
        await self.processor.prepare(records)
        outputs = self.processor.process(records, now)
        positions = positions_after(records)
        if outputs or positions:
            with metrics.COMMIT_SECONDS.labels(self.stage).time():
                await self._transact(outputs, positions)
            metrics.COMMITS.labels(self.stage).inc()
        self.positions |= positions
        for topic, count in Counter(record.topic for record in records).items():
            metrics.READ.labels(self.stage, topic).inc(count)
        self.processor.committed()

    async def _transact(self, outputs: Iterable[Output], positions: Mapping[TopicPartition, int]) -> None:
        producer = self._producer
        await producer.begin_transaction()
        sent = [
            await producer.send_batch(batch, topic, partition=partition)
            for (topic, partition), batches in self._batches(outputs).items()
            for batch in batches
        ]
        for delivery in sent:
            delivery.add_done_callback(_retrieve)
        if positions:
            await producer.send_offsets_to_transaction(positions, self._group)
        for batch in await asyncio.gather(*sent):
            self.written[batch.topic_partition] = batch.offset
        await producer.commit_transaction()

    def _batches(self, outputs: Iterable[Output]) -> dict[tuple[str, int], list[Any]]:
        """The outputs as full batches: a tenth of the cost of sending them one by one."""
        batches: dict[tuple[str, int], list[Any]] = {}
        for output in outputs:
            full = batches.get((output.topic, output.partition))
            if full is None:
                full = batches[output.topic, output.partition] = [self._producer.create_batch()]
            if not _appended(full[-1], output):
                full.append(self._producer.create_batch())
                _appended(full[-1], output)
        return batches

    async def close(self) -> None:
        """Give up state and producer, whether Kafka answers or not; the next owner aborts what is open."""
        self.processor.closed()
        await stop_producer(self._producer)


def _retrieve(delivery: "asyncio.Future[Any]") -> None:
    """Take note of an error: where a transaction is cut short, nobody awaits what it has sent."""
    if not delivery.cancelled():
        delivery.exception()


def _appended(batch: BatchBuilder, output: Output) -> bool:
    """Append a record; False if there was no room for it."""
    return (
        batch.append(timestamp=output.timestamp, key=output.key, value=output.value, headers=list(output.headers))
        is not None
    )


def positions_after(records: Sequence[ConsumerRecord]) -> dict[TopicPartition, int]:
    """Positions of each partition after these records, which are in order within each."""
    last = {record.topic: record for record in records}
    return {TopicPartition(topic, record.partition): record.offset + 1 for topic, record in last.items()}


async def open_task(
    stage: Stage, number: int, *, app: str, group: str, kafka: KafkaSettings, consumer: AIOKafkaConsumer
) -> Task:
    """Fence the previous owner, restore the task's state, and find where it goes on; raises KafkaError.

    `consumer` is the group's, for the committed offsets; partitions that have none begin at their beginning.
    """
    producer = AIOKafkaProducer(
        **kafka.client_options(),
        client_id=f"{app}-{stage.name}-{number}",
        transactional_id=f"{app}-{stage.name}-{number}",
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
        # Cases repeat the names of their payments' fields: a third is left of them, for 1 µs each.
        compression_type="snappy",
        transaction_timeout_ms=60_000,
        retry_backoff_ms=20,
    )
    back_off(producer.client)
    try:
        await start_client(producer, kafka)
        topics = {*stage.inputs, *stage.outputs}
        partitions = {topic: len(await producer.partitions_for(topic)) for topic in topics}
        task = Task(stage.name, number, group, producer, stage.processor(number, partitions))
        with metrics.RESTORE_SECONDS.labels(stage.name).time():
            restored = 0
            if stage.changelog is not None and number < partitions[stage.changelog]:
                restored = await _restore(task.processor, TopicPartition(stage.changelog, number), kafka)
            await task.processor.restored()
        # Before any record: a batch with one would call what is still to be deleted today's state.
        while task.processor.pending:
            await task.commit((), time.monotonic())
        log.info("task restored", stage=stage.name, task=number, changelog_records=restored)
        metrics.RESTORED.labels(stage.name).inc(restored)
        inputs = [TopicPartition(topic, number) for topic in stage.inputs if number < partitions[topic]]
        beginnings = await consumer.beginning_offsets(inputs)
        task.positions = {partition: await consumer.committed(partition) or 0 for partition in inputs}
        task.positions = {partition: max(at, beginnings[partition]) for partition, at in task.positions.items()}
    except BaseException:
        await stop_producer(producer)
        raise
    return task


async def _restore(processor: Processor, partition: TopicPartition, kafka: KafkaSettings) -> int:
    """Read a changelog partition to its end into the processor; how many records it had. Raises Stalled.

    Another stage may have a transaction open in the same partition. What this task has committed since lies behind it,
    and is shown once that one ends: so it is read up to what has been written at all, not to what is committed now.
    """
    reader = AIOKafkaConsumer(
        **kafka.client_options(),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    async with started(reader, kafka):
        reader.assign([partition])
        end = await written_end(kafka, partition)
        position = await reader.position(partition)
        count, moved_at = 0, time.monotonic()
        while position < end:
            records = (await reader.getmany(partition, timeout_ms=1_000)).get(partition, [])
            processor.restore((record.key, record.value) for record in records)
            count += len(records)
            before, position = position, await reader.position(partition)
            if position > before:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STALLED_AFTER_SECONDS:
                raise Stalled(
                    f"nothing received of {partition} for {STALLED_AFTER_SECONDS:.0f} s: at {position} of {end}"
                )
        return count


async def written_end(kafka: KafkaSettings, partition: TopicPartition) -> int:
    """The end of a partition, transactions that are open included."""
    reader = AIOKafkaConsumer(**kafka.client_options(), isolation_level="read_uncommitted")
    async with started(reader, kafka):
        end: int = (await reader.end_offsets([partition]))[partition]
        return end
