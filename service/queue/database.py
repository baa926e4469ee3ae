"""The SQLite file of the review queue: its two connections, and what to do when it is damaged.

The file is a copy of what stands on topics. Whatever is wrong with it (another layout, another cluster, another topic
of the same name, bytes that SQLite does not know) is cured by deleting it and reading the topics again.
"""

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from schemas.errors import SettingsError
from service.queue.layout import LAYOUT, STATEMENTS

SUFFIXES = ("", "-wal", "-shm")
IN_JSON = "(SELECT value FROM json_each(?))"
"""SQL of the values in a parameter of `as_json`: a statement with any number of them is one statement."""

log = structlog.get_logger(__name__)


def as_json(values: Iterable[str] | Iterable[int]) -> str:
    """Return the parameter for IN_JSON."""
    return msgspec.json.encode(list(values)).decode()


class Damaged(Exception):
    """A file that is no use any more and has to be made anew."""


class ViewFile:
    """A process's file. Its methods block; each may be called from any thread.

    There is one connection that writes and one that reads (SQLite's write-ahead log lets both go on at once); a lock
    each makes callers take turns. All methods raise sqlite3.OperationalError for what may pass (disk full, file locked)
    and Damaged for what will not.
    """

    def __init__(self, file: Path) -> None:
        """Open the file, or make it; a view that cannot be used is replaced.

        Raises SettingsError where another program's database is in its place: that one stays.
        """
        self._file = file
        self._writing, self._reading = threading.Lock(), threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except Damaged as error:
            log.warning("the review queue's view is made anew", file=str(file), reason=str(error))
            self._start_over()

    def close(self) -> None:
        """Close the file."""
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()

    def rebuild(self) -> None:
        """Throw the file away and begin with an empty one."""
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()
            self._start_over()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a block in a transaction: all that it does, or nothing."""
        with self._writing, _damage(), self._writer:
            yield self._writer

    def read(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return the rows of a query."""
        with self._reading, _damage():
            return self._reader.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Let a block read the file as it stands at one moment, with several queries."""
        with self._reading, _damage():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                self._reader.rollback()

    def _open(self) -> None:
        self._writer = _connect(self._file)
        try:
            with _damage():
                self._check_or_create()
        except BaseException:
            self._writer.close()
            raise
        self._reader = _connect(self._file)

    def _check_or_create(self) -> None:
        writer = self._writer
        writer.execute("PRAGMA cache_size = -262144")  # KiB
        writer.execute("PRAGMA wal_autocheckpoint = 16384")  # pages: 64 MiB
        # A crash of the machine may lose the last transactions, never the order: the topics have them still.
        writer.execute("PRAGMA synchronous = NORMAL")
        tables = {name for (name,) in writer.execute("SELECT name FROM sqlite_master")}
        if tables and "meta" not in tables:
            raise SettingsError(f"queue_view {self._file} is another program's database: name another file")
        writer.execute("PRAGMA journal_mode = WAL")
        if not tables:
            meta = f"INSERT INTO meta VALUES ('layout', '{LAYOUT}'), ('epoch', '{secrets.token_hex(6)}');"
            writer.executescript(f"BEGIN; {STATEMENTS} {meta} COMMIT;")
            return
        try:
            layout = writer.execute("SELECT value FROM meta WHERE name = 'layout'").fetchone()
        except sqlite3.OperationalError as error:
            raise Damaged(f"not a view of the review queue: {error}") from None
        if layout != (LAYOUT,):
            raise Damaged(f"layout {layout and layout[0]}, not {LAYOUT}")
        if (check := writer.execute("PRAGMA quick_check(1)").fetchone()) != ("ok",):
            raise Damaged(str(check[0]))

    def _start_over(self) -> None:
        for suffix in SUFFIXES:
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        self._open()


def _connect(file: Path) -> sqlite3.Connection:
    # It reads nothing from the file yet; every use of it takes a lock of ours first, whatever the thread.
    return sqlite3.connect(file, timeout=5.0, check_same_thread=False, isolation_level="IMMEDIATE")


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """SQLite says OperationalError where it could not work, and DatabaseError itself where the file makes no sense.

    Where the file ends too early it says the former, too, and so does Python, without a code, of text that is no UTF-8.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise Damaged(str(error)) from error
        if code == sqlite3.SQLITE_IOERR_SHORT_READ:
            raise Damaged(f"{error}: it ends too early") from error
        raise
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from error
