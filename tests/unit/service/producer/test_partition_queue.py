"""A partition's queue: outcomes when Kafka is slow, silent, or says no. Kafka is played by `Broker`."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import count
from typing import cast

import pytest
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import RecordMetadata, TopicPartition

from service.producer.connection import ProducerConnection
from service.producer.outcomes import NotAccepted, OutcomeUnknown, Receipt, Refused, TooLarge
from service.producer.partition_queue import PartitionQueue
from service.producer.records import Delivery, Records

pytestmark = pytest.mark.asyncio

Answer = Callable[[list[bytes]], BaseException | None]


class Batch:
    def __init__(self, room: int) -> None:
        self.values: list[bytes] = []
        self.room = room

    def append(self, *, timestamp: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> object:
        if len(self.values) == self.room:
            return None
        self.values.append(value)
        return object()

    def close(self) -> None:
        pass


class Broker:
    """A log of one partition; `answer` decides on a batch. It stands for the producer as well."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.batches: list[int] = []
        self.answer: Answer = lambda _: None
        self.silent: asyncio.Future[None] | None = None
        self.log_append_time = -1
        self.room = 1_000_000

    def create_batch(self) -> Batch:
        return Batch(self.room)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[RecordMetadata]:
        return asyncio.ensure_future(self._append(batch.values, TopicPartition(topic, partition)))

    async def _append(self, values: list[bytes], at: TopicPartition) -> RecordMetadata:
        if self.silent is not None:
            await self.silent
        self.batches.append(len(values))
        if (error := self.answer(values)) is not None:
            raise error
        self.log += values
        time = self.log_append_time
        return RecordMetadata(*at, at, len(self.log) - len(values), time, 0 if time == -1 else 1, 0)


class Connection:
    """Hands out the same broker again after each replacement."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.replaced = 0

    async def producer(self) -> Broker:
        return self.broker

    def replace(self, producer: Broker) -> None:
        self.replaced += 1


class Setting:
    """A queue with its broker."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.connection = Connection(self.broker)
        self.released: list[bytes] = []
        self.queue = PartitionQueue("t", 3, cast(ProducerConnection, self.connection), 0.0, self.release)
        self.times = count(1000)
        self.task = asyncio.create_task(self.queue.run())

    def send(self, *values: bytes, deadline: float = 60.0) -> Delivery:
        """Queue the payments of one request."""
        number = len(values)
        delivery = Delivery(number, [], deadline)
        self.queue.append(Records(delivery, "t", next(self.times), list(range(number)), [b"k"] * number, list(values)))
        return delivery

    def release(self, batch: Iterable[Records]) -> None:
        self.released += [value for records in batch for value in records.values]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_each_payment_gets_its_own_offset_and_its_requests_time() -> None:
    setting = Setting()
    one, other = setting.send(b"a", b"b"), setting.send(b"c")
    await other.settled
    assert one.outcomes == [Receipt(3, 0, 1000), Receipt(3, 1, 1000)]
    assert other.outcomes == [Receipt(3, 2, 1001)]
    await until(lambda: len(setting.released) == 3)


async def test_where_the_topic_keeps_append_time_that_is_the_time() -> None:
    setting = Setting()
    setting.broker.log_append_time = 77
    delivery = setting.send(b"a", b"b")
    await delivery.settled
    assert [cast(Receipt, outcome).timestamp for outcome in delivery.outcomes] == [77, 77]


async def test_what_was_not_sent_by_its_deadline_is_taken_back() -> None:
    setting = Setting()
    setting.broker.silent = asyncio.get_running_loop().create_future()
    first = setting.send(b"sent")
    await until(lambda: setting.queue.in_flight is not None)
    second = setting.send(b"waits")
    setting.queue.expire(float("inf"))
    assert isinstance(first.outcomes[0], OutcomeUnknown)
    assert isinstance(second.outcomes[0], NotAccepted)
    # What Kafka has not answered still takes up memory; what was taken back does not.
    assert setting.released == [b"waits"]
    setting.broker.silent.set_result(None)
    await until(lambda: len(setting.released) == 2)
    assert setting.broker.log == [b"sent"]
    assert isinstance(first.outcomes[0], OutcomeUnknown)


async def test_only_those_whose_deadline_has_passed_are_answered() -> None:
    setting = Setting()
    setting.broker.silent = asyncio.get_running_loop().create_future()
    setting.send(b"sent")
    await until(lambda: setting.queue.in_flight is not None)
    early, late = setting.send(b"a", deadline=1), setting.send(b"b", deadline=100)
    setting.queue.expire(asyncio.get_running_loop().time() + 50)
    assert isinstance(early.outcomes[0], NotAccepted)
    assert late.outcomes == [None]


@pytest.mark.parametrize("bad", [{0}, {6}, {3, 4}, set(range(7))])
async def test_a_record_that_is_too_large_fails_alone(bad: set[int]) -> None:
    setting = Setting()
    too_large = {b"%d" % number for number in bad}
    setting.broker.answer = lambda values: MessageSizeTooLargeError() if too_large & set(values) else None
    delivery = setting.send(*(b"%d" % number for number in range(7)))
    after = setting.send(b"after")
    await after.settled
    refused = {number for number, outcome in enumerate(delivery.outcomes) if isinstance(outcome, TooLarge)}
    assert refused == bad
    assert setting.broker.log == [b"%d" % number for number in range(7) if number not in bad] + [b"after"]
    assert setting.connection.replaced >= len(bad)
    await until(lambda: len(setting.released) == 8)


async def test_a_request_that_fits_into_no_batch_is_sent_in_several_and_in_order() -> None:
    setting = Setting()
    setting.broker.room = 4
    values = [b"%d" % number for number in range(10)]
    delivery, after = setting.send(*values), setting.send(b"after")
    await after.settled
    assert setting.broker.log == [*values, b"after"]
    assert setting.broker.batches == [4, 4, 3]
    assert [cast(Receipt, outcome).offset for outcome in delivery.outcomes] == list(range(10))


async def test_batches_grow_again_after_a_refusal() -> None:
    setting = Setting()
    setting.broker.answer = lambda values: MessageSizeTooLargeError() if b"bad" in values else None
    await setting.send(b"bad", b"x").settled
    setting.broker.batches.clear()
    await setting.send(*([b"y"] * 100)).settled
    assert setting.broker.batches[-1] > setting.broker.batches[0]


async def test_a_spent_producer_is_replaced_and_its_batch_sent_again() -> None:
    setting = Setting()
    errors: list[BaseException | None] = [OutOfOrderSequenceNumber(), OutOfOrderSequenceNumber(), None]
    setting.broker.answer = lambda _: errors.pop(0)
    delivery = setting.send(b"a", b"b")
    await delivery.settled
    assert delivery.outcomes == [Receipt(3, 0, 1000), Receipt(3, 1, 1000)]
    assert setting.connection.replaced == 2


async def test_a_payment_whose_client_was_answered_is_not_sent_again() -> None:
    setting = Setting()
    setting.broker.silent = asyncio.get_running_loop().create_future()
    setting.broker.answer = lambda _: OutOfOrderSequenceNumber()
    delivery = setting.send(b"a")
    await until(lambda: setting.queue.in_flight is not None)
    setting.queue.expire(float("inf"))
    setting.broker.silent.set_result(None)
    await until(lambda: len(setting.released) == 1)
    assert isinstance(delivery.outcomes[0], OutcomeUnknown)
    assert (setting.broker.batches, setting.broker.log) == ([1], [])


async def test_a_definite_no_is_not_called_unknown() -> None:
    setting = Setting()
    setting.broker.answer = lambda _: TopicAuthorizationFailedError("t")
    delivery = setting.send(b"a", b"b")
    await delivery.settled
    assert all(isinstance(outcome, Refused) for outcome in delivery.outcomes)
    assert setting.broker.batches == [2]


async def test_a_producer_that_died_leaves_the_outcome_unknown() -> None:
    setting = Setting()
    setting.broker.answer = lambda _: KafkaError("Unexpected error during batch delivery")
    delivery = setting.send(b"a")
    await delivery.settled
    assert isinstance(delivery.outcomes[0], OutcomeUnknown)
    assert setting.connection.replaced == 1
