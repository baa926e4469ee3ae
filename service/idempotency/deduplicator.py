"""Each payment once: a client that sends an id again gets its first receipt, or an error for another payment's id.

Payments in flight in this process stand in a dict, acknowledged ones in `Receipts`. Payments that come together are
looked up together. With several processes an id is claimed before its payment is sent (see `claims`); since that takes
a lock from the others, payments that come within a moment are claimed together.
"""

import asyncio
from itertools import chain, islice

from aiohttp import web

from service.idempotency.claims import Claims
from service.idempotency.doubts import Doubts
from service.idempotency.entries import NO_OWNER, Entry
from service.idempotency.processes import Processes
from service.idempotency.receipts import Receipts
from service.idempotency.state import ReceiptState
from service.idempotency.waiting_clients import WaitingClients
from service.idempotency.writer import ReceiptWriter
from service.producer.outcomes import (
    IdReused,
    NeverAnswered,
    NotAccepted,
    NotDelivered,
    Outcome,
    OutcomeUnknown,
    Receipt,
)
from service.producer.payment_producer import RESPONSE_SECONDS, PaymentProducer
from service.producer.records import Records

TICK_SECONDS = 0.05
MAX_UNWRITTEN = 500
MAX_GATHER_SECONDS = 0.002
"""Longest time that payments gather before they are claimed: a claim of one takes 13 µs, one of many 2 µs a payment."""


class Deduplicator:
    """Takes records in the place of the producer, and hands it those that are new."""

    def __init__(
        self,
        producer: PaymentProducer,
        receipts: Receipts,
        processes: Processes,
        *,
        shared: bool,
        gather_seconds: float = 0.0,
    ) -> None:
        """Take nothing before `state.ready`; `close` ends it.

        `shared`: other processes take payments, too. `gather_seconds`: time that a payment waits for others, which are
        looked up together with it; 0: until the event loop's next turn.
        """
        self.state = ReceiptState()
        self.doubts = Doubts()
        producer.observer = self
        self._producer = producer
        self._receipts = receipts
        self._processes = processes
        self._in_flight: dict[bytes, Records] = {}
        self._new: list[Records] = []
        self._gather_seconds = gather_seconds
        self._claims = Claims(receipts, processes, self.state, shared=shared)
        self._clients = WaitingClients()
        self._writer = ReceiptWriter(receipts, processes, self.state)
        self._loop = asyncio.get_running_loop()
        self._ticking = asyncio.create_task(self._tick())
        if receipts.damaged:
            self.state.fail(receipts.damaged)

    def submit(self, records: Records) -> None:
        """Send records that are new; a payment that was sent before is settled by its receipt, or IdReused."""
        if not self.state.ready:
            records.settle(NotAccepted(_STILL_READING))
            return
        records = self._new_rows(records)
        if not records.count:
            return
        if not self._new:
            self._loop.call_later(self._gather_seconds, self._look_up_new)
        self._new.append(records)

    def acknowledge(self, records: Records, first_receipt: Receipt) -> None:
        """Keep receipts, at consecutive offsets from the first: Kafka has the records."""
        for payment_id in records.ids:
            del self._in_flight[payment_id]
        self._writer.add(records, first_receipt)
        if self._clients:
            for payment_id, receipt in zip(records.ids, records.receipts(first_receipt), strict=True):
                self._clients.settle(payment_id, receipt.replay())
        if len(self._writer.unwritten) >= MAX_UNWRITTEN:
            self._write()

    def reject(self, records: Records, outcome: NotDelivered) -> None:
        """Free ids: Kafka certainly does not have the records, and will not."""
        for payment_id in records.ids:
            del self._in_flight[payment_id]
            self._clients.settle(payment_id, outcome)
        if self._claims.shared:
            self._writer.free(records.ids)

    def doubt(self, records: Records, outcome: NeverAnswered) -> None:
        """Keep records in flight: Kafka may have them, and will not say so."""
        self.doubts.add(records)
        for payment_id in records.ids:
            self._clients.settle(payment_id, outcome)
        self.state.uncertain.set()

    async def close(self) -> None:
        """Write down what is left."""
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        self._write()
        self._receipts.close()
        self._processes.leave()

    def _new_rows(self, records: Records) -> Records:
        """Put rows in flight whose ids are neither in flight nor just acknowledged, and settle the others."""
        ids, in_flight, unwritten = records.ids, self._in_flight, self._writer.unwritten
        if in_flight.keys().isdisjoint(ids) and unwritten.keys().isdisjoint(ids) and len(set(ids)) == len(ids):
            in_flight.update(dict.fromkeys(ids, records))
            return records
        rows = []
        for row, payment_id in enumerate(ids):
            if payment_id in in_flight or payment_id in unwritten:
                self._repeat(records, row)
            else:
                in_flight[payment_id] = records
                rows.append(row)
        return records.select(rows)

    def _repeat(self, records: Records, row: int) -> None:
        """Settle a payment, or let it wait, whose id is in flight or not written down yet."""
        payment_id, delivery, position = records.ids[row], records.delivery, records.positions[row]
        earlier, entry = self._in_flight.get(payment_id), self._writer.entry(payment_id)
        fingerprint = earlier.fingerprint(payment_id) if earlier else entry and entry.fingerprint
        if fingerprint != records.fingerprints[row]:
            delivery.settle(position, IdReused(_REUSED))
        elif entry is not None:
            delivery.settle(position, entry.receipt.replay())
        else:
            self._clients.add(payment_id, delivery, position)

    def _look_up_new(self) -> None:
        """Send on what has gathered."""
        new, self._new = self._new, []
        if self.state.ready:
            self._look_up(new)
            return
        for records in new:
            for row in range(records.count):
                self._settle(records, row, NotAccepted(_STILL_READING))

    def _look_up(self, new: list[Records]) -> None:
        """Hand the producer what is new, settle what is known, hold what another process has claimed."""
        ids = list(chain.from_iterable(records.ids for records in new))
        fingerprints = list(chain.from_iterable(records.fingerprints for records in new))
        entries = self._claims.look_up(ids, fingerprints)
        if not any(entries):
            for records in new:
                self._producer.submit(records)
            return
        rest = iter(entries)
        for records in new:
            unknown = self._unknown_rows(records, list(islice(rest, records.count)))
            if unknown.count:
                self._producer.submit(unknown)

    def _unknown_rows(self, records: Records, entries: list[Entry | None]) -> Records:
        rows = []
        for row, (entry, fingerprint) in enumerate(zip(entries, records.fingerprints, strict=True)):
            if entry is None:
                rows.append(row)
            elif entry.fingerprint != fingerprint:
                self._settle(records, row, IdReused(_REUSED))
            elif entry.owner == NO_OWNER:
                self._settle(records, row, entry.receipt.replay())
            else:
                self._claims.hold(records.select([row]), entry.owner)
        return records.select(rows)

    def _settle(self, records: Records, row: int, outcome: Outcome) -> None:
        """Settle a payment that is not sent."""
        payment_id = records.ids[row]
        del self._in_flight[payment_id]
        records.delivery.settle(records.positions[row], outcome)
        self._clients.settle(payment_id, outcome)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._write()
            now = self._loop.time() + RESPONSE_SECONDS
            for record in self._claims.expire(now):
                self._settle(record, 0, OutcomeUnknown(_IN_FLIGHT))
            self._clients.expire(now, OutcomeUnknown(_IN_FLIGHT))

    def _write(self) -> None:
        """Write receipts down, and look at what other processes have written of held payments."""
        written_ids = self._writer.write(self._in_flight)
        if self.state.ready and (released := self._claims.release(written_ids)):
            self._look_up(released)
        self._claims.renew(self._in_flight, unclaimed=self._new)


DEDUPLICATOR = web.AppKey("deduplicator", Deduplicator)


_STILL_READING = "the payment was not accepted: still reading which payments Kafka has, send it again"
_REUSED = "another payment was sent with this id; this one was not accepted"
_IN_FLIGHT = "this payment was sent before, and Kafka has not acknowledged it: retry with the same id"
