"""Outcomes of payments that were handed to the producer: a receipt, or an error that says what Kafka has.

BrokerError
└── NotDelivered    no receipt
    ├── NotAccepted     the payment is not on Kafka and will not be: send it again
    │   ├── Invalid         it breaks a rule, and was not handed in
    │   └── TooManyInFlight
    ├── IdReused        another payment has this id
    ├── Refused         Kafka said no to it
    │   └── TooLarge
    └── OutcomeUnknown  it was sent, and Kafka has not answered: it may be there, now or later
        └── NeverAnswered   nor will it: only the topic can tell
"""

from typing import ClassVar

import msgspec

from schemas.errors import BrokerError


class NotDelivered(BrokerError):
    """A payment without a receipt; `kind` names the outcome in a word, for metrics and problems."""

    kind = "not-accepted"


class NotAccepted(NotDelivered):
    """The payment was never sent, or was refused for no fault of its own; it will not appear on Kafka."""


class Invalid(NotAccepted):
    """The payment breaks a rule."""

    kind = "invalid"


class TooManyInFlight(NotAccepted):
    """No room: as many payments are waiting for Kafka as the settings allow."""

    kind = "too-many-in-flight"


class Refused(NotDelivered):
    """Kafka refused the record for good."""

    kind = "refused-by-kafka"


class TooLarge(Refused):
    """The record is larger than the topic takes."""

    kind = "too-large"


class OutcomeUnknown(NotDelivered):
    """Sent, but not answered within the deadline."""

    kind = "outcome-unknown"


class NeverAnswered(OutcomeUnknown):
    """Sent, and the connection on which Kafka would have answered is gone."""


class IdReused(NotDelivered):
    """Another payment was sent with this id, a short time ago."""

    kind = "id-reused"


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Partition, offset and timestamp (ms since the epoch) of a record that Kafka has acknowledged."""

    partition: int
    offset: int
    timestamp: int

    kind: ClassVar[str] = "acknowledged"
    """The outcome in a word, for metrics."""
    replayed: ClassVar[bool] = False

    def after(self, rows: int) -> "Receipt":
        """Make the receipt of the record so many rows after this one."""
        return Receipt(self.partition, self.offset + rows, self.timestamp)

    def replay(self) -> "Receipt":
        """Copy the receipt for a client that sends the payment again."""
        return ReplayedReceipt(self.partition, self.offset, self.timestamp)


class ReplayedReceipt(Receipt, frozen=True, gc=False):
    """The receipt of a record that was acknowledged before: the payment was sent again."""

    kind = "replayed"
    replayed = True


Outcome = Receipt | NotDelivered
