"""Rows of both engines, read from their topics into a temporary SQLite file: there may be millions."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self, TypeVar

import msgspec
import structlog
from aiokafka.structs import ConsumerRecord

from fraud.comparison.compare import Row, Uncounted, WindowKey
from fraud.comparison.rows import SINK, RowError, of_ksqldb, of_python, window_of_late, windows_of_repeated
from fraud.rules import Rule
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_LATE, PAYMENT_REPEATED, REVIEW_QUEUE

T = TypeVar("T")
log = structlog.get_logger(__name__)

Engine = Literal["ksqldb", "python"]
"""Engines by the names of their tables: the second one's rows, whichever it is, stand as ksqlDB's."""

_LAYOUT = """
CREATE TABLE ksqldb (rule, window_start, grp, row BLOB, PRIMARY KEY (rule, window_start, grp)) WITHOUT ROWID;
CREATE TABLE python (rule, window_start, grp, row BLOB, PRIMARY KEY (rule, window_start, grp)) WITHOUT ROWID;
CREATE TABLE late (rule, window_start, grp, payments, PRIMARY KEY (rule, window_start, grp)) WITHOUT ROWID;
CREATE TABLE repeated (rule, window_start, grp, payments, PRIMARY KEY (rule, window_start, grp)) WITHOUT ROWID;
"""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Row).decode


class Rows:
    """The last row of each window, by engine. Use as a context manager: the file goes with it."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="underten-compare-")
        self._database = sqlite3.connect(Path(self._folder.name, "rows.sqlite"))
        self.not_understood = 0
        """Records that were no rows."""
        self._database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_LAYOUT}")

    def __enter__(self) -> Self:
        """Return the rows: the file is there already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the file."""
        self._database.close()
        self._folder.cleanup()

    def decode_records(self, decode: Callable[[ConsumerRecord], T], records: Iterable[ConsumerRecord]) -> list[T]:
        """Decode records; those that make no sense are counted, and named in the log."""
        decoded = []
        for record in records:
            try:
                decoded.append(decode(record))
            except RowError as error:
                self.not_understood += 1
                log.warning("not understood", topic=record.topic, partition=record.partition, reason=str(error))
        return decoded

    def put(self, engine: Engine, rows: Sequence[tuple[WindowKey, Row | None]]) -> None:
        """Later rows of a window replace earlier ones; None takes it away."""
        self._database.executemany(
            f"REPLACE INTO {engine} VALUES (?, ?, ?, ?)",
            [(*window, row and _encode(row)) for window, row in rows],
        )

    def put_uncounted(self, reason: Uncounted, windows: Iterable[WindowKey]) -> None:
        """Payments, a record each, that came too late for its window, or that the window had counted already."""
        self._database.executemany(
            f"INSERT INTO {reason} VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET payments = payments + 1", windows
        )

    def count_uncounted(self, reason: Uncounted, window: WindowKey) -> int:
        """Number of such payments of a window."""
        row = self._database.execute(
            f"SELECT payments FROM {reason} WHERE rule = ? AND window_start = ? AND grp = ?", window
        ).fetchone()
        return row[0] if row else 0

    def in_order(self, engine: Engine) -> Iterator[tuple[WindowKey, Row]]:
        """An engine's rows in order of key."""
        query = f"SELECT * FROM {engine} WHERE row IS NOT NULL ORDER BY rule, window_start, grp"
        for rule, start, group, row in self._database.execute(query):
            yield WindowKey(rule, start, group), _decode(row)


async def read_rows(kafka: KafkaSettings, rules: Sequence[Rule], rows: Rows) -> None:
    """Read what both engines have written of these rules, and count what is no row; raises KafkaError."""
    names = {rule.name: rule for rule in rules}
    async for records in read_to_end(kafka, [SINK + name for name in names]):
        ksqldb = rows.decode_records(
            lambda at: of_ksqldb(names[at.topic.removeprefix(SINK)], at.key, at.value), records
        )
        rows.put("ksqldb", ksqldb)
    async for records in read_to_end(kafka, [REVIEW_QUEUE]):
        cases = [record for record in records if record.value is not None]
        python = rows.decode_records(lambda at: of_python(at.value), cases)
        rows.put("python", [(window, row) for window, row in python if window.rule in names])
    async for records in read_to_end(kafka, [PAYMENT_LATE]):
        rows.put_uncounted("late", rows.decode_records(lambda at: window_of_late(at.value), records))
    async for records in read_to_end(kafka, [PAYMENT_REPEATED]):
        windows = rows.decode_records(lambda at: windows_of_repeated(at.value), records)
        rows.put_uncounted("repeated", chain.from_iterable(windows))
