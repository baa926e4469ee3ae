"""Each payment once: who is told what, and what the producer gets. The producer is played by `Producer`."""

import asyncio
import multiprocessing
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.payment import Payment
from service.idempotency.deduplicator import Once
from service.idempotency.fingerprints import fingerprint, key
from service.idempotency.processes import Owners
from service.idempotency.receipts import NOBODY, Receipts, record
from service.producer.outcomes import (
    Acknowledged,
    Delivery,
    IdReused,
    NeverAnswered,
    NotAccepted,
    NotDelivered,
    OutcomeUnknown,
)
from service.producer.payment_producer import PaymentProducer
from service.producer.pending_records import Observer, Outgoing, Parcel

pytestmark = pytest.mark.asyncio

PLACE = Acknowledged(3, 17, 1_795_492_000_000)
REPLAYED = PLACE.again()
UNKNOWN, NOT_THERE, LOST = OutcomeUnknown("?"), NotAccepted("no"), NeverAnswered("?")


class Given:
    """A payment that the producer was given: what becomes of it, the test says."""

    def __init__(self, client: Delivery, payment: Outgoing, observer: Observer) -> None:
        self.parcel = Parcel(client, [payment], PLACE.timestamp, 0.0, observer)

    def settle(self, outcome: NotDelivered) -> None:
        self.parcel.settle(outcome)

    def acknowledge(self) -> None:
        self.parcel.acknowledge(PLACE.partition, PLACE.offset, PLACE.timestamp)


class Producer:
    def __init__(self) -> None:
        self.given: list[Given] = []

    def submit(self, client: Delivery, topic: str, payments: list[Outgoing], observer: Observer) -> None:
        self.given += [Given(client, each, observer) for each in payments]


class Process:
    """One process of a service."""

    def __init__(self, folder: Path, *, shared: bool = False, deadline: float = 60.0) -> None:
        self.producer = Producer()
        self.receipts = Receipts(folder, 600)
        self.owners = Owners(folder)
        producer = cast(PaymentProducer, self.producer)
        self.once = Once(producer, self.receipts, self.owners, shared=shared, deadline=deadline)
        self.once.caught_up([], 0)

    def send(self, *payments: Payment, topic: str = "payment_json") -> Delivery:
        delivery = Delivery(len(payments), [])
        outgoing = [
            Outgoing(index, b"3", b"value", key(each.id), fingerprint(topic, each), time.time())
            for index, each in enumerate(payments)
        ]
        self.once.submit(delivery, topic, outgoing)
        return delivery

    async def given(self, number: int) -> Given:
        await until(lambda: len(self.producer.given) == number)
        return self.producer.given[-1]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def payment(**changes: Any) -> Payment:
    return Payment(
        **{
            "id": str(uuid.uuid4()),
            "payee_bank": "B",
            "payee_account_no": 1,
            "payment_amount": 2.5,
            "payment_method": "ACH",
            "payor_account_no": 3,
            **changes,
        }
    )


@pytest.mark.parametrize("shared", [False, True])
async def test_who_sends_again_waits_for_the_first_and_gets_its_receipt(tmp_path: Path, *, shared: bool) -> None:
    process = Process(tmp_path, shared=shared)
    sent = payment()
    first, second = process.send(sent, sent), process.send(sent)
    (await process.given(1)).acknowledge()
    assert [*first.outcomes, *second.outcomes] == [PLACE, REPLAYED, REPLAYED]
    assert process.send(sent).outcomes[0] == REPLAYED
    await process.once.close()
    later = Process(tmp_path, shared=shared)
    again = later.send(sent)
    await again.settled
    assert again.outcomes == [REPLAYED]
    assert later.producer.given == []
    await later.once.close()


async def test_the_same_id_with_something_else_is_refused_in_flight_and_after(tmp_path: Path) -> None:
    process = Process(tmp_path)
    sent = payment()
    other = payment(id=sent.id.upper(), payment_amount=2.51)
    assert isinstance(process.send(sent, other).outcomes[1], IdReused)
    (await process.given(1)).acknowledge()
    assert isinstance(process.send(other).outcomes[0], IdReused)
    await until(lambda: not process.once._done)
    for refused in (process.send(other), process.send(sent, topic="payment_avro")):
        await refused.settled
        assert isinstance(refused.outcomes[0], IdReused)
    assert len(process.producer.given) == 1
    await process.once.close()


@pytest.mark.parametrize("shared", [False, True])
async def test_what_was_not_accepted_is_sent_again(tmp_path: Path, *, shared: bool) -> None:
    process = Process(tmp_path, shared=shared)
    sent = payment()
    first = process.send(sent, sent)
    (await process.given(1)).settle(NOT_THERE)
    assert first.outcomes == [NOT_THERE, NOT_THERE]
    second = process.send(sent)
    (await process.given(2)).acknowledge()
    assert second.outcomes[0] == PLACE
    await asyncio.sleep(0.12)  # what was given back is not given back once more
    assert (process.send(sent).outcomes[0] or await settled(process.send(sent))) == REPLAYED
    await process.once.close()


async def settled(delivery: Delivery) -> Any:
    await delivery.settled
    return delivery.outcomes[0]


async def test_after_an_unknown_outcome_a_retry_gets_the_receipt_that_comes_late(tmp_path: Path) -> None:
    process = Process(tmp_path)
    sent = payment()
    first = process.send(sent)
    client = await process.given(1)
    client.settle(UNKNOWN)
    assert first.outcomes == [UNKNOWN]
    retry = process.send(sent)
    assert retry.outcomes == [None]
    client.acknowledge()
    assert retry.outcomes[0] == REPLAYED
    assert len(process.producer.given) == 1
    await process.once.close()


async def test_a_retry_is_answered_by_its_own_deadline(tmp_path: Path) -> None:
    process = Process(tmp_path, deadline=0.2)
    sent = payment()
    process.send(sent)
    await process.given(1)
    retry = process.send(sent)
    await asyncio.wait_for(retry.settled, 2)
    assert isinstance(retry.outcomes[0], OutcomeUnknown)
    await process.once.close()


async def test_where_kafka_never_answers_the_topics_tell(tmp_path: Path) -> None:
    process = Process(tmp_path)
    there, not_there = payment(), payment()
    process.send(there, not_there)
    await process.given(2)
    for client in process.producer.given:
        client.settle(LOST)
    assert process.once.unsure.is_set()
    retries = process.send(there, not_there)
    doubtful = process.once.doubtful()
    process.once.found([(key(there.id), fingerprint("payment_json", there), PLACE)])
    process.once.caught_up(doubtful, 0)
    assert retries.outcomes[0] == REPLAYED
    assert isinstance(retries.outcomes[1], NotAccepted)
    process.send(not_there)
    await process.given(3)
    await process.once.close()


async def test_nothing_is_taken_before_the_topics_were_read(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.once.ready = False
    assert isinstance(process.send(payment()).outcomes[0], NotAccepted)
    await process.once.close()


def elsewhere(folder: Path, act: Callable[..., None], *arguments: Any) -> None:
    """Done to the receipts by another process."""
    other = multiprocessing.get_context("spawn").Process(target=_act, args=(folder, act, arguments))
    other.start()
    other.join()
    assert other.exitcode == 0


def _act(folder: Path, act: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    act(Receipts(folder, 600), *arguments)


def throw_away(folder: Path) -> None:
    for file in folder.glob("*.lmdb*"):
        file.unlink()


def keep(receipts: Receipts, sent: Payment) -> None:
    receipt = record(fingerprint("payment_json", sent), receipts.seconds(), NOBODY, PLACE)
    receipts.keep({key(sent.id): receipt})


def free(receipts: Receipts, sent: Payment, owner: int) -> None:
    receipts.free([key(sent.id)], owner)


def claimed(process: Process, owner: Owners, sent: Payment) -> None:
    """What another process writes before it sends a payment."""
    wanted = (key(sent.id), fingerprint("payment_json", sent))
    assert process.receipts.claim([wanted], owner.token, lambda _: False) == [None]


async def test_what_another_process_has_in_flight_is_waited_for(tmp_path: Path) -> None:
    process, other = Process(tmp_path, shared=True), Owners(tmp_path)
    accepted, refused = payment(), payment()
    for sent in (accepted, refused):
        claimed(process, other, sent)
    waiting, also_waiting = process.send(accepted), process.send(refused)
    await until(lambda: len(process.once._elsewhere) == 2)
    assert isinstance(process.send(payment(id=accepted.id, payment_amount=9)).outcomes[0], IdReused)
    elsewhere(tmp_path, keep, accepted)
    assert await settled(waiting) == REPLAYED
    assert process.producer.given == []
    elsewhere(tmp_path, free, refused, other.token)
    (await process.given(1)).acknowledge()
    assert await settled(also_waiting) == PLACE
    await process.once.close()
    other.leave()


async def test_what_another_process_does_not_finish_is_unknown_at_the_deadline(tmp_path: Path) -> None:
    process, other = Process(tmp_path, shared=True, deadline=0.2), Owners(tmp_path)
    sent = payment()
    claimed(process, other, sent)
    waiting = process.send(sent, sent)
    await asyncio.wait_for(waiting.settled, 2)
    assert [type(each) for each in waiting.outcomes] == [OutcomeUnknown, OutcomeUnknown]
    await until(lambda: not process.once._in_flight)
    assert process.producer.given == []
    await process.once.close()
    other.leave()


async def test_a_dead_process_claims_count_until_what_it_sent_was_read(tmp_path: Path) -> None:
    process, other = Process(tmp_path, shared=True), Owners(tmp_path)
    sent = payment()
    claimed(process, other, sent)
    other.leave()
    retry = process.send(sent)
    await until(process.once.unsure.is_set)
    assert process.producer.given == []
    process.owners.forget(process.owners.dead())
    (await process.given(1)).acknowledge()
    assert await settled(retry) == PLACE
    await process.once.close()


async def test_who_has_waited_to_his_deadline_leaves_nothing_behind(tmp_path: Path) -> None:
    process = Process(tmp_path, deadline=0.0)
    sent = payment()
    process.send(sent)
    for _ in range(3):
        await settled(process.send(sent))
    assert process.once._joined == {}
    assert not process.once._waiting
    await process.once.close()


async def test_where_the_files_were_thrown_away_nothing_is_taken_before_the_topics_were_read(tmp_path: Path) -> None:
    process = Process(tmp_path, shared=True)
    in_flight = payment()
    process.send(in_flight)
    await process.given(1)
    throw_away(tmp_path)
    await until(lambda: not process.once.ready)
    assert process.once.unsure.is_set()
    assert isinstance(process.send(payment()).outcomes[0], NotAccepted)
    process.once.caught_up([], 0)  # what was read before then does not count
    assert not process.once.ready
    # Others still see what is in flight here.
    [known] = process.receipts.find([key(in_flight.id)])
    assert known is not None
    assert known.owner == process.owners.token
    await process.once.close()


async def test_an_error_of_the_file_system_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(tmp_path, shared=True)

    def gone(*_: Any) -> None:
        raise FileNotFoundError("gone")

    monkeypatch.setattr(process.receipts, "claim", gone)
    delivery = process.send(payment())
    (await process.given(1)).acknowledge()
    assert delivery.outcomes == [PLACE]
    assert not process.once.usable
    await process.once.close()


async def test_payments_go_on_while_the_files_are_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.idempotency.receipt_log.MOST_BYTES", 65_536)
    process = Process(tmp_path)
    sent = [payment() for _ in range(1000)]
    delivery = process.send(*sent)
    await process.given(1000)
    for client in process.producer.given:
        client.acknowledge()
    await delivery.settled
    await until(lambda: not process.once.usable)
    assert process.once.lost > 0
    assert process.once.unsure.is_set()
    again = process.send(payment())
    (await process.given(1001)).acknowledge()
    assert again.outcomes == [PLACE]
    await process.once.close()
