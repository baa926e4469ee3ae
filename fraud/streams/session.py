"""A session of a worker: its membership in the group, from joining it to the first error.

It opens the tasks that it is assigned, and commits a batch of each per commit interval.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition

from fraud.streams import metrics
from fraud.streams.partition_group import PartitionGroup
from fraud.streams.stage import Stage
from fraud.streams.task import STALLED_AFTER_SECONDS, Stalled, Task

MAX_RECORDS = 20_000
MAX_WAIT_SECONDS = 5.0
COMMIT_SECONDS = 60.0
LAST_COMMIT_SECONDS = 3.0
"""Time for the commit under way, and for the last one, once the worker is to stop."""
PING_SECONDS = 2.0

log = structlog.get_logger(__name__)

OpenTask = Callable[[int, AIOKafkaConsumer], Awaitable[Task]]


class _State(Enum):
    JOINING = auto()
    ASSIGNED = auto()
    RUNNING = auto()


class Session(ConsumerRebalanceListener):  # type: ignore[misc]
    """A membership in the group, from joining it to the first error.

    Every rebalance goes from RUNNING to JOINING (revoked) to ASSIGNED; opening the assigned tasks leads to RUNNING.
    """

    def __init__(
        self,
        stage: Stage,
        consumer: AIOKafkaConsumer,
        tasks: dict[int, Task],
        open_task: OpenTask,
        stopping: asyncio.Event,
        interval: float,
    ) -> None:
        """Take the tasks that are open here; the worker closes them. `interval`: seconds between two commits."""
        self._stopping = stopping
        self._stage = stage
        self._consumer = consumer
        self._tasks = tasks
        self._open_task = open_task
        self._interval = interval
        self._partition_group = PartitionGroup(stage.drift_ms)
        self._state = _State.JOINING
        self._assigned: set[TopicPartition] = set()
        self._committing = asyncio.Lock()
        self._catching_up = False
        self._received_at = time.monotonic()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the batch under way finish before the group rebalances, so that its work is not lost."""
        async with self._committing:
            self._state = _State.JOINING

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take note of an assignment. Tasks open outside of this callback: the group would not wait for a restore."""
        self._assigned = set(assigned)
        self._consumer.pause(*self._assigned)
        self._state = _State.ASSIGNED

    async def missing(self) -> str | None:
        """Return what this session waits for. Having joined and been given no tasks is well: others have them all."""
        if self._state is not _State.RUNNING:
            joining = self._state is _State.JOINING
            return "it is joining its group" if joining else "its tasks get their state back"
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._consumer.topics()
        except (KafkaError, TimeoutError) as error:
            return f"Kafka does not answer: {str(error) or 'nothing came in time'}"
        return None

    async def step(self) -> None:
        """Collect records for at most one commit interval, and commit a batch of each task that has any."""
        until = time.monotonic() + self._interval
        if self._state is _State.ASSIGNED:
            await _run_unless(self._stopping, self._open_tasks(frozenset(self._assigned)))
        if self._state is _State.RUNNING and self._assigned:
            records = await self._collect(until)
            async with self._committing:
                if self._state is _State.RUNNING:
                    await self._commit(records, time.monotonic())
            await _run_unless(self._stopping, self._check_progress())
        else:
            with suppress(TimeoutError):  # what it may return is read again: opening tasks seeks
                async with asyncio.timeout(self._interval):
                    await self._consumer.getmany(timeout_ms=math.ceil(1000 * self._interval))

    async def finish(self) -> None:
        """Write what the tasks were still to write of what they have read: cases of hot windows."""
        async with self._committing:
            if self._state is _State.RUNNING:
                await self._commit([], now=math.inf)

    async def _open_tasks(self, assigned: frozenset[TopicPartition]) -> None:
        """Close the tasks that went elsewhere, open those that came, and go on where each was committed."""
        numbers = {partition.partition for partition in assigned}
        closing = [self._tasks.pop(number) for number in list(self._tasks) if number not in numbers]
        await asyncio.gather(*(task.close() for task in closing))
        metrics.LAG.remove_by_labels({"stage": self._stage.name})
        await _gather_all(self._open(number) for number in numbers - self._tasks.keys())
        if self._state is not _State.ASSIGNED or assigned != self._assigned:
            return  # the next rebalance has begun, or ended, meanwhile
        self._partition_group.assign(assigned)
        for partition in assigned:
            self._consumer.seek(partition, self._tasks[partition.partition].positions[partition])
        self._consumer.resume(*assigned)
        self._received_at = time.monotonic()
        self._state = _State.RUNNING
        metrics.TASKS.labels(self._stage.name).set(len(numbers))
        log.info("tasks assigned", stage=self._stage.name, tasks=sorted(numbers))

    async def _open(self, number: int) -> None:
        """Open a task, and keep it even if another one's opening fails: the end of the session closes it."""
        self._tasks[number] = await self._open_task(number, self._consumer)

    async def _collect(self, until: float) -> list[ConsumerRecord]:
        """Records in order of time: what comes until the interval is over, or at once what is there already."""
        group = self._partition_group
        while self._state is _State.RUNNING:
            if hungry := group.short_of(MAX_RECORDS):
                wait_ms = 0 if self._catching_up else max(0, math.ceil(1000 * (until - time.monotonic())))
                for partition, records in (await self._consumer.getmany(*hungry, timeout_ms=wait_ms)).items():
                    group.add(partition, records)
                    self._received_at = time.monotonic()
            if self._catching_up or time.monotonic() >= until or group.buffered() >= MAX_RECORDS:
                at_end = {partition for partition in self._assigned if await self._at_end(partition)}
                batch = group.take(at_end, MAX_RECORDS)
                self._catching_up = bool(batch) and group.buffered() > 0
                return batch
        return []

    async def _at_end(self, partition: TopicPartition) -> bool:
        """True if the partition has been read to its end as far as is known; after a while of silence, in any case.

        What tasks that run here have written to it is known.
        """
        end = self._consumer.last_stable_offset(partition)
        if end is not None:
            position = await self._consumer.position(partition)
            behind = max(0, end - position)
            metrics.LAG.labels(self._stage.name, partition.topic, partition.partition).set(behind)
            if not behind and position > self._written(partition):
                return True
        return time.monotonic() - self._received_at > MAX_WAIT_SECONDS

    def _written(self, partition: TopicPartition) -> int:
        """The last offset in a partition that is known to have been written; -1 if none is."""
        return max((task.written.get(partition, -1) for task in self._tasks.values()), default=-1)

    async def _commit(self, records: Iterable[ConsumerRecord], now: float) -> None:
        batches: dict[int, list[ConsumerRecord]] = defaultdict(list)
        for record in records:
            batches[record.partition].append(record)
        async with asyncio.timeout(COMMIT_SECONDS) as limit, _shorten_once(self._stopping, limit):
            await _gather_all(
                task.commit(batches[number], now)
                for number, task in self._tasks.items()
                if number in batches or task.processor.pending
            )

    async def _check_progress(self) -> None:
        """Raise Stalled where nothing came for a while although there is something: consumers do fall silent."""
        if time.monotonic() - self._received_at < STALLED_AFTER_SECONDS:
            return
        positions = {partition: await self._consumer.position(partition) for partition in self._assigned}
        ends = await self._consumer.end_offsets(list(positions))
        behind = {
            f"{partition.topic}-{partition.partition}": ends[partition] - at
            for partition, at in positions.items()
            if ends[partition] > at
        }
        if behind:
            raise Stalled(f"nothing received for {STALLED_AFTER_SECONDS:.0f} s, yet there is: {behind}")
        self._received_at = time.monotonic()


async def _gather_all(awaitables: Iterable[Awaitable[None]]) -> None:
    """Await all; every one has ended before the first error is raised, so that nothing goes on behind one's back."""
    for result in await asyncio.gather(*awaitables, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _run_unless(event: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do the work, or cut it short as soon as the event is set: where Kafka is away, opening tasks does not end."""
    working, timer = asyncio.create_task(work), asyncio.create_task(event.wait())
    try:
        await asyncio.wait({working, timer}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        working.cancel()
        timer.cancel()
        await asyncio.gather(working, timer, return_exceptions=True)


@asynccontextmanager
async def _shorten_once(event: asyncio.Event, limit: asyncio.Timeout) -> AsyncIterator[None]:
    """Leave no more than `LAST_COMMIT_SECONDS` of a limit once the event is set."""

    async def shorten() -> None:
        await event.wait()
        limit.reschedule(asyncio.get_running_loop().time() + LAST_COMMIT_SECONDS)

    timer = asyncio.create_task(shorten())
    try:
        yield
    finally:
        timer.cancel()
