"""A log of receipts and claims, in files that all processes of a service share: entries are added, never changed.

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

from service.idempotency.write_lock import WriteLock
from service.mapped_files import allocate

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Addresses, not memory and not disk: the file grows as it is filled.
MAX_FILE_BYTES = 16 * 1024**3
READERS_BYTES = 8192
"""LMDB's table of the processes that read a file, which stands beside it."""
BEGINNING = -(2**63)
"""Address before every other."""

# An address is the file's number and the entry's number in it.
_NUMBER_BITS = 32
_KEY = struct.Struct(">I")

LOG_ERRORS = (lmdb.Error, OSError)
"""Errors where the files are damaged, or gone, or the disk is full, or a process was stopped while it wrote."""


class ReceiptLog:
    """The files of one folder, which are all of one `keep_seconds`. Methods raise `LOG_ERRORS`."""

    def __init__(self, folder: Path, keep_seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Open nothing before it is needed; `clock` is the machine's, and never jumps."""
        self._folder = folder
        self._name = _boot()
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._number = -1
        self._current: lmdb.Environment | None = None
        self._previous: lmdb.Environment | None = None
        self._lock: WriteLock | None = None
        self._inode = 0
        folder.mkdir(parents=True, exist_ok=True)
        number = self._due_number()
        self.fresh = not (self._file(number).exists() or self._file(number - 1).exists())
        """True where there was nothing to go on with."""

    def entry(self, address: int) -> bytes | None:
        """Read the entry at an address; None if its file is gone."""
        file = {self._number: self._current, self._number - 1: self._previous}.get(address >> _NUMBER_BITS)
        if file is None:
            return None
        with file.begin() as transaction:
            entry: bytes | None = transaction.get(_key(address))
            return entry

    def after(self, address: int) -> Iterator[tuple[int, bytes]]:
        """Read the entries behind an address, each with its own."""
        current, previous = self._files()
        with current.begin() as transaction:
            yield from LogEnd(self._number, transaction, previous).after(address)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator["LogEnd"]:
        """Read what other processes have added, and add to it, while no other does; additions count at the end."""
        while True:
            current, previous = self._files()
            assert self._lock is not None
            with self._lock.hold(), current.begin(write=True) as transaction:
                # After the file's time is over, an entry would be added that others have finished reading.
                if self._due_number() == self._number:
                    yield LogEnd(self._number, transaction, previous)
                    return

    def replaced(self) -> bool:
        """Tell whether another process has thrown the files away that are open here."""
        if self._number < 0:
            return False
        try:
            return self._file(self._number).stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def throw_away(self) -> None:
        """Begin anew, with an empty log."""
        self.close()
        self._delete(keeping=())
        self._files()

    def close(self) -> None:
        """Close the files; they stay."""
        for file in (self._current, self._previous, self._lock):
            if file is not None:
                file.close()
        self._current = self._previous = self._lock = None
        self._number = -1

    def _files(self) -> tuple[lmdb.Environment, lmdb.Environment]:
        """Open the file of this moment and the one before it."""
        number = self._due_number()
        if self._current is None or self._previous is None or number != self._number:
            self._roll(number)
        assert self._current is not None
        assert self._previous is not None
        return self._current, self._previous

    def _due_number(self) -> int:
        return int(self._clock() // self._keep_seconds)

    def _roll(self, number: int) -> None:
        if self._current is not None and self._previous is not None and number == self._number + 1:
            self._previous.close()
            self._previous, self._current = self._current, self._open(number)
        else:
            self.close()
            self._previous, self._current = self._open(number - 1), self._open(number)
        # Whoever still writes to the last file is waited for, so that nothing appears there after it was read.
        last_lock, self._lock = self._lock or WriteLock(self._file(number - 1)), WriteLock(self._file(number))
        with contextlib.closing(last_lock), last_lock.hold():
            self._previous.begin(write=True).abort()
        self._number = number
        self._inode = self._file(number).stat().st_ino
        self._delete(keeping=(number - 1, number))

    def _open(self, number: int) -> lmdb.Environment:
        # Nothing holds LMDB's locks in this process yet: to close the file would free them.
        allocate(self._file(number).with_name(f"{self._file(number).name}-lock"), READERS_BYTES)
        environment = lmdb.open(
            str(self._file(number)), subdir=False, map_size=MAX_FILE_BYTES, mode=0o600, sync=False, readahead=False
        )
        # What is mapped and not there would end the process.
        if (environment.info()["last_pgno"] + 1) * environment.stat()["psize"] > self._file(number).stat().st_size:
            environment.close()
            raise lmdb.CorruptedError(f"{self._file(number).name} is cut short")
        # Readers that were killed would keep their view of the file, and its pages, for ever.
        environment.reader_check()
        return environment

    def _file(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number}.lmdb"

    def _delete(self, keeping: tuple[int, ...]) -> None:
        current_names = {self._file(number).name for number in keeping}
        for file in self._folder.glob("*.lmdb*"):
            if file.name.removesuffix("-lock") not in current_names:
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()


class LogEnd:
    """The end of the log, as one transaction sees it; entries are added only to an `exclusive` one."""

    def __init__(self, number: int, transaction: lmdb.Transaction, previous: lmdb.Environment) -> None:
        """Take the file's number, a transaction in it, and the file before it."""
        self._number = number
        self._transaction = transaction
        self._previous = previous

    def after(self, address: int) -> Iterator[tuple[int, bytes]]:
        """Read the entries behind an address, each with its own."""
        if address >> _NUMBER_BITS < self._number:
            with self._previous.begin() as transaction:
                yield from _after(transaction, self._number - 1, address)
        yield from _after(self._transaction, self._number, address)

    def add(self, entry: bytes) -> int:
        """Add an entry, and return its address."""
        cursor = self._transaction.cursor()
        address = _address_of(self._number, cursor.key()) + 1 if cursor.last() else _first_address(self._number)
        self._transaction.put(_key(address), entry, append=True)
        return address


def _after(transaction: lmdb.Transaction, number: int, address: int) -> Iterator[tuple[int, bytes]]:
    cursor = transaction.cursor()
    if cursor.set_range(_key(max(address + 1, _first_address(number)))):
        for key, entry in cursor:
            yield _address_of(number, key), bytes(entry)


def _first_address(number: int) -> int:
    return number << _NUMBER_BITS


def _address_of(number: int, key: bytes | memoryview) -> int:
    try:
        return _first_address(number) + int(_KEY.unpack(key)[0])
    except struct.error as error:
        raise lmdb.CorruptedError(f"a key of an entry is none: {error}") from None


def _key(address: int) -> bytes:
    return _KEY.pack(address & (1 << _NUMBER_BITS) - 1)


def _boot() -> str:
    """Name the run of the machine."""
    try:
        return BOOT_ID.read_text().strip()[:8]
    except OSError:
        return "boot"
