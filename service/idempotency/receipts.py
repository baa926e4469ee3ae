"""Receipts of recent payments, and claims on those in flight, by payment id.

They stand in a log that all processes of a service share (see `receipt_log`); memory holds only their addresses in it.
So nothing has to be searched for on a disk, and a process writes to the end of a file, whatever the ids.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from service.idempotency.address_index import AddressIndex
from service.idempotency.entries import LONG_AGO, NO_OWNER, Entry, Run, pack, packed_entry, packed_ids
from service.idempotency.receipt_log import BEGINNING, LOG_ERRORS, LogEnd, ReceiptLog
from service.producer.outcomes import Receipt


class Receipts:
    """The receipts of one folder.

    Methods raise `LOG_ERRORS` where its files are damaged, or the disk is full; then `throw_away` them, and begin anew.
    """

    def __init__(self, folder: Path, keep_seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Read them, unless they are `damaged`; `clock` is the machine's, and never jumps."""
        self.keep_seconds = keep_seconds
        self._clock = clock
        self._log = ReceiptLog(folder, keep_seconds, clock)
        self._addresses = AddressIndex(keep_seconds)
        self._read_to = BEGINNING
        self._news: list[bytes] = []
        self.fresh = self._log.fresh
        """True where there was nothing to go on with."""
        self.damaged: Exception | None = None
        """Error of the files, until they are thrown away."""
        try:
            self.follow()
        except LOG_ERRORS as error:
            self.damaged = error

    def seconds(self) -> int:
        """The time, as entries have it."""
        return int(self._clock())

    def follow(self) -> list[bytes]:
        """Take note of entries of other processes; returns their ids, since this was last asked."""
        self._follow(self._log)
        news, self._news = self._news, []
        return news

    def find(self, ids: Sequence[bytes]) -> list[Entry | None]:
        """Find the entry of each id, as far as this process has followed the others."""
        if not (addresses := self._addresses.find_all(ids)):
            return [None] * len(ids)
        return [self._entry(payment_id) if payment_id in addresses else None for payment_id in ids]

    def claim(
        self, claims: Sequence[tuple[bytes, bytes]], owner: int, is_over: Callable[[int], bool]
    ) -> list[Entry | None]:
        """Claim ids, with their payments' fingerprints; None for each that this succeeds for, else its entry.

        `is_over` tells of another owner whether its claims count no longer.
        """
        with self._exclusive() as log:
            entries = [self._standing_entry(payment_id, is_over) for payment_id, _ in claims]
            new = [claim for claim, entry in zip(claims, entries, strict=True) if entry is None]
            self._add(log, self._claims(new, owner))
        return entries

    def renew(self, claims: Iterable[tuple[bytes, bytes]], owner: int) -> None:
        """Claim ids in flight again, before their claims are too old to count."""
        with self._exclusive() as log:
            self._add(log, self._claims(claims, owner))

    def keep(self, runs: Sequence[Run]) -> None:
        """Write entries in place of claims."""
        with self._exclusive() as log:
            self._add(log, runs)

    def keep_first(self, receipts: Iterable[tuple[bytes, bytes, Receipt]], age: Callable[[int], float]) -> None:
        """Write receipts from the topics, by id and fingerprint, where there is none yet.

        `age` converts a timestamp to seconds.
        """
        now = self.seconds()
        with self._exclusive() as log:
            first_entries: dict[bytes, Run] = {}
            for payment_id, fingerprint, receipt in receipts:
                seconds = max(0.0, age(receipt.timestamp))
                entry = self._entry(payment_id)
                if (
                    seconds <= self.keep_seconds
                    and payment_id not in first_entries
                    and (not entry or entry.owner != NO_OWNER)
                ):
                    run = Run([payment_id], [fingerprint], int(now - seconds), first_receipt=receipt)
                    first_entries[payment_id] = run
            self._add(log, list(first_entries.values()))

    def free(self, ids: Iterable[bytes], owner: int) -> None:
        """Give claims of this owner back."""
        with self._exclusive() as log:
            entries = [(payment_id, self._entry(payment_id)) for payment_id in ids]
            own = [(payment_id, claim.fingerprint) for payment_id, claim in entries if claim and claim.owner == owner]
            self._add(log, self._claims(own, owner, LONG_AGO))

    def forget(self) -> None:
        """Forget entries that are older than they are kept; to be called now and then."""
        self._addresses.forget(self.seconds() - self.keep_seconds)

    def replaced(self) -> bool:
        """Tell whether another process has thrown the files away."""
        return self._log.replaced()

    def reopen(self) -> None:
        """Go on with the files that stand there now."""
        self.close()
        self.follow()

    def begin_anew(self) -> None:
        """Go on with what another process has put in the place of these files, or throw them away."""
        if self.replaced():
            with suppress(*LOG_ERRORS):
                self.reopen()
                return
        self.throw_away()

    def throw_away(self) -> None:
        """Begin anew, with an empty log."""
        self.close()
        self._log.throw_away()
        self.damaged = None

    def close(self) -> None:
        """Close the files; they stay."""
        self._log.close()
        self._addresses, self._read_to, self._news = AddressIndex(self.keep_seconds), BEGINNING, []

    @contextmanager
    def _exclusive(self) -> Iterator[LogEnd]:
        """Lock the log for adding to it, with note taken of all that other processes have added."""
        with self._log.exclusive() as log:
            self._follow(log)
            yield log

    def _follow(self, log: ReceiptLog | LogEnd) -> None:
        """Take note of what other processes have added."""
        for address, entries in log.after(self._read_to):
            ids = packed_ids(entries)
            self._index(address, ids)
            self._news += ids

    def _add(self, log: LogEnd, runs: Sequence[Run]) -> None:
        if runs:
            self._index(log.add(pack(runs)), list(chain.from_iterable(run.ids for run in runs)))

    def _index(self, address: int, ids: Collection[bytes]) -> None:
        self._addresses.add(ids, address, self.seconds())
        self._read_to = address

    def _claims(self, claims: Iterable[tuple[bytes, bytes]], owner: int, since: int | None = None) -> list[Run]:
        """Make claims on ids, with their payments' fingerprints."""
        if not (pairs := list(claims)):
            return []
        ids, fingerprints = zip(*pairs, strict=True)
        return [Run(ids, fingerprints, self.seconds() if since is None else since, owner)]

    def _standing_entry(self, payment_id: bytes, is_over: Callable[[int], bool]) -> Entry | None:
        """Find an entry that is not a claim which counts no longer."""
        entry = self._entry(payment_id)
        return None if entry and entry.owner != NO_OWNER and is_over(entry.owner) else entry

    def _entry(self, payment_id: bytes) -> Entry | None:
        address = self._addresses.find(payment_id)
        if address is None:
            return None
        entry = packed_entry(self._log.entry(address) or b"", payment_id)
        return None if entry is None or entry.since + self.keep_seconds < self._clock() else entry
