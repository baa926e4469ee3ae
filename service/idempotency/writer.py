"""The writer of receipts: they stay in memory until they are written into the log, a few times a second.

If the process is killed before, the topics have them (see `recovery`).
"""

import time
from collections.abc import Iterable, Mapping

from service.idempotency.entries import Entry, Run
from service.idempotency.processes import Processes
from service.idempotency.receipt_log import LOG_ERRORS
from service.idempotency.receipts import Receipts
from service.idempotency.state import ReceiptState
from service.producer.outcomes import Receipt
from service.producer.records import Records


class ReceiptWriter:
    """Entries that are not in the log yet, by payment id, and ids whose claims are to be given back."""

    def __init__(self, receipts: Receipts, processes: Processes, state: ReceiptState) -> None:
        self.unwritten: dict[bytes, Run] = {}
        self._receipts = receipts
        self._processes = processes
        self._state = state
        self._seconds = receipts.seconds()
        self._runs: list[Run] = []
        self._free: list[bytes] = []

    def add(self, records: Records, first_receipt: Receipt) -> None:
        """Add the receipts of records at consecutive offsets."""
        run = Run(records.ids, records.fingerprints, self._seconds, first_receipt=first_receipt)
        self._runs.append(run)
        self.unwritten.update(dict.fromkeys(records.ids, run))

    def entry(self, payment_id: bytes) -> Entry | None:
        """Find an entry that is not written yet."""
        run = self.unwritten.get(payment_id)
        return None if run is None else run.entry(payment_id)

    def free(self, ids: Iterable[bytes]) -> None:
        """Give the claims on these ids back at the next write."""
        self._free += ids

    def write(self, in_flight: Mapping[bytes, Records]) -> list[bytes]:
        """Write everything down, and return the ids that other processes have written since the last time.

        An id that is in flight again keeps its claim.
        """
        written_ids: list[bytes] = []
        if self._state.usable:
            try:
                self._follow_reset()
                self._write(in_flight)
                written_ids = self._receipts.follow()
            except LOG_ERRORS as error:
                self._state.fail(error)
        if not self._state.usable:
            self._state.lost += len(self.unwritten)
            self.unwritten, self._runs, self._free = {}, [], []
        self._receipts.forget()
        self._seconds = self._receipts.seconds()
        if self._state.ready and self._state.usable:
            oldest = next(iter(in_flight.values()), None)
            self._processes.mark(oldest.timestamp / 1000 if oldest else time.time())
        return written_ids

    def _follow_reset(self) -> None:
        """Begin anew where another process has thrown the log away."""
        if self._receipts.replaced():
            self._receipts.reopen()
            self._state.reset()
            self._state.uncertain.set()
            self._processes.mark(0.0)

    def _write(self, in_flight: Mapping[bytes, Records]) -> None:
        if self.unwritten:
            self._receipts.keep(self._runs)
            self.unwritten, self._runs = {}, []
        if self._free:
            ids, self._free = self._free, []
            self._receipts.free(
                [payment_id for payment_id in ids if payment_id not in in_flight], self._processes.token
            )
