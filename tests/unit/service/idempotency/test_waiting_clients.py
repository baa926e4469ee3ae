"""Clients that wait for another's payment."""

from service.idempotency.waiting_clients import WaitingClients
from service.producer.outcomes import OutcomeUnknown, ReplayedReceipt
from service.producer.records import Delivery

ID, RECEIPT, UNKNOWN = b"i" * 16, ReplayedReceipt(1, 2, 3), OutcomeUnknown("?")


async def test_all_who_wait_for_a_payment_get_its_outcome() -> None:
    clients, deliveries = WaitingClients(), [Delivery(1, [], 60.0) for _ in range(2)]
    for delivery in deliveries:
        clients.add(ID, delivery, 0)
    clients.settle(b"o" * 16, UNKNOWN)
    assert len(clients) == 1
    clients.settle(ID, RECEIPT)
    assert [delivery.outcomes for delivery in deliveries] == [[RECEIPT], [RECEIPT]]
    assert len(clients) == 0


async def test_each_waits_to_its_own_deadline_whoever_came_first() -> None:
    clients, late, early = WaitingClients(), Delivery(1, [], 60.0), Delivery(1, [], 1.0)
    clients.add(ID, late, 0)
    clients.add(ID, early, 0)
    clients.expire(early.deadline, UNKNOWN)
    assert (early.outcomes, late.outcomes) == ([UNKNOWN], [None])
    clients.settle(ID, RECEIPT)
    assert (early.outcomes, late.outcomes) == ([UNKNOWN], [RECEIPT])
    clients.expire(late.deadline, UNKNOWN)
    assert not clients._by_deadline
