"""Each payment once: the outcomes of its clients, and the producer's records. The producer is played by `Producer`."""

import asyncio
import multiprocessing
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.payment import Payment
from service.idempotency.deduplicator import Deduplicator
from service.idempotency.entries import Run
from service.idempotency.fingerprints import fingerprint, id_bytes
from service.idempotency.processes import Processes
from service.idempotency.receipts import Receipts
from service.producer.outcomes import IdReused, NeverAnswered, NotAccepted, NotDelivered, OutcomeUnknown, Receipt
from service.producer.partition_queue import settle
from service.producer.payment_producer import PaymentProducer
from service.producer.records import Delivery, Observer, Records, milliseconds

pytestmark = pytest.mark.asyncio

PLACE = Receipt(3, 17, 1_795_492_000_000)
REPLAYED = PLACE.replay()
UNKNOWN, NOT_THERE, LOST = OutcomeUnknown("?"), NotAccepted("no"), NeverAnswered("?")


class Submission:
    """A payment that was handed to the producer: the test decides its outcome."""

    def __init__(self, record: Records, observer: Observer) -> None:
        self.record = record
        self.observer = observer

    def settle(self, outcome: NotDelivered) -> None:
        settle(self.record, outcome, self.observer)

    def acknowledge(self) -> None:
        self.record.delivery.settle_all(self.record.positions, self.record.receipts(PLACE))
        self.observer.acknowledge(self.record, PLACE)


class Producer:
    def __init__(self) -> None:
        self.observer: Observer | None = None
        self.submissions: list[Submission] = []

    def submit(self, records: Records) -> None:
        assert self.observer is not None
        self.submissions += [Submission(records.select([row]), self.observer) for row in range(records.count)]


class Process:
    """A process of a service."""

    def __init__(
        self, folder: Path, *, shared: bool = False, deadline: float = 60.0, gather_seconds: float = 0.0
    ) -> None:
        self.producer = Producer()
        self.receipts = Receipts(folder, 600)
        self.processes = Processes(folder)
        self.deadline = deadline
        producer = cast(PaymentProducer, self.producer)
        self.deduplicator = Deduplicator(
            producer, self.receipts, self.processes, shared=shared, gather_seconds=gather_seconds
        )
        self.state = self.deduplicator.state
        self.state.finish(resets=0)

    def send(self, *payments: Payment, topic: str = "payment_json") -> Delivery:
        number = len(payments)
        delivery = Delivery(number, [], self.deadline)
        records = Records(delivery, topic, milliseconds(), list(range(number)), [b"3"] * number, [b"value"] * number)
        records.ids = [id_bytes(payment.id) for payment in payments]
        records.fingerprints = [fingerprint(topic, payment) for payment in payments]
        self.deduplicator.submit(records)
        return delivery

    async def submission(self, number: int) -> Submission:
        await until(lambda: len(self.producer.submissions) == number)
        return self.producer.submissions[-1]


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
    (await process.submission(1)).acknowledge()
    assert [*first.outcomes, *second.outcomes] == [PLACE, REPLAYED, REPLAYED]
    assert process.send(sent).outcomes[0] == REPLAYED
    await process.deduplicator.close()
    later = Process(tmp_path, shared=shared)
    again = later.send(sent)
    await again.settled
    assert again.outcomes == [REPLAYED]
    assert later.producer.submissions == []
    await later.deduplicator.close()


async def test_the_same_id_with_something_else_is_refused_in_flight_and_after(tmp_path: Path) -> None:
    process = Process(tmp_path)
    sent = payment()
    other = payment(id=sent.id.upper(), payment_amount=2.51)
    assert isinstance(process.send(sent, other).outcomes[1], IdReused)
    (await process.submission(1)).acknowledge()
    assert isinstance(process.send(other).outcomes[0], IdReused)
    await until(lambda: not process.deduplicator._writer.unwritten)
    for refused in (process.send(other), process.send(sent, topic="payment_avro")):
        await refused.settled
        assert isinstance(refused.outcomes[0], IdReused)
    assert len(process.producer.submissions) == 1
    await process.deduplicator.close()


@pytest.mark.parametrize("shared", [False, True])
async def test_what_was_not_accepted_is_sent_again(tmp_path: Path, *, shared: bool) -> None:
    process = Process(tmp_path, shared=shared)
    sent = payment()
    first = process.send(sent, sent)
    (await process.submission(1)).settle(NOT_THERE)
    assert first.outcomes == [NOT_THERE, NOT_THERE]
    second = process.send(sent)
    (await process.submission(2)).acknowledge()
    assert second.outcomes[0] == PLACE
    await asyncio.sleep(0.12)  # what was given back is not given back once more
    assert (process.send(sent).outcomes[0] or await settled(process.send(sent))) == REPLAYED
    await process.deduplicator.close()


async def settled(delivery: Delivery) -> Any:
    await delivery.settled
    return delivery.outcomes[0]


async def test_after_an_unknown_outcome_a_retry_gets_the_receipt_that_comes_late(tmp_path: Path) -> None:
    process = Process(tmp_path)
    sent = payment()
    first = process.send(sent)
    client = await process.submission(1)
    client.settle(UNKNOWN)
    assert first.outcomes == [UNKNOWN]
    retry = process.send(sent)
    assert retry.outcomes == [None]
    client.acknowledge()
    assert retry.outcomes[0] == REPLAYED
    assert len(process.producer.submissions) == 1
    await process.deduplicator.close()


async def test_a_retry_is_answered_by_its_own_deadline(tmp_path: Path) -> None:
    process = Process(tmp_path, deadline=0.2)
    sent = payment()
    process.send(sent)
    await process.submission(1)
    retry = process.send(sent)
    await asyncio.wait_for(retry.settled, 2)
    assert isinstance(retry.outcomes[0], OutcomeUnknown)
    await process.deduplicator.close()


async def test_where_kafka_never_answers_the_topics_tell(tmp_path: Path) -> None:
    process = Process(tmp_path)
    there, not_there = payment(), payment()
    process.send(there, not_there)
    await process.submission(2)
    for client in process.producer.submissions:
        client.settle(LOST)
    assert process.state.uncertain.is_set()
    retries = process.send(there, not_there)
    doubts = process.deduplicator.doubts
    doubtful = doubts.all()
    confirmed = doubts.confirm(id_bytes(there.id), fingerprint("payment_json", there))
    assert confirmed is not None
    process.deduplicator.acknowledge(confirmed, PLACE)
    for absent in doubts.deny(doubtful):
        process.deduplicator.reject(absent, NOT_THERE)
    assert retries.outcomes[0] == REPLAYED
    assert isinstance(retries.outcomes[1], NotAccepted)
    process.send(not_there)
    await process.submission(3)
    await process.deduplicator.close()


async def test_nothing_is_taken_before_the_topics_were_read(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.state.ready = False
    assert isinstance(process.send(payment()).outcomes[0], NotAccepted)
    await process.deduplicator.close()


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
    print_of_it = fingerprint("payment_json", sent)
    receipts.keep([Run([id_bytes(sent.id)], [print_of_it], receipts.seconds(), first_receipt=PLACE)])


def free(receipts: Receipts, sent: Payment, owner: int) -> None:
    receipts.free([id_bytes(sent.id)], owner)


def claim(process: Process, owner: Processes, sent: Payment) -> None:
    """Write what another process writes before it sends a payment."""
    pair = (id_bytes(sent.id), fingerprint("payment_json", sent))
    assert process.receipts.claim([pair], owner.token, lambda _: False) == [None]


async def test_payments_that_come_within_a_moment_are_claimed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(tmp_path, shared=True, gather_seconds=0.1)
    claims: list[int] = []
    claim_all = process.receipts.claim

    def count(pairs: Any, *rest: Any) -> Any:
        claims.append(len(pairs))
        return claim_all(pairs, *rest)

    monkeypatch.setattr(process.receipts, "claim", count)
    sent = payment()
    first = process.send(sent)
    await asyncio.sleep(0)
    process.send(payment())
    again = process.send(sent)
    await process.submission(2)
    for submission in process.producer.submissions:
        submission.acknowledge()
    assert (first.outcomes, again.outcomes) == ([PLACE], [REPLAYED])
    assert claims == [2]
    await process.deduplicator.close()


async def test_what_another_process_has_in_flight_is_waited_for(tmp_path: Path) -> None:
    process, other = Process(tmp_path, shared=True), Processes(tmp_path)
    accepted, refused = payment(), payment()
    for sent in (accepted, refused):
        claim(process, other, sent)
    retry, other_retry = process.send(accepted), process.send(refused)
    await until(lambda: len(process.deduplicator._claims._waiting) == 2)
    assert isinstance(process.send(payment(id=accepted.id, payment_amount=9)).outcomes[0], IdReused)
    elsewhere(tmp_path, keep, accepted)
    assert await settled(retry) == REPLAYED
    assert process.producer.submissions == []
    elsewhere(tmp_path, free, refused, other.token)
    (await process.submission(1)).acknowledge()
    assert await settled(other_retry) == PLACE
    await process.deduplicator.close()
    other.leave()


async def test_what_another_process_does_not_finish_is_unknown_at_the_deadline(tmp_path: Path) -> None:
    process, other = Process(tmp_path, shared=True, deadline=0.2), Processes(tmp_path)
    sent = payment()
    claim(process, other, sent)
    retry = process.send(sent, sent)
    await asyncio.wait_for(retry.settled, 2)
    assert [type(outcome) for outcome in retry.outcomes] == [OutcomeUnknown, OutcomeUnknown]
    await until(lambda: not process.deduplicator._in_flight)
    assert process.producer.submissions == []
    await process.deduplicator.close()
    other.leave()


async def test_a_dead_process_claims_count_until_what_it_sent_was_read(tmp_path: Path) -> None:
    process, other = Process(tmp_path, shared=True), Processes(tmp_path)
    sent = payment()
    claim(process, other, sent)
    other.leave()
    retry = process.send(sent)
    await until(process.state.uncertain.is_set)
    assert process.producer.submissions == []
    process.processes.forget(process.processes.dead())
    (await process.submission(1)).acknowledge()
    assert await settled(retry) == PLACE
    await process.deduplicator.close()


async def test_who_has_waited_to_his_deadline_leaves_nothing_behind(tmp_path: Path) -> None:
    process = Process(tmp_path, deadline=0.0)
    sent = payment()
    process.send(sent)
    for _ in range(3):
        await settled(process.send(sent))
    assert not process.deduplicator._clients
    assert not process.deduplicator._clients._by_deadline
    await process.deduplicator.close()


async def test_where_the_files_were_thrown_away_nothing_is_taken_before_the_topics_were_read(tmp_path: Path) -> None:
    process = Process(tmp_path, shared=True)
    in_flight = payment()
    process.send(in_flight)
    await process.submission(1)
    throw_away(tmp_path)
    await until(lambda: not process.state.ready)
    assert process.state.uncertain.is_set()
    assert isinstance(process.send(payment()).outcomes[0], NotAccepted)
    process.state.finish(resets=0)  # what was read before then does not count
    assert not process.state.ready
    # Others still see what is in flight here.
    [entry] = process.receipts.find([id_bytes(in_flight.id)])
    assert entry is not None
    assert entry.owner == process.processes.token
    await process.deduplicator.close()


async def test_an_error_of_the_file_system_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(tmp_path, shared=True)

    def fail(*_: Any) -> None:
        raise FileNotFoundError("gone")

    monkeypatch.setattr(process.receipts, "claim", fail)
    delivery = process.send(payment())
    (await process.submission(1)).acknowledge()
    assert delivery.outcomes == [PLACE]
    assert not process.state.usable
    await process.deduplicator.close()


async def test_payments_go_on_while_the_files_are_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.idempotency.receipt_log.MAX_FILE_BYTES", 65_536)
    process = Process(tmp_path)
    sent = [payment() for _ in range(1000)]
    delivery = process.send(*sent)
    await process.submission(1000)
    for client in process.producer.submissions:
        client.acknowledge()
    await delivery.settled
    await until(lambda: not process.state.usable)
    assert process.state.lost > 0
    assert process.state.uncertain.is_set()
    again = process.send(payment())
    (await process.submission(1001)).acknowledge()
    assert again.outcomes == [PLACE]
    await process.deduplicator.close()
