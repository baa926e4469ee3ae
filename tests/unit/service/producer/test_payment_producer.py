"""The producer's bounds: payments and bytes in flight, deadlines, and its end. Kafka is silent, or away."""

import asyncio
from typing import Any, cast

from service.producer.connection import ProducerConnection
from service.producer.outcomes import NeverAnswered, NotAccepted, NotDelivered, OutcomeUnknown, Receipt, TooManyInFlight
from service.producer.payment_producer import PaymentProducer
from service.producer.records import Delivery, Records


class Connection:
    """A connection that never has a producer."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = {"t": partitions} if partitions else {}
        self.reason = "still connecting"
        self.closed = False

    async def producer(self) -> Any:
        await asyncio.Event().wait()

    def replace(self, producer: object) -> None:
        """There is none."""

    async def close(self, seconds: float) -> None:
        self.closed = True


class Reports:
    """An observer that counts."""

    def __init__(self) -> None:
        self.rejected: list[bytes] = []

    def acknowledge(self, records: Records, first_receipt: Receipt) -> None:
        raise AssertionError("nothing is acknowledged here")

    def reject(self, records: Records, outcome: NotDelivered) -> None:
        self.rejected += records.values

    def doubt(self, records: Records, outcome: NeverAnswered) -> None:
        raise AssertionError("nothing is sent here")


def producer(connection: Connection, *, max_in_flight: int = 100, max_in_flight_bytes: int = 1000) -> PaymentProducer:
    payment_producer = PaymentProducer(
        cast(ProducerConnection, connection),
        linger=0.0,
        max_in_flight=max_in_flight,
        max_in_flight_bytes=max_in_flight_bytes,
    )
    payment_producer.observer = Reports()
    return payment_producer


def send(to: PaymentProducer, number: int, *, seconds: float = 60.0) -> Delivery:
    delivery = Delivery(number, [], seconds)
    to.submit(Records(delivery, "t", 1000, list(range(number)), [b"k"] * number, [b"value"] * number))
    return delivery


async def test_payments_above_the_bounds_are_refused_and_the_others_taken() -> None:
    for bounds in ({"max_in_flight": 2}, {"max_in_flight_bytes": 12}):
        full = producer(Connection(), **bounds)
        delivery = send(full, 3)
        assert [type(outcome) for outcome in delivery.outcomes] == [type(None), type(None), TooManyInFlight]
        assert (full.in_flight, full.in_flight_bytes) == (2, 12)
        assert isinstance(send(full, 1).outcomes[0], TooManyInFlight)
        await full.close(0.0)


async def test_without_a_connection_nothing_is_taken_and_the_reason_is_told() -> None:
    unconnected = producer(Connection(partitions=0))
    [outcome] = send(unconnected, 1).outcomes
    assert isinstance(outcome, NotAccepted)
    assert "still connecting" in str(outcome)
    assert unconnected.in_flight == 0
    await unconnected.close(0.0)


async def test_a_record_that_was_never_sent_expires_at_its_deadline_and_its_observer_learns_it() -> None:
    idle = producer(Connection())
    delivery = send(idle, 2, seconds=0.3)
    await asyncio.wait_for(delivery.settled, 5)
    assert [type(outcome) for outcome in delivery.outcomes] == [NotAccepted, NotAccepted]
    assert (idle.in_flight, idle.in_flight_bytes) == (0, 0)
    assert cast(Reports, idle.observer).rejected == [b"value"] * 2
    await idle.close(0.0)


async def test_at_the_end_nobody_is_left_waiting() -> None:
    connection = Connection()
    ending = producer(connection)
    delivery = send(ending, 1)
    await ending.close(0.0)
    assert isinstance(delivery.outcomes[0], NotAccepted)
    assert not isinstance(delivery.outcomes[0], OutcomeUnknown)
    assert connection.closed
