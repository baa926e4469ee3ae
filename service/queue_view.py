"""The review queue as a SQLite file: every case on the topic, and how far the topic has been read, in one transaction.

The file is a copy. Whatever is wrong with it (another layout, another cluster, another topic of the same name, bytes
that SQLite does not know) is cured by deleting it and reading the topic again.
"""

# What is put into SQL by name are constants of this module and of `queue_query`; every value is bound.

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import structlog
from aiokafka import TopicPartition
from msgspec import Meta

from schemas import wire
from service.agreement import KsqldbRow, case_of, difference_of, verdict
from service.queue_query import SORTS, Cursor, Query

LAYOUT = "3"
SUFFIXES = ("", "-wal", "-shm")
MOST_RELATED = 50

log = structlog.get_logger(__name__)

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    topic TEXT, partition INTEGER, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
-- Payments that came too late for the window of a case, which may come to fire later, or never.
CREATE TABLE late (case_id TEXT PRIMARY KEY, payments INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cases (
    id INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    payor INTEGER,
    payee INTEGER,
    payee_bank TEXT,
    total_cents INTEGER NOT NULL,
    payment_count INTEGER NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    last_payment_at INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'open',
    agreement TEXT NOT NULL DEFAULT 'only_python', -- the verdict of both engines' rows, see service/agreement.py
    changed_at INTEGER NOT NULL, -- when the view last heard of a change, by this machine's clock
    version INTEGER NOT NULL -- 0: Python has no such case
);
CREATE TABLE ksqldb (case_id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
-- The case as it stands on the topic, apart from the columns that are searched: those stay small and in memory.
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE INDEX cases_by_payor ON cases (payor);
CREATE INDEX cases_by_payee ON cases (payee, payee_bank);
"""

# One index for each order, and in it every column that can be asked for: where no case or few match, the whole of it is
# read, and that is quick only as long as no row has to be looked up for it.
_SEARCHED = "case_id, status, agreement, changed_at, rule, payor, payee, payee_bank, total_cents, window_start"
_INDEXES = "\n".join(f"CREATE INDEX cases_by_{column} ON cases ({column}, {_SEARCHED});" for column in SORTS.values())

_UPSERT = """
INSERT INTO cases (case_id, rule, payor, payee, payee_bank, total_cents, payment_count, window_start, window_end,
                   last_payment_at, changed_at, version)
VALUES (:case_id, :rule, :payor, :payee, :payee_bank, :total_cents, :payment_count, :window_start, :window_end,
        :last_payment_at, :changed_at, :version)
ON CONFLICT (case_id) DO UPDATE SET
    rule = excluded.rule, payor = excluded.payor, payee = excluded.payee, payee_bank = excluded.payee_bank,
    total_cents = excluded.total_cents, payment_count = excluded.payment_count, window_start = excluded.window_start,
    window_end = excluded.window_end, last_payment_at = excluded.last_payment_at, version = excluded.version
RETURNING id
"""

_LATE = "coalesce((SELECT payments FROM late WHERE case_id = c.case_id), 0)"


class CaseRecord(NamedTuple):
    """A record of the topic; a value of None means that the case is gone."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Group(msgspec.Struct):
    """Those of a group's columns that can be searched; a rule has some of them."""

    payor_account_no: int | None = None
    payee_bank: str | None = None
    payee_account_no: int | None = None


class SearchedCase(msgspec.Struct):
    """What the view must understand of a case in order to find it again."""

    case_id: str
    rule: str
    group: Group
    window_start: int
    window_end: int
    payment_count: int
    total_amount: Annotated[str, Meta(pattern=r"\A[0-9]{1,15}\.[0-9]{2}\Z")]
    last_payment_at: int


Item = dict[str, Any]
"""A case as it is answered: its members on the topic, and `late_payments`, `status`, `agreement`, `version`."""

_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode
_decode_case = msgspec.json.Decoder(SearchedCase).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Damaged(Exception):
    """The file is no use any more and has to be made anew."""


class QueueView:
    """One process's copy of the review queue. Its methods block; each may be called from any thread.

    There is one connection that writes and one that reads (SQLite's write-ahead log lets both go on at once); a lock
    each makes callers take turns. All methods raise sqlite3.OperationalError for what may pass (disk full, file locked)
    and Damaged for what will not.
    """

    def __init__(self, file: Path) -> None:
        """Open the file, or make it; a file that cannot be used is replaced."""
        self.compared_until: int | None = None
        """Both engines had read everything that was posted before (ms since the epoch); None: there is one engine."""
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

    def positions(self, source: Mapping[str, str]) -> dict[TopicPartition, int]:
        """The next offset to read of each partition that has been read.

        `source` says which topics they are (names and ids). If the view was made from others, it begins anew.
        """
        with self._writing, _damage():
            stored = dict(self._writer.execute("SELECT name, value FROM meta WHERE name <> 'layout'"))
            rows = self._writer.execute("SELECT topic, partition, next_offset FROM positions").fetchall()
        found = {TopicPartition(topic, number): offset for topic, number, offset in rows}
        # A topic that is new (ksqlDB makes its own when it is deployed) adds to the view, any other change replaces it.
        if not stored.items() <= source.items():
            log.warning(
                "the review queue's view is made anew", reason="another cluster or topic", was=stored, now=source
            )
            self.rebuild()
            found = {}
        with self._writing, _damage(), self._writer:
            self._writer.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", source.items())
        return found

    def apply(
        self,
        records: Sequence[CaseRecord],
        positions: Mapping[TopicPartition, int],
        late: Sequence[str] = (),
        ksqldb: Sequence[KsqldbRow] = (),
    ) -> int:
        """Take in records and remember the positions after them, all or nothing; returns how many were no cases.

        `late` are case ids, one for each payment that came too late for that case's window.
        """
        bad = 0
        now = int(time.time() * 1000)
        with self._writing, _damage(), self._writer:
            for record in records:
                try:
                    self._apply_one(record, now)
                except (msgspec.MsgspecError, ValueError) as error:
                    # The topic is ours: a record that is no case is a fault to be seen, but not one to stop at.
                    log.warning("not a case", partition=record.partition, offset=record.offset, reason=str(error))
                    bad += 1
            self._put_ksqldb(ksqldb)
            if self.compared_until is not None:
                # By id, the last of each: what a case is in between two records of a batch, nobody sees.
                changed = {record.key.decode(errors="replace") for record in records if record.key is not None}
                for case_id in changed | {found.case_id for found in ksqldb}:
                    self._judge(case_id, now)
            self._writer.executemany(
                "INSERT INTO late VALUES (?, 1) ON CONFLICT DO UPDATE SET payments = payments + 1",
                [(case_id,) for case_id in late],
            )
            self._writer.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", [(*at, offset) for at, offset in positions.items()]
            )
        return bad

    def _put_ksqldb(self, rows: Sequence[KsqldbRow]) -> None:
        for found in rows:
            if found.row is None:
                self._writer.execute("DELETE FROM ksqldb WHERE case_id = ?", (found.case_id,))
            else:
                body = msgspec.msgpack.encode(found)
                self._writer.execute("INSERT OR REPLACE INTO ksqldb VALUES (?, ?)", (found.case_id, body))

    def _judge(self, case_id: str, now: int) -> None:
        """Set what the engines' rows of a case say together; a case that neither has any more goes."""
        ours = self._writer.execute(
            "SELECT body FROM cases JOIN bodies USING (id) WHERE case_id = ? AND version > 0", (case_id,)
        ).fetchone()
        theirs = self._writer.execute("SELECT body FROM ksqldb WHERE case_id = ?", (case_id,)).fetchone()
        if ours is None and theirs is None:
            self._delete(case_id)
            return
        found = _decode_ksqldb(theirs[0]) if theirs else None
        if found and ours is None:
            self._store(case_of(found), version=0, now=now)
        said = verdict(found.row if found else None, ours[0] if ours else None)
        self._writer.execute("UPDATE cases SET agreement = ?, changed_at = ? WHERE case_id = ?", (said, now, case_id))

    def _apply_one(self, record: CaseRecord, now: int) -> None:
        if record.key is None:
            raise ValueError("the record has no key")
        if record.value is None:
            self._delete(record.key.decode())
            return
        # A case has one partition, so its offset there grows with each change and is the same in every process.
        version = record.offset + 1
        self._store(record.value[wire.HEADER_BYTES :] if wire.is_framed(record.value) else record.value, version, now)

    def _store(self, body: bytes, version: int, now: int) -> None:
        case = _decode_case(body)
        dollars, _, cents = case.total_amount.partition(".")
        row = {
            "case_id": case.case_id,
            "rule": case.rule,
            "payor": case.group.payor_account_no,
            "payee": case.group.payee_account_no,
            "payee_bank": case.group.payee_bank,
            "total_cents": int(dollars + cents),
            "payment_count": case.payment_count,
            "window_start": case.window_start,
            "window_end": case.window_end,
            "last_payment_at": case.last_payment_at,
            "changed_at": now,
            "version": version,
        }
        [(row_id,)] = self._writer.execute(_UPSERT, row).fetchall()
        self._writer.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?)", (row_id, body))

    def _delete(self, case_id: str) -> None:
        self._writer.execute("DELETE FROM bodies WHERE id = (SELECT id FROM cases WHERE case_id = ?)", (case_id,))
        self._writer.execute("DELETE FROM cases WHERE case_id = ?", (case_id,))

    def page(self, query: Query) -> tuple[list[Item], Cursor | None]:
        """The cases that a query asks for, and where the next page begins if there is one."""
        where, values = query.conditions(self._agreement())
        column, order = SORTS[query.sort_name], "DESC" if query.descending else "ASC"
        # The rows are chosen in an index alone; the rest is fetched for those that were chosen.
        sql = (
            f"SELECT {self._columns()}, c.{column}, b.body FROM (SELECT id FROM cases{where} "
            f"ORDER BY {column} {order}, case_id {order} LIMIT ?) "
            f"JOIN cases c USING (id) JOIN bodies b USING (id) ORDER BY c.{column} {order}, c.case_id {order}"
        )
        rows = self._read(sql, [*values, query.limit + 1])
        shown = rows[: query.limit]
        last = shown[-1] if len(rows) > query.limit else None
        cursor = Cursor(query.sort, last[6], last[1]) if last else None
        return [_item(row[1:6], row[7]) for row in shown], cursor

    def case(self, case_id: str) -> Item | None:
        """One case."""
        rows = self._read(
            f"SELECT {self._columns()}, b.body FROM cases c JOIN bodies b ON b.id = c.id WHERE case_id = ?", [case_id]
        )
        return _item(rows[0][1:6], rows[0][6]) if rows else None

    def related(self, case_id: str) -> list[Item]:
        """Other cases of the same payor or the same payee, the latest first, without their payments."""
        sql = f"""
            WITH this AS (SELECT payor, payee, payee_bank FROM cases WHERE case_id = :id),
            near AS (
                SELECT id FROM cases WHERE payor = (SELECT payor FROM this)
                UNION
                SELECT id FROM cases
                WHERE payee = (SELECT payee FROM this) AND payee_bank = (SELECT payee_bank FROM this)
            ),
            latest AS (
                SELECT * FROM cases WHERE id IN near AND case_id <> :id
                ORDER BY last_payment_at DESC, case_id LIMIT {MOST_RELATED}
            )
            SELECT {self._columns()}, b.body FROM latest c JOIN bodies b ON b.id = c.id
            ORDER BY c.last_payment_at DESC, c.case_id
        """
        related = [_item(row[1:6], row[6]) for row in self._read(sql, {"id": case_id})]
        for item in related:
            item.pop("payments", None)
        return related

    def judged(self, rule: str, open_after: int) -> dict[str, tuple[int, int]]:
        """A rule's windows: by agreement (and "late"), how many; and how many of them end at or before a time."""
        now = self._agreement()
        kind = f"CASE WHEN {now} NOT IN ('agree', 'pending') AND {_LATE} THEN 'late' ELSE {now} END"
        sql = f"SELECT {kind}, count(*), sum(window_end <= ?) FROM cases c WHERE rule = ? GROUP BY 1"
        return {kind: (count, settled) for kind, count, settled in self._read(sql, [open_after, rule])}

    def differences(self, most: int) -> list[dict[str, Any]]:
        """The first windows on which the engines do not agree, in order of rule and window."""
        sql = f"""
            SELECT k.body, CASE WHEN c.version THEN b.body END, {_LATE} FROM cases c JOIN bodies b USING (id)
            LEFT JOIN ksqldb k ON k.case_id = c.case_id
            WHERE {self._agreement()} NOT IN ('agree', 'pending', 'off')
            ORDER BY rule, window_start, c.case_id LIMIT {most}
        """
        rows = self._read(sql, [])
        found = [difference_of(_decode_ksqldb(row[0]) if row[0] else None, row[1], row[2]) for row in rows]
        return [each for each in found if each]

    def _agreement(self) -> str:
        """SQL of what a case's agreement is now."""
        if self.compared_until is None:
            return "'off'"
        known = f"agreement = 'agree' OR changed_at < {self.compared_until:d}"
        return f"(CASE WHEN {known} THEN agreement ELSE 'pending' END)"

    def _columns(self) -> str:
        return f"c.id, c.case_id, c.status, {self._agreement()}, c.version, {_LATE}"

    def count(self) -> int:
        """How many cases there are."""
        return int(self._read("SELECT count(*) FROM cases", [])[0][0])

    def _read(self, sql: str, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
        with self._reading, _damage():
            return self._reader.execute(sql, values).fetchall()

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
        writer.execute("PRAGMA cache_size = -65536")  # KiB
        writer.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last transactions, never the order: the topic has them still.
        writer.execute("PRAGMA synchronous = NORMAL")
        tables = writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            writer.executescript(f"BEGIN; {_TABLES} {_INDEXES} INSERT INTO meta VALUES ('layout', '{LAYOUT}'); COMMIT;")
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
    """SQLite says OperationalError where it could not work, and DatabaseError itself where the file makes no sense."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from error


def _item(columns: tuple[str, str, str, int, int], body: bytes) -> Item:
    _, status, agreement, version, late = columns
    ours = {"late_payments": late, "status": status, "agreement": agreement, "version": version}
    return {**_decode_members(body), **ours}
