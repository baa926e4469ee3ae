"""What becomes of payments that were handed to the producer.

BrokerError
└── NotDelivered    no receipt
    ├── NotAccepted     the payment is not on Kafka and will not be: send it again
    │   └── TooManyInFlight
    ├── IdReused        another payment has this id
    ├── Refused         Kafka said no to it
    │   └── TooLarge
    └── OutcomeUnknown  it was sent, and Kafka has not answered: it may be there, now or later
        └── NeverAnswered   nor will it: only the topic can tell
"""

import asyncio
from collections import Counter
from typing import NamedTuple, Protocol

import msgspec

from schemas.errors import BrokerError
from service.request_ids import RecordHeaders


class NotDelivered(BrokerError):
    """A payment without a receipt; `kind` and `retry_after` (seconds) are for the answer."""

    kind = "not-accepted"
    title = "Payment not accepted"
    status = 503
    retry_after: int | None = 2
    field: str | None = None


class NotAccepted(NotDelivered):
    """The payment was never sent, or was refused for no fault of its own; it will not appear on Kafka."""


class TooManyInFlight(NotAccepted):
    """As many payments are waiting for Kafka as the settings allow."""

    kind = "too-many-in-flight"
    title = "Too many payments in flight"
    retry_after = 1


class Refused(NotDelivered):
    """Kafka refused the record for good."""

    kind = "refused-by-kafka"
    title = "Refused by Kafka"
    retry_after: int | None = 60


class TooLarge(Refused):
    """The record is larger than the topic takes."""

    kind = "too-large"
    title = "Payment too large"
    status = 413
    retry_after = None


class OutcomeUnknown(NotDelivered):
    """Sent, but not answered within the deadline."""

    kind = "outcome-unknown"
    title = "Outcome unknown"
    retry_after = 5


class NeverAnswered(OutcomeUnknown):
    """Sent, and the connection on which Kafka would have answered is gone."""


class IdReused(NotDelivered):
    """Another payment was sent with this id, a short time ago."""

    kind = "id-reused"
    title = "Id reused"
    status = 409
    retry_after = None
    field = "id"


class Acknowledged(NamedTuple):
    """Where a payment stands on Kafka; `timestamp` in ms since the epoch."""

    partition: int
    offset: int
    timestamp: int


class Replayed(Acknowledged):
    """Where the payment has been standing since it was sent first."""

    __slots__ = ()


Outcome = Acknowledged | NotDelivered


class Client(Protocol):
    """Whom to tell what became of payments, each by its index."""

    @property
    def headers(self) -> RecordHeaders:
        """Of the payments' records."""

    def settle(self, index: int, outcome: Outcome) -> None:
        """Take note of an outcome; more than one may come, and the last is final."""

    def answered(self, index: int) -> bool:
        """Whether somebody was told already."""


class Delivery:
    """Payments that were handed in together. Await `settled`, then read `outcomes`: one for each, in order."""

    __slots__ = ("_open", "headers", "outcomes", "settled")

    def __init__(self, payments: int, headers: RecordHeaders) -> None:
        self.headers = headers
        self.outcomes: list[Outcome | None] = [None] * payments
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = payments

    def skip(self, index: int) -> None:
        """Count a payment as settled that was not handed in after all."""
        self.settle(index, _NOT_HANDED_IN)

    def tally(self) -> Counter[str]:
        """How many payments have which outcome, by its kind."""
        return Counter(outcome_kind(each) for each in self.outcomes if each)

    def answered(self, index: int) -> bool:
        """Whether a payment has its outcome."""
        return self.outcomes[index] is not None

    def settle(self, index: int, outcome: Outcome) -> None:
        """The first outcome stands: an acknowledgement after the deadline changes no answer."""
        if self.outcomes[index] is None:
            self.outcomes[index] = outcome
            self._open -= 1
            if self._open == 0 and not self.settled.done():
                self.settled.set_result(None)


def outcome_kind(outcome: Outcome) -> str:
    """An outcome in a word, for the metrics."""
    if isinstance(outcome, Acknowledged):
        return "replayed" if isinstance(outcome, Replayed) else "acknowledged"
    return outcome.kind


class _NotHandedIn(NotAccepted):
    kind = "invalid"


_NOT_HANDED_IN = _NotHandedIn("not handed in")


class Entry(msgspec.Struct, gc=False):
    """One payment on its way; `deadline` is on the event loop's clock, `timestamp` in ms since the epoch."""

    client: Client
    index: int
    key: bytes
    value: bytes
    timestamp: int
    deadline: float

    @property
    def size(self) -> int:
        """Bytes that count as in flight."""
        return len(self.key) + len(self.value)

    @property
    def answered(self) -> bool:
        """Whether the client has been told already."""
        return self.client.answered(self.index)

    def settle(self, outcome: Outcome) -> None:
        """Say what became of the payment."""
        self.client.settle(self.index, outcome)
