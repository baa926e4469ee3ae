"""Payments on their way to Kafka: those of one request that go to one partition travel together, as a parcel."""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from aiokafka.producer.message_accumulator import BatchBuilder

from service.producer.outcomes import Acknowledged, Delivery, NeverAnswered, NotDelivered, OutcomeUnknown


class Outgoing(msgspec.Struct, gc=False, eq=False):
    """A payment as Kafka gets it; `index` is its place in the request.

    Its id and its fingerprint are for `Once`; `began` is a Unix time, no later than that of the payment's record.
    """

    index: int
    payor: bytes
    value: bytes
    id: bytes = b""
    fingerprint: bytes = b""
    began: float = 0.0


class Observer(Protocol):
    """Who wants to know what becomes of payments, beside the client."""

    def acknowledged(self, payments: Sequence[Outgoing], receipts: Sequence[Acknowledged]) -> None:
        """Kafka has them."""

    def not_accepted(self, payments: Sequence[Outgoing], outcome: NotDelivered) -> None:
        """Kafka has them not, and will not."""

    def in_doubt(self, payments: Sequence[Outgoing], outcome: NeverAnswered) -> None:
        """They were sent, and Kafka will never say."""


class Parcel(msgspec.Struct, gc=False, eq=False):
    """Payments with one fate; `deadline` is on the event loop's clock, `timestamp` in ms since the epoch."""

    client: Delivery
    payments: list[Outgoing]
    timestamp: int
    deadline: float
    observer: Observer | None = None

    @property
    def size(self) -> int:
        """Bytes that count as in flight."""
        return sum([len(each.payor) + len(each.value) for each in self.payments])

    @property
    def answered(self) -> bool:
        """Whether the client has been told already."""
        return self.client.answered(self.payments[0].index)

    def split(self, at: int) -> tuple["Parcel", "Parcel"]:
        """The first so many payments, and the others."""
        return (
            msgspec.structs.replace(self, payments=self.payments[:at]),
            msgspec.structs.replace(self, payments=self.payments[at:]),
        )

    def fill(self, batch: BatchBuilder, most: int) -> int:
        """Put payments into a batch, in order, as far as there is room; how many went in."""
        append, timestamp, headers = batch.append, self.timestamp, self.client.headers
        for number, each in enumerate(self.payments):
            if number == most:
                return number
            if append(timestamp=timestamp, key=each.payor, value=each.value, headers=headers) is None:
                return number
        return len(self.payments)

    def acknowledge(self, partition: int, offset: int, timestamp: int) -> None:
        """Say that they stand on Kafka, one after the other from there."""
        receipts = [Acknowledged(partition, at, timestamp) for at in range(offset, offset + len(self.payments))]
        self.client.settle_each([each.index for each in self.payments], receipts)
        if self.observer is not None:
            self.observer.acknowledged(self.payments, receipts)

    def settle(self, outcome: NotDelivered) -> None:
        """Say what became of them; after OutcomeUnknown there may be more to say."""
        for each in self.payments:
            self.client.settle(each.index, outcome)
        if self.observer is None:
            return
        if isinstance(outcome, NeverAnswered):
            self.observer.in_doubt(self.payments, outcome)
        elif not isinstance(outcome, OutcomeUnknown):
            self.observer.not_accepted(self.payments, outcome)
