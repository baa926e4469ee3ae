"""Each payment once: who sends an id again gets its first receipt, and who gives it to another payment is told.

What is in flight in this process stands in a dict, what was acknowledged in `Receipts`. Payments that come together are
looked up together, and receipts are written down a few times a second: until then the dict has them, and if the process
is killed before, the topics (see `recovery`). With several processes an id is claimed before its payment is sent; what
another one has claimed waits here until the other has a receipt, gives the id back, or dies.
"""

import asyncio
import functools
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import structlog
from aiohttp import web

from schemas.errors import UndertenError
from service.idempotency.processes import Owners
from service.idempotency.receipt_log import ERRORS
from service.idempotency.receipts import NOBODY, Kept, Receipts, kept, record
from service.producer.outcomes import (
    Acknowledged,
    Delivery,
    IdReused,
    NeverAnswered,
    NotAccepted,
    NotDelivered,
    Outcome,
    OutcomeUnknown,
)
from service.producer.payment_producer import ANSWER_SECONDS, PaymentProducer
from service.producer.pending_records import Outgoing

TICK_SECONDS = 0.05
WRITTEN_AT_ONCE = 500

log = structlog.get_logger(__name__)


class NotKept(UndertenError):
    """The files of the receipts are damaged, or their disk is full."""


class Order(NamedTuple):
    """Payments as they were handed in."""

    client: Delivery
    topic: str
    payments: list[Outgoing]


class Elsewhere(NamedTuple):
    """A payment whose id another process has claimed."""

    order: Order
    owner: int


class Waiting(NamedTuple):
    """A client who is told, at `deadline` on the event loop's clock, that the outcome is unknown."""

    deadline: float
    client: Delivery
    payment: Outgoing


class Once:
    """Takes payments in the place of the producer, and hands it those that are new."""

    def __init__(
        self, producer: PaymentProducer, receipts: Receipts, owners: Owners, *, shared: bool, deadline: float
    ) -> None:
        """`shared`: other processes take payments, too. Nothing is taken before `caught_up`; `close` ends it.

        `deadline`: seconds within which a client is told something.
        """
        self.shared = shared
        self.ready = False
        self.usable = True
        """Whether receipts are kept: not while the files are damaged, or the disk is full."""
        self.beginnings = 0
        """How often the log was thrown away, here or by others."""
        self.lost = 0
        """Receipts that could not be kept."""
        self.unsure = asyncio.Event()
        """Set where only the topics can tell what became of payments."""
        self._producer = producer
        self._receipts = receipts
        self._owners = owners
        self._patience = max(0.0, deadline - ANSWER_SECONDS)
        self._renewed = receipts.seconds()
        self._in_flight: dict[bytes, Outgoing] = {}
        self._joined: dict[bytes, list[tuple[Delivery, int]]] = {}
        self._doubtful: dict[bytes, Outgoing] = {}
        self._new: list[Order] = []
        self._done: dict[bytes, bytes] = {}
        self._seconds = receipts.seconds()
        self._unclaimed: list[bytes] = []
        self._elsewhere: dict[bytes, Elsewhere] = {}
        self._waiting: deque[Waiting] = deque()
        self._loop = asyncio.get_running_loop()
        self._ticking = asyncio.create_task(self._tick())
        if receipts.damaged:
            self._stop_keeping(receipts.damaged)

    def submit(self, client: Delivery, topic: str, payments: list[Outgoing]) -> None:
        """As the producer's; `client` is told of an earlier receipt, or IdReused, where an id was sent before."""
        if not self.ready:
            for each in payments:
                client.settle(each.index, NotAccepted(_STILL_READING))
            return
        in_flight, done = self._in_flight, self._done
        new = []
        for each in payments:
            if each.id in in_flight or each.id in done:
                self._sent_again(client, each)
            else:
                in_flight[each.id] = each
                new.append(each)
        if new:
            if not self._new:
                self._loop.call_soon(self._look)
            self._new.append(Order(client, topic, new))

    def acknowledged(self, payments: Sequence[Outgoing], receipts: Sequence[Acknowledged]) -> None:
        """Kafka has them: write that down, soon."""
        for each, receipt in zip(payments, receipts, strict=True):
            del self._in_flight[each.id]
            self._done[each.id] = record(each.fingerprint, self._seconds, NOBODY, receipt)
            if each.id in self._joined:
                self._tell_joined(each, receipt.again())
        if len(self._done) >= WRITTEN_AT_ONCE:
            self._write_down()

    def not_accepted(self, payments: Sequence[Outgoing], outcome: NotDelivered) -> None:
        """Kafka certainly has them not, and will not: their ids are free again."""
        for each in payments:
            del self._in_flight[each.id]
            self._tell_joined(each, outcome)
            if self.shared:
                self._unclaimed.append(each.id)

    def in_doubt(self, payments: Sequence[Outgoing], outcome: NeverAnswered) -> None:
        """Kafka may have them, and will not say so."""
        for each in payments:
            self._doubtful[each.id] = each
            self._tell_joined(each, outcome)
        self.unsure.set()

    def doubtful(self) -> list[Outgoing]:
        """Payments of which only the topics can tell."""
        return list(self._doubtful.values())

    def found(self, receipts: list[tuple[bytes, bytes, Acknowledged]]) -> None:
        """Take in what stands on the topics; raises NotKept."""
        try:
            self._receipts.keep_first(receipts, lambda timestamp: time.time() - timestamp / 1000)
        except ERRORS as error:
            raise NotKept(str(error)) from error
        for name, content, receipt in receipts:
            doubtful = self._doubtful.get(name)
            if doubtful is not None and doubtful.fingerprint == content:
                del self._doubtful[name]
                self.acknowledged([doubtful], [receipt])

    def caught_up(self, doubtful: Iterable[Outgoing], beginnings: int) -> None:
        """The topics were read to their ends: of these payments, those that were not found are not there.

        `beginnings` as they were before: if the log was thrown away meanwhile, not all that was found is in it.
        """
        for each in doubtful:
            if self._doubtful.get(each.id) is each:
                del self._doubtful[each.id]
                self.not_accepted([each], NotAccepted(_NOT_FOUND))
        self.ready = self.ready or beginnings == self.beginnings

    def begin_anew(self) -> None:
        """Throw damaged files away; nothing is taken until the topics were read. Raises NotKept."""
        try:
            self._receipts.throw_away()
        except ERRORS as error:
            raise NotKept(str(error)) from error
        self._know_nothing()
        self.usable = True

    def broken(self, error: Exception) -> None:
        """Go on without receipts until they are read from the topics again."""
        self._stop_keeping(error)
        self.ready = True

    async def close(self) -> None:
        """Write down what is left."""
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        self._write_down()
        self._receipts.close()
        self._owners.leave()

    def _look(self) -> None:
        """Send on what came in this turn of the event loop."""
        new, self._new = self._new, []
        if not self.ready:
            for order in new:
                for payment in order.payments:
                    self._answer(order.client, payment, NotAccepted(_STILL_READING))
            return
        deadline = self._loop.time() + self._patience
        for client, payment in self._send_new(new):
            self._waiting.append(Waiting(deadline, client, payment))

    def _send_new(self, orders: list[Order]) -> list[tuple[Delivery, Outgoing]]:
        """Hand the producer what is new, answer what is known, put what is in flight elsewhere aside; returns that."""
        aside = []
        all_known = iter(self._known([each for order in orders for each in order.payments]))
        for client, topic, payments in orders:
            new = []
            for each, known in zip(payments, all_known, strict=False):
                if known is None:
                    new.append(each)
                elif known.fingerprint != each.fingerprint:
                    self._answer(client, each, IdReused(_REUSED))
                elif known.owner == NOBODY:
                    self._answer(client, each, known.receipt.again())
                else:
                    self._elsewhere[each.id] = Elsewhere(Order(client, topic, [each]), known.owner)
                    aside.append((client, each))
            if new:
                self._producer.submit(client, topic, new, self)
        return aside

    def _answer(self, client: Delivery, payment: Outgoing, outcome: Outcome) -> None:
        """Of a payment that is not sent: it was sent before."""
        del self._in_flight[payment.id]
        client.settle(payment.index, outcome)
        self._tell_joined(payment, outcome)

    def _tell_joined(self, payment: Outgoing, outcome: Outcome) -> None:
        for client, index in self._joined.pop(payment.id, ()):
            client.settle(index, outcome)

    def _known(self, payments: list[Outgoing]) -> list[Kept | None]:
        if self.usable:
            try:
                if self.shared:
                    wanted = [(each.id, each.fingerprint) for each in payments]
                    return self._receipts.claim(wanted, self._owners.token, functools.cache(self._is_over))
                return self._receipts.find([each.id for each in payments])
            except ERRORS as error:
                self._stop_keeping(error)
        return [None] * len(payments)

    def _is_over(self, owner: int) -> bool:
        """Whether claims count no more: given back by this process, or left by one of which all is known."""
        if owner == self._owners.token or self._owners.forgotten(owner):
            return True
        if not self._owners.alive(owner):
            self.unsure.set()
        return False

    def _sent_again(self, client: Delivery, payment: Outgoing) -> None:
        """The same id once more, while the first is in flight, or not written down yet."""
        first = self._in_flight.get(payment.id) or kept(self._done[payment.id])
        if first.fingerprint != payment.fingerprint:
            client.settle(payment.index, IdReused(_REUSED))
        elif isinstance(first, Kept):
            client.settle(payment.index, first.receipt.again())
        else:
            self._joined.setdefault(payment.id, []).append((client, payment.index))
            self._waiting.append(Waiting(self._loop.time() + self._patience, client, payment))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._write_down()
            now = self._loop.time()
            while self._waiting and self._waiting[0].deadline <= now:
                self._give_up_waiting(self._waiting.popleft())

    def _write_down(self) -> None:
        """Into the log what is not there yet, and from it what others have written."""
        done, self._done = self._done, {}
        unclaimed, self._unclaimed = self._unclaimed, []
        self._seconds = self._receipts.seconds()
        if self.usable:
            try:
                if self._receipts.replaced():
                    self._receipts.reopen()
                    self._know_nothing()
                    self.unsure.set()
                    self._renew()
                if done:
                    self._receipts.keep(done)
                if unclaimed:
                    self._receipts.free((name for name in unclaimed if name not in self._in_flight), self._owners.token)
                self._follow()
            except ERRORS as error:
                self._stop_keeping(error)
        if not self.usable:
            self.lost += len(done)
        self._receipts.forget()
        if self.ready and self.usable:
            oldest = next(iter(self._in_flight.values()), None)
            self._owners.mark(oldest.began if oldest else time.time())

    def _follow(self) -> None:
        """See what other processes have done of what waits for them; keep own claims from growing too old."""
        written = self._receipts.follow()
        if self._elsewhere and self.ready:
            over = {owner for owner in {each.owner for each in self._elsewhere.values()} if self._is_over(owner)}
            due = {name for name in written if name in self._elsewhere}
            due |= {name for name, each in self._elsewhere.items() if each.owner in over}
            if due:
                self._send_new([self._elsewhere.pop(name).order for name in due])
        if self._seconds - self._renewed > self._receipts.keep_seconds / 3:
            self._renew()

    def _renew(self) -> None:
        self._renewed = self._seconds
        unasked = {each.id for order in self._new for each in order.payments}
        own = [each for each in self._in_flight.values() if each.id not in self._elsewhere and each.id not in unasked]
        if self.shared and own:
            self._receipts.renew([(each.id, each.fingerprint) for each in own], self._owners.token)

    def _give_up_waiting(self, late: Waiting) -> None:
        client, payment = late.client, late.payment
        client.settle(payment.index, OutcomeUnknown(_IN_FLIGHT))
        elsewhere = self._elsewhere.get(payment.id)
        if elsewhere is not None and elsewhere.order.payments[0] is payment:
            del self._elsewhere[payment.id]
            self._answer(client, payment, OutcomeUnknown(_IN_FLIGHT))
        elif (client, payment.index) in (joined := self._joined.get(payment.id, [])):
            joined.remove((client, payment.index))
            if not joined:
                del self._joined[payment.id]

    def _know_nothing(self) -> None:
        """Take nothing until the topics were read."""
        self.ready = False
        self.beginnings += 1
        self._owners.mark(0.0)

    def _stop_keeping(self, error: Exception) -> None:
        log.error("receipts are not kept: payments that are sent again may be produced again", reason=str(error))
        self.usable = False
        self.unsure.set()


ONCE = web.AppKey("once", Once)


_STILL_READING = "the payment was not accepted: still reading which payments Kafka has, send it again"
_NOT_FOUND = "the payment did not arrive at Kafka; it was not accepted, send it again"
_REUSED = "another payment was sent with this id; this one was not accepted"
_IN_FLIGHT = "this payment was sent before, and Kafka has not acknowledged it: retry with the same id"
