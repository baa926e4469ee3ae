"""Records of payments on their way to Kafka, as columns: those of a request that share a fate stay together."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Protocol, TypeVar

import msgspec

from schemas.kafka.partitioning import partition_of, partitions_of
from service.producer.outcomes import Invalid, NeverAnswered, NotDelivered, Outcome, Receipt

RecordHeaders = list[tuple[str, bytes]]
T = TypeVar("T")


class Delivery:
    """The payments of a request: once it is `settled`, `outcomes` has one for each payment, in order."""

    __slots__ = ("_on_settled", "_open", "_settled", "deadline", "headers", "outcomes")

    def __init__(
        self,
        payments: int,
        headers: RecordHeaders,
        seconds: float,
        on_settled: Callable[["Delivery"], None] | None = None,
    ) -> None:
        """Expect outcomes of so many payments within so many seconds; `headers` are those of each record.

        `on_settled` is called amid the outcomes of others: it raises nothing, and hands nothing in.
        """
        self.headers = headers
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.outcomes: list[Outcome | None] = [None] * payments
        self._open = payments
        self._settled: asyncio.Future[None] | None = None
        self._on_settled = on_settled

    @property
    def settled(self) -> asyncio.Future[None]:
        """Future that is done once each payment has its outcome."""
        if self._settled is None:
            self._settled = asyncio.get_running_loop().create_future()
            if not self._open:
                self._settled.set_result(None)
        return self._settled

    def reject(self, position: int) -> None:
        """Settle a payment that is not handed in."""
        self.settle(position, _INVALID)

    def settle(self, position: int, outcome: Outcome) -> None:
        """Settle a payment; the first outcome stands: an acknowledgement after the deadline changes no response."""
        self.settle_all((position,), (outcome,))

    def settle_all(self, positions: Iterable[int], outcomes: Iterable[Outcome]) -> None:
        """Settle several payments, as `settle` does."""
        if not self._open:
            return
        for position, outcome in zip(positions, outcomes, strict=True):
            if self.outcomes[position] is None:
                self.outcomes[position] = outcome
                self._open -= 1
        if self._open:
            return
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        if self._on_settled is not None:
            self._on_settled(self)

    def tally(self) -> Counter[str]:
        """Count the payments by the kind of their outcome."""
        tally: Counter[str] = Counter()
        kinds: Counter[type[Outcome]] = Counter(map(type, filter(None, self.outcomes)))
        for kind, number in kinds.items():
            tally[kind.kind] += number
        return tally


_INVALID = Invalid("not handed in")


class Records(msgspec.Struct, gc=False, eq=False):
    """Payments of one delivery to one topic as columns, a row a payment; `timestamp` in ms since the epoch.

    `positions` are those in the delivery. `ids` and `fingerprints` are for deduplication, and empty without it.
    """

    delivery: Delivery
    topic: str
    timestamp: int
    positions: Sequence[int]
    keys: list[bytes]
    values: list[bytes]
    ids: list[bytes] = []
    fingerprints: list[bytes] = []
    count: int = 0
    size: int = 0
    """Bytes that count as in flight."""

    def __post_init__(self) -> None:
        """Measure the records, once."""
        self.count = len(self.positions)
        self.size = sum(map(len, self.keys)) + sum(map(len, self.values))

    @property
    def has_response(self) -> bool:
        """True where the client has its response already."""
        return self.delivery.outcomes[self.positions[0]] is not None

    def fingerprint(self, payment_id: bytes) -> bytes:
        """Find the fingerprint of a row by its id; the first such row counts."""
        return self.fingerprints[self.ids.index(payment_id)]

    def select(self, rows: Sequence[int]) -> "Records":
        """Copy some rows, in this order."""
        if len(rows) == len(self.positions):
            return self
        columns = (self.positions, self.keys, self.values, self.ids, self.fingerprints)
        selected = [_take(column, rows) if column else [] for column in columns]
        return Records(self.delivery, self.topic, self.timestamp, *selected)  # type: ignore[arg-type]

    def split(self, row: int) -> tuple["Records", "Records"]:
        """Part the rows before a row from the rest; neither part may be empty."""
        return self.select(range(row)), self.select(range(row, self.count))

    def by_partition(self, partitions: int) -> Iterator[tuple[int, "Records"]]:
        """Part the rows by the partition of their key."""
        if self.count == 1:
            yield partition_of(self.keys[0], partitions), self
            return
        rows: defaultdict[int, list[int]] = defaultdict(list)
        for row, partition in enumerate(partitions_of(self.keys, partitions)):
            rows[partition].append(row)
        for partition, row_numbers in rows.items():
            yield partition, self.select(row_numbers)

    def settle(self, outcome: NotDelivered) -> None:
        """Give every row this outcome."""
        self.delivery.settle_all(self.positions, [outcome] * len(self.positions))

    def receipts(self, first_receipt: Receipt) -> list[Receipt]:
        """Make the rows' receipts, at consecutive offsets from the first."""
        first = first_receipt.offset
        offsets = range(first, first + self.count)
        return list(map(Receipt, repeat(first_receipt.partition), offsets, repeat(first_receipt.timestamp)))


class Observer(Protocol):
    """An observer of delivery reports, beside the client."""

    def acknowledge(self, records: Records, first_receipt: Receipt) -> None:
        """Take note that Kafka has the records, the first at this place and the others at the offsets after it."""

    def reject(self, records: Records, outcome: NotDelivered) -> None:
        """Take note that Kafka does not have the records, and will not."""

    def doubt(self, records: Records, outcome: NeverAnswered) -> None:
        """Take note that the records were sent, and that Kafka will never say what became of them."""


def _take(column: Sequence[T], rows: Sequence[int]) -> list[T]:
    """Copy some rows of a column."""
    return list(itemgetter(*rows)(column)) if len(rows) > 1 else [column[row] for row in rows]


def milliseconds() -> int:
    """The time, as records have it."""
    return int(time.time() * 1000)
