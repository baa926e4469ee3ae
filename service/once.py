"""Each payment once: who sends an id again gets its first receipt, and who gives it to another payment is told.

What is in flight in this process stands in a dict, what was acknowledged in `Receipts`. Payments that come together are
looked up together, and receipts are written down a few times a second: until then the dict has them, and if the process
is killed before, the topics (see `catch_up`). With several processes an id is claimed before its payment is sent.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import structlog

from schemas.payment import Payment
from service.attempts import Attempt
from service.deliveries import Acknowledged, Client, IdReused, NotAccepted, OutcomeUnknown, Replayed
from service.fingerprints import fingerprint, key
from service.owners import Owners
from service.producer import PaymentProducer
from service.receipts import NOBODY, Error, Kept, Receipts, kept, record

TICK_SECONDS = 0.05
WRITTEN_AT_ONCE = 500

log = structlog.get_logger(__name__)


class Waiting(NamedTuple):
    """A client who is told, at `deadline` on the event loop's clock, that the outcome is unknown."""

    deadline: float
    client: Client
    at: int


class Once:
    """Takes payments in the place of the producer, and hands it those that are new."""

    def __init__(
        self, producer: PaymentProducer, receipts: Receipts, owners: Owners, *, shared: bool, deadline: float
    ) -> None:
        """`shared`: other processes take payments, too. Nothing is taken before `caught_up`; `close` ends it."""
        self.ready = False
        self.usable = True
        """Whether receipts are kept: not while the files are damaged, or the disk is full."""
        self.lost = 0
        """Receipts that could not be kept."""
        self.unsure = asyncio.Event()
        """Set where only the topics can tell what became of payments."""
        self._producer = producer
        self._receipts = receipts
        self._owners = owners
        self._shared = shared
        self._deadline = deadline
        self._now = time.time()
        self._attempts: dict[bytes, Attempt] = {}
        self._new: list[Attempt] = []
        self._done: dict[bytes, bytes] = {}
        self._seconds = receipts.seconds()
        self._unclaimed: list[bytes] = []
        self._elsewhere: list[Attempt] = []
        self._waiting: deque[Waiting] = deque()
        self._loop = asyncio.get_running_loop()
        self._ticking = asyncio.create_task(self._tick())
        if receipts.damaged:
            self._broken(receipts.damaged)

    def submit(self, client: Client, index: int, topic: str, payment: Payment, value: bytes) -> None:
        """As the producer's; `client` is told Replayed or IdReused where the id was sent before."""
        if not self.ready:
            client.settle(index, NotAccepted(_STILL_READING))
            return
        name, content = key(payment.id), fingerprint(topic, payment)
        if name in self._attempts or name in self._done:
            self._sent_again(name, content, client, index)
            return
        order = (topic, payment.payor_account_no, value)
        attempt = self._attempts[name] = Attempt(name, content, client, index, order, self._now, self)
        if not self._new:
            self._loop.call_soon(self._look)
        self._new.append(attempt)

    def acknowledged(self, attempt: Attempt, receipt: Acknowledged) -> None:
        """Kafka has a payment: write that down, soon."""
        del self._attempts[attempt.key]
        self._done[attempt.key] = record(attempt.fingerprint, self._seconds, NOBODY, receipt)
        if len(self._done) >= WRITTEN_AT_ONCE:
            self._write_down()

    def not_accepted(self, attempt: Attempt) -> None:
        """Kafka certainly has not, and will not: the id is free again."""
        del self._attempts[attempt.key]
        if self._shared:
            self._unclaimed.append(attempt.key)

    def in_doubt(self, attempt: Attempt) -> None:
        """Kafka may have it, and will not say so."""
        self.unsure.set()

    def doubtful(self) -> list[Attempt]:
        """Payments of which only the topics can tell."""
        return [attempt for attempt in self._attempts.values() if attempt.doubtful]

    def found(self, receipts: list[tuple[bytes, bytes, Acknowledged]]) -> None:
        """Take in what stands on the topics."""
        try:
            self._receipts.keep_first(receipts, lambda timestamp: time.time() - timestamp / 1000)
        except Error as error:
            self._broken(error)
        for name, content, receipt in receipts:
            attempt = self._attempts.get(name)
            if attempt is not None and attempt.doubtful and attempt.fingerprint == content:
                attempt.settle(0, receipt)

    def caught_up(self, doubtful: Iterable[Attempt]) -> None:
        """The topics were read to their ends: of these payments, those that were not found are not there."""
        for attempt in doubtful:
            if self._attempts.get(attempt.key) is attempt:
                attempt.settle(0, NotAccepted(_NOT_FOUND))
        self.ready = True

    async def close(self) -> None:
        """Write down what is left."""
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        self._write_down()
        self._receipts.close()
        self._owners.leave()

    def _look(self) -> None:
        """Sort what came in this turn of the event loop: known, in flight elsewhere, or new."""
        self._now = time.time()
        new, self._new = self._new, []
        deadline = self._loop.time() + self._deadline
        for attempt in self._send_new(new):
            self._elsewhere.append(attempt)
            self._waiting.append(Waiting(deadline, attempt, 0))

    def _send_new(self, attempts: list[Attempt]) -> list[Attempt]:
        """Hand the producer those that are new, answer those that are known; returns those in flight elsewhere."""
        elsewhere = []
        for attempt, known in zip(attempts, self._known(attempts), strict=True):
            if known is None:
                self._producer.submit(attempt, 0, *attempt.order)
            elif known.fingerprint != attempt.fingerprint:
                attempt.tell(IdReused(_REUSED))
                del self._attempts[attempt.key]
            elif known.owner == NOBODY:
                attempt.tell(Replayed(*known.receipt))
                del self._attempts[attempt.key]
            else:
                elsewhere.append(attempt)
        return elsewhere

    def _known(self, attempts: list[Attempt]) -> list[Kept | None]:
        if self.usable:
            try:
                if self._shared:
                    wanted = [(attempt.key, attempt.fingerprint) for attempt in attempts]
                    return self._receipts.claim(wanted, self._owners.token, self._is_over)
                return self._receipts.find([attempt.key for attempt in attempts])
            except Error as error:
                self._broken(error)
        return [None] * len(attempts)

    def _is_over(self, claim: Kept) -> bool:
        """Whether a claim counts no more: given back by this process, or left by one of which all is known."""
        if claim.owner == self._owners.token or self._owners.forgotten(claim.owner):
            return True
        if not self._owners.alive(claim.owner):
            self.unsure.set()
        return False

    def _sent_again(self, name: bytes, content: bytes, client: Client, index: int) -> None:
        """The same id once more, while the first is in flight, or not written down yet."""
        earlier = self._attempts.get(name)
        first = earlier or kept(self._done[name])
        if first.fingerprint != content:
            client.settle(index, IdReused(_REUSED))
        elif isinstance(first, Kept):
            client.settle(index, Replayed(*first.receipt))
        else:
            first.join(client, index)
            self._waiting.append(Waiting(self._loop.time() + self._deadline, client, index))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._write_down()
            self._ask_again()
            now = self._loop.time()
            while self._waiting and self._waiting[0].deadline <= now:
                late = self._waiting.popleft()
                late.client.settle(late.at, OutcomeUnknown(_IN_FLIGHT))

    def _write_down(self) -> None:
        done, self._done = self._done, {}
        unclaimed, self._unclaimed = self._unclaimed, []
        if self.usable:
            try:
                if self._shared and self._receipts.replaced():
                    self._receipts.reopen()
                if done:
                    self._receipts.keep(done)
                if unclaimed:
                    self._receipts.free((name for name in unclaimed if name not in self._attempts), self._owners.token)
            except Error as error:
                self._broken(error)
        if not self.usable:
            self.lost += len(done)
        self._receipts.forget()
        self._now = time.time()
        if self.ready and self.usable:
            self._seconds = self._receipts.seconds()
            oldest = next(iter(self._attempts.values()), None)
            self._owners.mark(oldest.began if oldest else self._now)

    def _ask_again(self) -> None:
        """Whether other processes are done with the payments that are waited for here."""
        for attempt in self._elsewhere:
            if attempt.answered(0):
                attempt.tell(OutcomeUnknown(_IN_FLIGHT))
                del self._attempts[attempt.key]
        again = [attempt for attempt in self._elsewhere if not attempt.answered(0)]
        self._elsewhere = self._send_new(again) if again else []

    def _broken(self, error: Exception) -> None:
        """Go on without receipts until they are read from the topics again."""
        log.error("receipts are not kept: payments that are sent again may be produced again", reason=str(error))
        self.usable = False
        self.unsure.set()


_STILL_READING = "the payment was not accepted: still reading which payments Kafka has, send it again"
_NOT_FOUND = "the payment did not arrive at Kafka; it was not accepted, send it again"
_REUSED = "another payment was sent with this id; this one was not accepted"
_IN_FLIGHT = "this payment was sent before, and Kafka has not acknowledged it: retry with the same id"
