"""Records that were rejected, and the way back for those that are payments by now: their schema has come, or a reader.

A record that is sent on leaves a mark on `payment_rejected`, in the same transaction: a record without a value, whose
header `redriven` says which one it was. So whoever has read the topic to its end knows what was sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.structs import ConsumerRecord

from schemas.kafka.topics import RAW_TOPICS

REDRIVEN = "redriven"
_ORIGIN = ("reason", "topic", "partition", "offset", "timestamp")
"""Headers that a record gets as it is rejected, in this order, behind its own."""
_SIZE = "size"
"""A further one, where only the beginning of its value was kept."""

RejectedPlace = tuple[int, int]
"""Partition and offset on `payment_rejected`."""


@dataclass(frozen=True)
class RejectedRecord:
    """A record as it came to its topic, and what became of it there. Times are ms since the epoch."""

    place: RejectedPlace
    rejected_at: int
    reason: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    is_whole: bool

    @property
    def mark(self) -> tuple[str, bytes]:
        """The header of the record that says that this one was sent on."""
        partition, offset = self.place
        return REDRIVEN, b"%d/%d" % (partition, offset)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The rejected records to judge anew; None stands for any."""

    reason: str | None = None
    topic: str | None = None
    since_ms: int | None = None

    def takes(self, record: RejectedRecord) -> bool:
        """True for a record of the topic, rejected since then, whose reason has these words in it."""
        return (
            (self.reason is None or self.reason.lower() in record.reason.lower())
            and (self.topic is None or self.topic == record.topic)
            and (self.since_ms is None or self.since_ms <= record.rejected_at)
        )


def place_of_mark(record: ConsumerRecord) -> RejectedPlace | None:
    """The place of the record that was sent on, where this one is the mark of that."""
    mark = next((value for name, value in record.headers if name == REDRIVEN), None)
    if record.value is not None or mark is None:
        return None
    partition, _, offset = mark.partition(b"/")
    return (int(partition), int(offset)) if partition.isdigit() and offset.isdigit() else None


def rejected_record(record: ConsumerRecord) -> RejectedRecord | None:
    """A record of `payment_rejected` as it came, None for any other: a mark, or what was rejected of our own topics."""
    headers = list(record.headers)
    is_whole = not (headers and headers[-1][0] == _SIZE)
    own = headers if is_whole else headers[:-1]
    origin = own[-len(_ORIGIN) :]
    if tuple(name for name, _ in origin) != _ORIGIN:
        return None
    reason, topic, *numbers = (value.decode(errors="replace") for _, value in origin)
    if topic not in RAW_TOPICS or not all(number.removeprefix("-").isdecimal() for number in numbers):
        return None
    partition, offset, timestamp = map(int, numbers)
    return RejectedRecord(
        place=(record.partition, record.offset),
        rejected_at=record.timestamp,
        reason=reason,
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=timestamp,
        key=record.key,
        value=record.value,
        headers=own[: -len(_ORIGIN)],
        is_whole=is_whole,
    )
