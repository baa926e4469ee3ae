"""The SQLite file of the review queue: its layout, its two connections, and what to do when it is damaged.

The file is a copy of what stands on topics. Whatever is wrong with it (another layout, another cluster, another topic
of the same name, bytes that SQLite does not know) is cured by deleting it and reading the topics again.
"""

# What is put into SQL by name are constants of this package; every value is bound.

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from service.queue.query import SORTS

LAYOUT = "4"
SUFFIXES = ("", "-wal", "-shm")

log = structlog.get_logger(__name__)

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- The topics that the file was made from, by name, and the cluster: their ids.
CREATE TABLE source (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
-- Payments that came too late for the window of a case, which may come to fire later, or never.
CREATE TABLE late (case_id TEXT PRIMARY KEY, payments INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL, -- rule and group: what a snooze silences
    payor INTEGER,
    payee INTEGER,
    payee_bank TEXT,
    total_cents INTEGER NOT NULL,
    payment_count INTEGER NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    last_payment_at INTEGER NOT NULL,
    record INTEGER NOT NULL, -- offset + 1 of its record on the topic; 0: Python has no such case
    agreement TEXT NOT NULL DEFAULT 'only_python', -- the verdict of both engines' rows, see service/queue/agreement.py
    changed_at INTEGER NOT NULL, -- when an engine's row changed, by this machine's clock
    -- Where the review stands, see service/queue/decisions.py.
    status TEXT NOT NULL DEFAULT 'open',
    reviewer TEXT,
    outcome TEXT,
    decided_at INTEGER,
    decisions INTEGER NOT NULL DEFAULT 0,
    reopened TEXT,
    snoozed_until INTEGER,
    updated_at INTEGER NOT NULL, -- when anything of it changed, by this machine's clock
    change INTEGER NOT NULL -- counts the changes of the whole view; this case's last one
);
CREATE TABLE ksqldb (case_id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
-- The case as it stands on the topic, apart from the columns that are searched: those stay small and in memory.
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE listed (payment_id TEXT COLLATE NOCASE, id INTEGER, PRIMARY KEY (payment_id, id)) WITHOUT ROWID;
-- Cases that are gone, for readers who still show them.
CREATE TABLE gone (case_id TEXT PRIMARY KEY, change INTEGER NOT NULL) WITHOUT ROWID;
-- Every decision, also one that took no effect because another one with its number came first.
CREATE TABLE decisions (
    case_id TEXT, number INTEGER, decision_id TEXT, took_effect INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (case_id, number, decision_id)
) WITHOUT ROWID;
-- The last word on each rule and group: from `since` on it is silent until `until`.
CREATE TABLE snoozes (
    subject TEXT PRIMARY KEY, since INTEGER NOT NULL, decision_id TEXT NOT NULL, until INTEGER NOT NULL, body BLOB
) WITHOUT ROWID;
CREATE INDEX cases_by_payor ON cases (payor);
CREATE INDEX cases_by_payee ON cases (payee, payee_bank);
CREATE INDEX cases_by_status ON cases (status, rule);
CREATE INDEX cases_by_subject ON cases (subject);
CREATE INDEX cases_by_change ON cases (change);
CREATE INDEX cases_by_outcome ON cases (rule, outcome) WHERE outcome IS NOT NULL;
CREATE INDEX cases_by_snooze ON cases (snoozed_until) WHERE snoozed_until IS NOT NULL;
"""

# One index for each order, and in it every column that can be asked for: where no case or few match, the whole of it is
# read, and that is quick only as long as no row has to be looked up for it.
_SEARCHED = (
    "case_id, status, agreement, changed_at, rule, payor, payee, payee_bank, total_cents, window_start, "
    "last_payment_at, reviewer"
)
_INDEXES = "\n".join(f"CREATE INDEX cases_by_{column} ON cases ({column}, {_SEARCHED});" for column in SORTS.values())


class Damaged(Exception):
    """The file is no use any more and has to be made anew."""


class ViewFile:
    """One process's file. Its methods block; each may be called from any thread.

    There is one connection that writes and one that reads (SQLite's write-ahead log lets both go on at once); a lock
    each makes callers take turns. All methods raise sqlite3.OperationalError for what may pass (disk full, file locked)
    and Damaged for what will not.
    """

    def __init__(self, file: Path) -> None:
        """Open the file, or make it; a file that cannot be used is replaced."""
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
        """One transaction: all that the block does, or nothing."""
        with self._writing, _damage(), self._writer:
            yield self._writer

    def read(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """The rows of one query."""
        with self._reading, _damage():
            return self._reader.execute(sql, values).fetchall()

    def meta(self, name: str) -> str:
        """`layout`, or `epoch`: by which the changes of this file are told from those of another one."""
        return str(self.read("SELECT value FROM meta WHERE name = ?", [name])[0][0])

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
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA wal_autocheckpoint = 16384")  # pages: 64 MiB
        # A crash of the machine may lose the last transactions, never the order: the topics have them still.
        writer.execute("PRAGMA synchronous = NORMAL")
        tables = writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            meta = f"INSERT INTO meta VALUES ('layout', '{LAYOUT}'), ('epoch', '{secrets.token_hex(6)}');"
            writer.executescript(f"BEGIN; {_TABLES} {_INDEXES} {meta} COMMIT;")
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

    Where the file ends too early it says the former, too.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHORT_READ:
            raise Damaged(f"{error}: it ends too early") from error
        raise
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from error
