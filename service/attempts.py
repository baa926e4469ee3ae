"""One payment on its way, and all who wait for what becomes of it."""

from typing import Protocol

import msgspec

from service.deliveries import Acknowledged, Client, NeverAnswered, Outcome, OutcomeUnknown, Replayed
from service.request_ids import RecordHeaders

Order = tuple[str, int, bytes]
"""Topic, payor and value, as the producer takes them."""


class Observer(Protocol):
    """Who wants to know how attempts end."""

    def acknowledged(self, attempt: "Attempt", receipt: Acknowledged) -> None:
        """Kafka has it."""

    def not_accepted(self, attempt: "Attempt") -> None:
        """Kafka has it not, and will not."""

    def in_doubt(self, attempt: "Attempt") -> None:
        """It was sent, and Kafka will never say."""


class Attempt(msgspec.Struct, gc=False, eq=False):
    """A payment until it is known what became of it: the producer's client."""

    key: bytes
    fingerprint: bytes
    client: Client
    index: int
    order: Order
    began: float
    """A Unix time, no later than that of the payment's record."""
    observer: Observer
    doubtful: bool = False
    """Whether only the topics can tell."""
    waiting: list[tuple[Client, int]] | None = None

    @property
    def headers(self) -> RecordHeaders:
        """Of the payment's record."""
        return self.client.headers

    def answered(self, index: int) -> bool:
        """Whether the client has been told already."""
        return self.client.answered(self.index)

    def settle(self, index: int, outcome: Outcome) -> None:
        """Tell the client; and if it is the last word, those who wait as well."""
        if isinstance(outcome, Acknowledged):
            self.client.settle(self.index, outcome)
            if self.waiting:
                self._tell_waiting(Replayed(*outcome))
            self.observer.acknowledged(self, outcome)
        elif isinstance(outcome, NeverAnswered):
            self.doubtful = True
            self.tell(outcome)
            self.observer.in_doubt(self)
        elif isinstance(outcome, OutcomeUnknown):
            self.client.settle(self.index, outcome)
        else:
            self.tell(outcome)
            self.observer.not_accepted(self)

    def join(self, client: Client, index: int) -> None:
        """Tell one more what becomes of it."""
        self.waiting = self.waiting or []
        self.waiting.append((client, index))

    def tell(self, outcome: Outcome) -> None:
        """Tell all who wait."""
        self.client.settle(self.index, outcome)
        self._tell_waiting(outcome)

    def _tell_waiting(self, outcome: Outcome) -> None:
        for client, index in self.waiting or ():
            client.settle(index, outcome)
        self.waiting = None
