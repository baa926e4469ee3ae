"""A stage: a name, its input topics, and what to do with a task's records.

A stage knows nothing of Kafka's protocol: records in, records out. The loop around it (`task`, `worker`) makes each
batch one transaction.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiokafka.structs import ConsumerRecord

Headers = Sequence[tuple[str, bytes]]


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record to write. `timestamp` is ms since the epoch, None for now."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int | None = None
    headers: Headers = ()


class Processor(Protocol):
    """A stage's work in one task. Its state is this task's alone, and as of the last committed batch."""

    async def prepare(self, records: Sequence[ConsumerRecord]) -> None:
        """Ask for what has to be there before `process`, such as schemas that are not known yet."""

    def process(self, records: Sequence[ConsumerRecord], now: float) -> list[Output]:
        """Return what to write for these records. `now` is a monotonic clock's seconds."""

    def restore(self, changelog: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take in the task's changelog, a chunk at a time, in order."""

    async def restored(self) -> None:
        """Make the state of the changelog, which has ended. Comes once, and before any record."""

    @property
    def pending(self) -> bool:
        """True if `process` has something to write even if no record comes. A task opens by writing all of it."""

    def committed(self) -> None:
        """Count what the last `process` did, once its transaction has ended."""

    def closed(self) -> None:
        """The task is no longer here: its gauges go, too."""


Partitions = dict[str, int]
"""Counts of partitions, by topic."""


@dataclass(frozen=True)
class Stage:
    """A step of a payment's way."""

    name: str
    group: str
    """Consumer group, after the installation's name and a hyphen."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    processor: Callable[[int, Partitions], Processor]
    """Makes the processor of a task, given its partition number."""

    changelog: str | None = None
    """Compacted topic with the task's state, in the partition of the task's number."""

    drift_ms: int | None = None
    """Event time that one batch may span where several partitions go into one (see `partition_group`)."""
