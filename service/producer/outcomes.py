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
from collections.abc import Iterable

import msgspec

from schemas.errors import BrokerError

RecordHeaders = list[tuple[str, bytes]]


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


class Acknowledged(msgspec.Struct, frozen=True, gc=False):
    """Where a payment stands on Kafka; `timestamp` in ms since the epoch."""

    partition: int
    offset: int
    timestamp: int
    replayed: bool = False
    """Whether it has been standing there since it was sent before."""

    def again(self) -> "Acknowledged":
        """As whoever sends the payment again is told."""
        return msgspec.structs.replace(self, replayed=True)


Outcome = Acknowledged | NotDelivered


class Delivery:
    """Payments of one request: what became of each. Await `settled`, then read `outcomes`: one for each, in order."""

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
        self.settle_each((index,), (outcome,))

    def settle_each(self, indexes: Iterable[int], outcomes: Iterable[Outcome]) -> None:
        """Settle several payments."""
        for index, outcome in zip(indexes, outcomes, strict=True):
            if self.outcomes[index] is None:
                self.outcomes[index] = outcome
                self._open -= 1
        if self._open == 0 and not self.settled.done():
            self.settled.set_result(None)


def outcome_kind(outcome: Outcome) -> str:
    """An outcome in a word, for the metrics."""
    if isinstance(outcome, Acknowledged):
        return "replayed" if outcome.replayed else "acknowledged"
    return outcome.kind


class _NotHandedIn(NotAccepted):
    kind = "invalid"


_NOT_HANDED_IN = _NotHandedIn("not handed in")
