"""Clients that sent a payment again while its first record has no outcome: they get that outcome, or their deadline."""

import heapq
from itertools import count

from service.producer.outcomes import Outcome, OutcomeUnknown
from service.producer.records import Delivery


class WaitingClients:
    """Deliveries that wait, by payment id; `position` is the payment's in the delivery."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, list[tuple[Delivery, int]]] = {}
        self._by_deadline: list[tuple[float, int, bytes]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, payment_id: bytes, delivery: Delivery, position: int) -> None:
        """Let a client wait for the outcome of a payment."""
        self._by_id.setdefault(payment_id, []).append((delivery, position))
        heapq.heappush(self._by_deadline, (delivery.deadline, next(self._numbers), payment_id))

    def settle(self, payment_id: bytes, outcome: Outcome) -> None:
        """Tell everybody who waits for a payment what became of it."""
        for delivery, position in self._by_id.pop(payment_id, ()):
            delivery.settle(position, outcome)

    def expire(self, now: float, outcome: OutcomeUnknown) -> None:
        """Tell those whose deadline has passed that the outcome is unknown; `now` on the event loop's clock."""
        while self._by_deadline and self._by_deadline[0][0] <= now:
            _, _, payment_id = heapq.heappop(self._by_deadline)
            patient = []
            for delivery, position in self._by_id.pop(payment_id, ()):
                if delivery.deadline <= now:
                    delivery.settle(position, outcome)
                else:
                    patient.append((delivery, position))
            if patient:
                self._by_id[payment_id] = patient
