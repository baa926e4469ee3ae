"""What is known of each payment id of the last minutes: its receipt, or which process has it in flight.

It stands in a log that all processes of a service share (see `receipt_log`); in memory is only where in the log. So
nothing has to be searched for on a disk, and what a process writes goes to the end of a file, whatever the ids.
"""

import struct
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from service.idempotency.receipt_log import BEGINNING, ERRORS, ReceiptLog, Tail
from service.producer.outcomes import Acknowledged

FORMAT = 1
"""Of the records, and of how entries are made of them."""
NOBODY = 0
NOWHERE = Acknowledged(0, 0, 0)

_RECORD = struct.Struct("<8siIiqq")
_KEY_BYTES = 16
_STEP = _KEY_BYTES + _RECORD.size
_SINCE = struct.Struct("<24xi24x")
"""Of a key and its record, when that was written."""
_LONG_AGO = -(2**31)


class Kept(NamedTuple):
    """What is known of an id: a receipt, or (`owner` is not NOBODY) that this process has it in flight."""

    fingerprint: bytes
    since: int
    """Seconds on the machine's monotonic clock."""
    owner: int
    receipt: Acknowledged


def record(fingerprint: bytes, since: int, owner: int, receipt: Acknowledged) -> bytes:
    """What stands in the log of an id."""
    return _RECORD.pack(fingerprint, since, owner, receipt.partition, receipt.offset, receipt.timestamp)


def kept(record: bytes) -> Kept:
    """What a record says."""
    fingerprint, since, owner, *receipt = _RECORD.unpack(record)
    return Kept(fingerprint, since, owner, Acknowledged(*receipt))


class Receipts:
    """The receipts of one folder.

    Methods raise `ERRORS` where its files are damaged, or the disk is full; then `throw_away` them, and begin anew.
    """

    def __init__(self, folder: Path, keep_seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Read them, unless they are `damaged`; `clock` is the machine's, and never jumps."""
        self.keep_seconds = keep_seconds
        self._clock = clock
        self._log = ReceiptLog(folder, keep_seconds, clock)
        self._places = _Places()
        self._seen = BEGINNING
        self._news: list[bytes] = []
        self.fresh = self._log.fresh
        """Whether there was nothing to go on with."""
        self.damaged: Exception | None = None
        """What is wrong with the files, until they are thrown away."""
        try:
            self.follow()
        except ERRORS as error:
            self.damaged = error

    def seconds(self) -> int:
        """The time, as records have it."""
        return int(self._clock())

    def follow(self) -> list[bytes]:
        """Take note of what other processes have written; the ids that it is about, since this was last asked."""
        self._read(self._log)
        news, self._news = self._news, []
        return news

    def find(self, keys: Iterable[bytes]) -> list[Kept | None]:
        """What is known of each id, as far as this process has followed the others."""
        places = self._places.of
        return [None if places(key) is None else self._known(key) for key in keys]

    def claim(
        self, wanted: Sequence[tuple[bytes, bytes]], owner: int, over: Callable[[int], bool]
    ) -> list[Kept | None]:
        """Claim ids, with their payments' fingerprints; None for each that is ours now, else what is known of it.

        `over` says of another owner whether his claims no longer count.
        """
        with self._alone() as log:
            found = [self._known(key) for key, _ in wanted]
            found = [None if known and known.owner != NOBODY and over(known.owner) else known for known in found]
            free = [each for each, known in zip(wanted, found, strict=True) if known is None]
            self._add(log, self._claims(free, owner))
        return found

    def renew(self, claimed: Iterable[tuple[bytes, bytes]], owner: int) -> None:
        """Claim what is in flight already, before its claim is too old to count."""
        with self._alone() as log:
            self._add(log, self._claims(claimed, owner))

    def _claims(self, wanted: Iterable[tuple[bytes, bytes]], owner: int) -> dict[bytes, bytes]:
        now = self.seconds()
        return {key: record(fingerprint, now, owner, NOWHERE) for key, fingerprint in wanted}

    def keep(self, records: Mapping[bytes, bytes]) -> None:
        """Remember receipts by key, each a `record`; in place of claims."""
        with self._alone() as log:
            self._add(log, records)

    def keep_first(self, receipts: Iterable[tuple[bytes, bytes, Acknowledged]], age: Callable[[int], float]) -> None:
        """Remember receipts that were found on the topics, where there is none yet; `age` of a timestamp in seconds."""
        now = self.seconds()
        with self._alone() as log:
            first: dict[bytes, bytes] = {}
            for key, fingerprint, receipt in receipts:
                passed = max(0.0, age(receipt.timestamp))
                known = self._known(key)
                if passed <= self.keep_seconds and key not in first and (known is None or known.owner != NOBODY):
                    first[key] = record(fingerprint, int(now - passed), NOBODY, receipt)
            self._add(log, first)

    def free(self, keys: Iterable[bytes], owner: int) -> None:
        """Give claims of this owner back."""
        with self._alone() as log:
            known = {key: self._known(key) for key in keys}
            mine = {key: claim for key, claim in known.items() if claim is not None and claim.owner == owner}
            self._add(log, {key: record(each.fingerprint, _LONG_AGO, owner, NOWHERE) for key, each in mine.items()})

    def forget(self) -> None:
        """Let go of what is older than it is kept; to be called now and then."""
        self._places.forget(self.seconds() - self.keep_seconds)

    def replaced(self) -> bool:
        """Whether another process has thrown the files away."""
        return self._log.replaced()

    def reopen(self) -> None:
        """Go on with the files that stand there now."""
        self.close()
        self.follow()

    def throw_away(self) -> None:
        """Begin anew, with nothing known."""
        self.close()
        self._log.throw_away()
        self.damaged = None

    def close(self) -> None:
        """Let go of the files; they stay."""
        self._log.close()
        self._places, self._seen, self._news = _Places(), BEGINNING, []

    @contextmanager
    def _alone(self) -> Iterator[Tail]:
        """The log while nobody else adds to it, with note taken of all that others have."""
        with self._log.alone() as log:
            self._read(log)
            yield log

    def _read(self, log: ReceiptLog | Tail) -> None:
        """Take note of what other processes have added."""
        for place, entry in log.after(self._seen):
            keys = _keys(entry)
            self._note(place, entry, keys)
            self._news += keys

    def _add(self, log: Tail, records: Mapping[bytes, bytes]) -> None:
        if records:
            entry = b"".join(chain.from_iterable(sorted(records.items())))
            self._note(log.add(entry), entry, list(records))

    def _note(self, place: int, entry: bytes, keys: list[bytes]) -> None:
        self._places.add(keys, place, max(_SINCE.iter_unpack(entry))[0])
        self._seen = place

    def _known(self, key: bytes) -> Kept | None:
        place = self._places.of(key)
        if place is None:
            return None
        entry = self._log.entry(place) or b""
        # It is in order: of a batch that is sent again whole, every payment is looked for.
        number = bisect_left(range(len(entry) // _STEP), key, key=lambda at: _key_of(entry, at))
        if _key_of(entry, number) != key:
            return None
        known = kept(entry[number * _STEP + _KEY_BYTES : (number + 1) * _STEP])
        return None if known.since + self.keep_seconds < self._clock() else known


def _keys(entry: bytes) -> list[bytes]:
    return [_key_of(entry, number) for number in range(len(entry) // _STEP)]


def _key_of(entry: bytes, number: int) -> bytes:
    return entry[number * _STEP : number * _STEP + _KEY_BYTES]


class _Places:
    """Where in the log each id stands last."""

    def __init__(self) -> None:
        # Millions in one dict would stand still for a moment whenever it grows.
        self._parts: list[dict[bytes, int]] = [{} for _ in range(256)]
        self._entries: deque[tuple[int, int, tuple[bytes, ...]]] = deque()

    def of(self, key: bytes) -> int | None:
        return self._parts[key[-1]].get(key)

    def add(self, keys: list[bytes], place: int, since: int) -> None:
        parts = self._parts
        for key in keys:
            parts[key[-1]][key] = place
        # Tuples, not lists: the garbage collector leaves those alone in which nothing can be garbage.
        self._entries.append((since, place, tuple(keys)))

    def forget(self, before: int) -> None:
        """Let go of entries from before that moment."""
        while self._entries and self._entries[0][0] < before:
            _, place, keys = self._entries.popleft()
            for key in keys:
                part = self._parts[key[-1]]
                if part.get(key) == place:
                    del part[key]
