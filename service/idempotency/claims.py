"""Claims on payment ids: where several processes share a port, a payment is sent by the one that claimed its id.

A payment whose id another process has claimed is held here until that process has a receipt, gives the id back, or
dies.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping

from service.idempotency.entries import Entry
from service.idempotency.processes import Processes
from service.idempotency.receipt_log import LOG_ERRORS
from service.idempotency.receipts import Receipts
from service.idempotency.state import ReceiptState
from service.producer.records import Records


class Claims:
    """Own claims, and held payments."""

    def __init__(self, receipts: Receipts, processes: Processes, state: ReceiptState, *, shared: bool) -> None:
        """`shared`: other processes take payments, too."""
        self.shared = shared
        self._receipts = receipts
        self._processes = processes
        self._state = state
        self._waiting: dict[bytes, tuple[Records, int]] = {}
        """Payments that are held, each with the process that has claimed its id."""
        self._renewed_at = receipts.seconds()
        self._resets = 0

    def look_up(self, ids: list[bytes], fingerprints: list[bytes]) -> list[Entry | None]:
        """Find the entry of each id; an id without one is claimed."""
        if self._state.usable:
            try:
                if not self.shared:
                    return self._receipts.find(ids)
                claims = list(zip(ids, fingerprints, strict=True))
                return self._receipts.claim(claims, self._processes.token, functools.cache(self._is_over))
            except LOG_ERRORS as error:
                self._state.fail(error)
        return [None] * len(ids)

    def hold(self, record: Records, owner: int) -> None:
        """Hold a single payment that this other process has claimed."""
        self._waiting[record.ids[0]] = record, owner

    def release(self, written_ids: Iterable[bytes]) -> list[Records]:
        """Let go of payments that are to be looked up again: something was written of them, or their owner died."""
        if not self._waiting:
            return []
        due = {payment_id for payment_id in written_ids if payment_id in self._waiting}
        over = {owner for owner in {owner for _, owner in self._waiting.values()} if self._is_over(owner)}
        due |= {payment_id for payment_id, (_, owner) in self._waiting.items() if owner in over}
        return [self._waiting.pop(payment_id)[0] for payment_id in due]

    def expire(self, now: float) -> list[Records]:
        """Let go of payments whose deadline has passed; `now` on the event loop's clock."""
        late = [payment_id for payment_id, (record, _) in self._waiting.items() if record.delivery.deadline <= now]
        return [self._waiting.pop(payment_id)[0] for payment_id in late]

    def renew(self, in_flight: Mapping[bytes, Records], unclaimed: Iterable[Records]) -> None:
        """Claim what is in flight anew: before its claims are too old to count, and where the log was thrown away."""
        now = self._receipts.seconds()
        recent = now - self._renewed_at <= self._receipts.keep_seconds / 3
        if not self.shared or not self._state.usable or (recent and self._resets == self._state.resets):
            return
        self._renewed_at, self._resets = now, self._state.resets
        skipped = {payment_id for records in unclaimed for payment_id in records.ids} | self._waiting.keys()
        own = [(payment_id, fingerprint) for payment_id, fingerprint in _pairs(in_flight) if payment_id not in skipped]
        try:
            self._receipts.renew(own, self._processes.token)
        except LOG_ERRORS as error:
            self._state.fail(error)

    def _is_over(self, owner: int) -> bool:
        """Tell whether claims count no more: this process gave them back, or a dead one did not need them."""
        if owner == self._processes.token or self._processes.is_forgotten(owner):
            return True
        if not self._processes.is_alive(owner):
            self._state.uncertain.set()
        return False


def _pairs(in_flight: Mapping[bytes, Records]) -> Iterator[tuple[bytes, bytes]]:
    """Pair each id in flight with its fingerprint."""
    for records in dict.fromkeys(in_flight.values()):
        for payment_id, fingerprint in zip(records.ids, records.fingerprints, strict=True):
            if in_flight.get(payment_id) is records:
                yield payment_id, fingerprint
