"""The receipts of the last minutes by payment id, in files that all processes of a service share.

Kafka has the truth, and the files can always be made from it; so nothing here waits for a disk. They are LMDB's: memory
that is mapped, many readers beside one writer, whole after a process was killed at any moment. A machine that went down
may leave them torn, hence the boot's id in their names. One file takes what comes within the time for which receipts
are kept, the one before it is still looked at, older ones are deleted: nothing ever has to be searched for what is old.
"""

import contextlib
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import lmdb

from service.deliveries import Acknowledged

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Addresses, not memory and not disk: the file grows as it is filled.
MOST_BYTES = 16 * 1024**3
NOBODY = 0
NOWHERE = Acknowledged(0, 0, 0)

_RECORD = struct.Struct("<8sIIiqq")

Buffer = bytes | memoryview

Error: type[Exception] = lmdb.Error


class Kept(NamedTuple):
    """What is known of an id: a receipt, or (`owner` is not NOBODY) that this process has it in flight."""

    fingerprint: bytes
    since: int
    """Seconds on the machine's monotonic clock."""
    owner: int
    receipt: Acknowledged


def record(fingerprint: bytes, since: int, owner: int, receipt: Acknowledged) -> bytes:
    """What stands in the files of an id."""
    return _RECORD.pack(fingerprint, since, owner, *receipt)


def kept(record: Buffer) -> Kept:
    """What a record says."""
    fingerprint, since, owner, *receipt = _RECORD.unpack(record)
    return Kept(fingerprint, since, owner, Acknowledged(*receipt))


class Receipts:
    """The files of one folder. Methods raise `Error` where they are damaged, or the disk is full."""

    def __init__(self, folder: Path, keep_seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Open them, or make them, unless they are `damaged`; `clock` is the machine's, and never jumps."""
        self._folder = folder
        self._name = f"{_boot()}-{keep_seconds}"
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._number = -1
        self._now: lmdb.Environment | None = None
        self._before: lmdb.Environment | None = None
        self._inode = 0
        self._reading: tuple[lmdb.Transaction, lmdb.Transaction] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        number = self._wanted()
        self.fresh = not (self._file(number).exists() or self._file(number - 1).exists())
        """Whether there was nothing to go on with."""
        self.damaged: Exception | None = None
        """What is wrong with the files, until they are thrown away."""
        try:
            self._files()
        except Error as error:
            self.damaged = error

    def seconds(self) -> int:
        """The time, as records have it."""
        return int(self._clock())

    def find(self, keys: Iterable[bytes]) -> list[Kept | None]:
        """What is known of each id: as of what this process wrote last, whatever others have written since."""
        if self._reading is None:
            now, before = self._files()
            self._reading = now.begin(), before.begin()
        recent, older = self._reading
        newest, last = recent.get, older.get
        found = [newest(key) or last(key) for key in keys]
        return [None if each is None else self._unless_old(each) for each in found]

    def claim(
        self, wanted: Sequence[tuple[bytes, bytes]], owner: int, free: Callable[[Kept], bool]
    ) -> list[Kept | None]:
        """Claim ids, with their payments' fingerprints; None for each that is ours now, else what is known of it.

        `free` says of a claim whether it no longer counts.
        """
        now, before = self._files()
        since = self.seconds()
        found = []
        with now.begin(write=True) as recent, before.begin() as older:
            # Whoever got here after the file's time was over might not see what others claim in the next one.
            late = self._wanted() != self._number
            for key, fingerprint in () if late else wanted:
                known = self._known(key, recent, older)
                if known is not None and known.owner != NOBODY and free(known):
                    known = None
                if known is None:
                    recent.put(key, record(fingerprint, since, owner, NOWHERE))
                found.append(known)
        return self.claim(wanted, owner, free) if late else found

    def keep(self, records: Mapping[bytes, bytes]) -> None:
        """Remember receipts by key, each a `record`; in place of claims."""
        self._stop_reading()
        now, _ = self._files()
        with now.begin(write=True) as recent:
            # In order, neighbours share a page.
            recent.cursor().putmulti(sorted(records.items()))

    def keep_first(self, receipts: Iterable[tuple[bytes, bytes, Acknowledged]], age: Callable[[int], float]) -> None:
        """Remember receipts that were found on the topics, where there is none yet; `age` of a timestamp in seconds."""
        self._stop_reading()
        now, before = self._files()
        clock = self.seconds()
        with now.begin(write=True) as recent, before.begin() as older:
            for key, fingerprint, receipt in receipts:
                passed = max(0.0, age(receipt.timestamp))
                if passed > self._keep_seconds:
                    continue
                # A machine that has just come up had no clock when some of them were sent.
                since = max(0, int(clock - passed))
                known = self._known(key, recent, older)
                if known is None or known.owner != NOBODY:
                    recent.put(key, record(fingerprint, since, NOBODY, receipt))

    def free(self, keys: Iterable[bytes], owner: int) -> None:
        """Give claims of this owner back."""
        self._stop_reading()
        for environment in self._files():
            with environment.begin(write=True) as transaction:
                for key in keys:
                    known = transaction.get(key)
                    if known is not None and kept(known).owner == owner:
                        transaction.delete(key)

    def replaced(self) -> bool:
        """Whether another process has thrown the files away."""
        try:
            return self._file(self._number).stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def reopen(self) -> None:
        """Go on with the files that stand there now."""
        self.close()
        self._files()

    def throw_away(self) -> None:
        """Begin anew, with nothing known."""
        self.close()
        self._delete(keeping=())
        self._files()
        self.damaged = None

    def close(self) -> None:
        """Let go of the files; they stay."""
        self._stop_reading()
        for environment in (self._now, self._before):
            if environment is not None:
                environment.close()
        self._now = self._before = None
        self._number = -1

    def _known(self, key: bytes, recent: lmdb.Transaction, older: lmdb.Transaction) -> Kept | None:
        found = recent.get(key) or older.get(key)
        return None if found is None else self._unless_old(found)

    def _unless_old(self, found: Buffer) -> Kept | None:
        known = kept(found)
        return None if known.since + self._keep_seconds < self._clock() else known

    def _stop_reading(self) -> None:
        """Let `find` see what is written from here on."""
        if self._reading is not None:
            for transaction in self._reading:
                transaction.abort()
            self._reading = None

    def _files(self) -> tuple[lmdb.Environment, lmdb.Environment]:
        """The file of this moment and the one before it."""
        number = self._wanted()
        if self._now is None or self._before is None or number != self._number:
            self._roll(number)
        assert self._now is not None
        assert self._before is not None
        return self._now, self._before

    def _wanted(self) -> int:
        return int(self._clock() // self._keep_seconds)

    def _roll(self, number: int) -> None:
        if self._now is not None and self._before is not None and number == self._number + 1:
            self._before.close()
            self._before, self._now = self._now, self._open(number)
        else:
            self.close()
            self._before, self._now = self._open(number - 1), self._open(number)
        # Whoever still writes to the last file is waited for, so that nothing appears there after it was looked at.
        self._before.begin(write=True).abort()
        self._number = number
        self._inode = self._file(number).stat().st_ino
        self._delete(keeping=(number - 1, number))

    def _open(self, number: int) -> lmdb.Environment:
        opened = lmdb.open(
            str(self._file(number)), subdir=False, map_size=MOST_BYTES, mode=0o600, sync=False, readahead=False
        )
        # What is mapped and not there would end the process.
        if (opened.info()["last_pgno"] + 1) * opened.stat()["psize"] > self._file(number).stat().st_size:
            opened.close()
            raise lmdb.CorruptedError(f"{self._file(number).name} is cut short")
        # Readers that were killed would keep their view of the file, and its pages, for ever.
        opened.reader_check()
        return opened

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number}.lmdb"

    def _delete(self, keeping: tuple[int, ...]) -> None:
        kept = {self._file(number).name for number in keeping}
        for file in self._folder.glob("*.lmdb*"):
            if file.name.removesuffix("-lock") not in kept:
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()


def _boot() -> str:
    """Which run of the machine this is."""
    try:
        return BOOT_ID.read_text().strip()[:8]
    except OSError:
        return "boot"
