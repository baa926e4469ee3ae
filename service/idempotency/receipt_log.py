"""A log of what is known of payments, in files that all processes of a service share: entries are added, never changed.

Kafka has the truth, and the log can always be made from it; so nothing here waits for a disk. The files are LMDB's:
memory that is mapped, many readers beside one writer, whole after a process was killed at any moment. A machine that
went down may leave them torn, hence the boot's id in their names. One file takes what comes within the time for which
entries count, the one before it is still read, older ones are deleted.
"""

import contextlib
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Addresses, not memory and not disk: the file grows as it is filled.
MOST_BYTES = 16 * 1024**3
BEGINNING = -(2**63)
"""Before every place."""

# A place is the file's number and the entry's number in it.
_NUMBER_BITS = 32
_KEY = struct.Struct(">I")

ERRORS = (lmdb.Error, OSError)
"""What the methods raise where the files are damaged, or gone, or the disk is full."""


class ReceiptLog:
    """The files of one folder, which are all of one `keep_seconds`. Methods raise `ERRORS`."""

    def __init__(self, folder: Path, keep_seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is opened before it is needed; `clock` is the machine's, and never jumps."""
        self._folder = folder
        self._name = _boot()
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._number = -1
        self._now: lmdb.Environment | None = None
        self._before: lmdb.Environment | None = None
        self._inode = 0
        folder.mkdir(parents=True, exist_ok=True)
        number = self._wanted()
        self.fresh = not (self._file(number).exists() or self._file(number - 1).exists())
        """Whether there was nothing to go on with."""

    def entry(self, place: int) -> bytes | None:
        """The entry that stands there; None if its file is gone."""
        file = {self._number: self._now, self._number - 1: self._before}.get(place >> _NUMBER_BITS)
        if file is None:
            return None
        with file.begin() as transaction:
            found: bytes | None = transaction.get(_key(place))
            return found

    def after(self, place: int) -> Iterator[tuple[int, bytes]]:
        """The entries behind a place, each with its own."""
        now, before = self._files()
        with now.begin() as transaction:
            yield from Tail(self._number, transaction, before).after(place)

    @contextlib.contextmanager
    def alone(self) -> Iterator["Tail"]:
        """Read what others have added, and add to it, while nobody else does; what is added counts at the end."""
        while True:
            now, before = self._files()
            with now.begin(write=True) as transaction:
                # Whoever got here after the file's time was over would add what others have finished reading.
                if self._wanted() == self._number:
                    yield Tail(self._number, transaction, before)
                    return

    def replaced(self) -> bool:
        """Whether another process has thrown the files away."""
        try:
            return self._file(self._number).stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def throw_away(self) -> None:
        """Begin anew, with nothing known."""
        self.close()
        self._delete(keeping=())
        self._files()

    def close(self) -> None:
        """Let go of the files; they stay."""
        for file in (self._now, self._before):
            if file is not None:
                file.close()
        self._now = self._before = None
        self._number = -1

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
        # Whoever still writes to the last file is waited for, so that nothing appears there after it was read.
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


class Tail:
    """The end of the log, as one transaction sees it; only who is `alone` adds to it."""

    def __init__(self, number: int, transaction: lmdb.Transaction, before: lmdb.Environment) -> None:
        """The file's number, a transaction in it, and the file before it."""
        self._number = number
        self._transaction = transaction
        self._before = before

    def after(self, place: int) -> Iterator[tuple[int, bytes]]:
        """The entries behind a place, each with its own."""
        if place >> _NUMBER_BITS < self._number:
            with self._before.begin() as transaction:
                yield from _after(transaction, self._number - 1, place)
        yield from _after(self._transaction, self._number, place)

    def add(self, entry: bytes) -> int:
        """Add an entry; where it stands."""
        cursor = self._transaction.cursor()
        place = _place(self._number, cursor.key()) + 1 if cursor.last() else _first(self._number)
        self._transaction.put(_key(place), entry, append=True)
        return place


def _after(transaction: lmdb.Transaction, number: int, place: int) -> Iterator[tuple[int, bytes]]:
    cursor = transaction.cursor()
    if cursor.set_range(_key(max(place + 1, _first(number)))):
        for key, entry in cursor:
            yield _place(number, key), bytes(entry)


def _first(number: int) -> int:
    return number << _NUMBER_BITS


def _place(number: int, key: bytes | memoryview) -> int:
    return _first(number) + int(_KEY.unpack(key)[0])


def _key(place: int) -> bytes:
    return _KEY.pack(place & (1 << _NUMBER_BITS) - 1)


def _boot() -> str:
    """Which run of the machine this is."""
    try:
        return BOOT_ID.read_text().strip()[:8]
    except OSError:
        return "boot"
