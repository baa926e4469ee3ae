"""What both engines have found, and how far they have come, as the topics tell it.

Rows are kept in a temporary SQLite file, not in memory: there may be millions.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self, TypeVar

import msgspec
import stamina
import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError
from aiokafka.structs import ConsumerRecord, TopicPartition

from fraud.comparison.compare import Place, Row
from fraud.comparison.rows import SINK, RowError, of_ksqldb, of_python, place_of_late
from fraud.detection.changelog import decode_key, decode_stream_time
from fraud.detection.partition_keys import group_key
from fraud.detection.topology import INPUTS, NORMALISE
from fraud.ksqldb.client import KsqldbSettings, KsqldbUnavailable, connect
from fraud.ksqldb.deployment import health
from fraud.ksqldb.statements import statements
from fraud.rules import Rule
from schemas.kafka.connect import started
from schemas.kafka.partitioning import partition_of
from schemas.kafka.reading import end_offsets, read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import FRAUD_STATE, PAYMENT_LATE, RAW_TOPICS, REVIEW_QUEUE

T = TypeVar("T")
log = structlog.get_logger(__name__)

Engine = Literal["ksqldb", "python"]

_LAYOUT = """
CREATE TABLE ksqldb (rule, window_start, grp, row BLOB, PRIMARY KEY (rule, window_start, grp)) WITHOUT ROWID;
CREATE TABLE python (rule, window_start, grp, row BLOB, PRIMARY KEY (rule, window_start, grp)) WITHOUT ROWID;
CREATE TABLE late (rule, window_start, grp, payments, PRIMARY KEY (rule, window_start, grp)) WITHOUT ROWID;
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
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the file."""
        self._database.close()
        self._folder.cleanup()

    def understood(self, read: Callable[[ConsumerRecord], T], records: Iterable[ConsumerRecord]) -> list[T]:
        """What the records say; those that are no rows are counted, and said in the log."""
        found = []
        for record in records:
            try:
                found.append(read(record))
            except RowError as error:
                self.not_understood += 1
                log.warning("not understood", topic=record.topic, partition=record.partition, reason=str(error))
        return found

    def put(self, engine: Engine, rows: Sequence[tuple[Place, Row | None]]) -> None:
        """Later rows of a window replace earlier ones; None takes it away."""
        self._database.executemany(
            f"REPLACE INTO {engine} VALUES (?, ?, ?, ?)",
            [(*where, row and _encode(row)) for where, row in rows],
        )

    def put_late(self, places: Sequence[Place]) -> None:
        """One payment each that came too late for its window."""
        self._database.executemany(
            "INSERT INTO late VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET payments = payments + 1", places
        )

    def late(self, where: Place) -> int:
        """How many payments came too late for a window."""
        found = self._database.execute(
            "SELECT payments FROM late WHERE rule = ? AND window_start = ? AND grp = ?", where
        ).fetchone()
        return found[0] if found else 0

    def sorted(self, engine: Engine) -> Iterator[tuple[Place, Row]]:
        """An engine's rows in order of place."""
        query = f"SELECT * FROM {engine} WHERE row IS NOT NULL ORDER BY rule, window_start, grp"
        for rule, start, group, row in self._database.execute(query):
            yield Place(rule, start, group), _decode(row)


async def read_rows(kafka: KafkaSettings, rules: Sequence[Rule], rows: Rows) -> None:
    """Read what both engines have written of these rules, and count what is no row; raises KafkaError."""
    names = {rule.name: rule for rule in rules}
    async for records in read_to_end(kafka, [SINK + name for name in names]):
        theirs = rows.understood(lambda at: of_ksqldb(names[at.topic.removeprefix(SINK)], at.key, at.value), records)
        rows.put("ksqldb", theirs)
    async for records in read_to_end(kafka, [REVIEW_QUEUE]):
        found = rows.understood(lambda at: of_python(at.value), [each for each in records if each.value is not None])
        rows.put("python", [(where, row) for where, row in found if where.rule in names])
    async for records in read_to_end(kafka, [PAYMENT_LATE]):
        rows.put_late(rows.understood(lambda at: place_of_late(at.value), records))


class StreamTimes:
    """Python's stream times: what has closed, by rule and partition."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._times: dict[tuple[str, int], int] = {}
        self._partitions: dict[str, int] = {}

    async def read(self, kafka: KafkaSettings) -> None:
        """Raises KafkaError."""
        for partition in await end_offsets(kafka, INPUTS):
            self._partitions[partition.topic] = max(self._partitions.get(partition.topic, 0), partition.partition + 1)
        async for records in read_to_end(kafka, [FRAUD_STATE]):
            for record in records:
                key = decode_key(record.key)
                if key.group is None and record.value is not None:
                    self._times[key.rule, record.partition] = decode_stream_time(record.value).stream_time

    def closed(self, where: Place) -> bool:
        """Whether a window takes no more payments."""
        rule = self._rules[where.rule]
        key = group_key(msgspec.json.decode(where.group))
        partition = partition_of(key, self._partitions.get(rule.input_topic, 1))
        stream_time = self._times.get((rule.name, partition), -1)
        return where.window_start + rule.size_ms + rule.grace_ms("changes") <= stream_time


async def python_lag(kafka: KafkaSettings, app: str) -> int:
    """How many records Python's stages have not read; raises KafkaError."""
    lag = 0
    for stage, topics in INPUTS.items():
        committed = await _committed(kafka, f"{app}-{stage}")
        ends = await end_offsets(kafka, topics)
        behind = {each: committed.get(each, 0) for each, end in ends.items() if committed.get(each, 0) < end}
        # The last offset of a transaction is its marker, which is no record: so those that are left are counted.
        if behind:
            async for records in read_to_end(kafka, {each.topic for each in behind}, {**ends, **behind}):
                lag += len(records)
    return lag


async def unread_payments(kafka: KafkaSettings, app: str) -> tuple[int, int]:
    """How many payments were ever posted, and how many of them Python has not read; raises KafkaError.

    No transaction writes to the raw topics, so their offsets count payments.
    """
    committed = await _committed(kafka, f"{app}-{NORMALISE}")
    ends = await end_offsets(kafka, RAW_TOPICS)
    return sum(ends.values()), sum(max(0, end - committed.get(each, 0)) for each, end in ends.items())


# A broker makes the topic of its groups' offsets when the first group is asked for; until then there is no coordinator.
@stamina.retry(on=(GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError), timeout=30.0)
async def _committed(kafka: KafkaSettings, group: str) -> dict[TopicPartition, int]:
    async with started(AIOKafkaAdminClient(**kafka.client_options()), kafka) as admin:
        offsets = await admin.list_consumer_group_offsets(group)
        return {partition: committed.offset for partition, committed in offsets.items()}


async def ksqldb_lag(kafka: KafkaSettings, settings: KsqldbSettings, rules: Sequence[Rule]) -> int:
    """How many records the queries of these rules have not read, or at least a part of them.

    Raises KsqldbUnavailable, also where a query is missing or has stopped; SettingsError, KafkaError.
    """
    async with connect(settings) as server:
        queries = await health(server)
    lag = 0
    for wanted, topic in _queries(rules):
        query = next((each for each in queries if re.fullmatch(wanted, each.id)), None)
        if query is None:
            raise KsqldbUnavailable(f"ksqlDB has no query {wanted}: `python -m fraud ksql deploy` makes it")
        if query.state != "RUNNING":
            raise KsqldbUnavailable(f"ksqlDB's query {query.id} is not RUNNING, but {query.state}")
        lag += await _first_batch(kafka, topic) if query.lag is None else query.lag
    return lag


def _queries(rules: Sequence[Rule]) -> list[tuple[str, str]]:
    """Patterns of the ids, and what each reads: those that bring the payments together, and one a rule."""
    payments = [statement.query for statement in statements(()) if statement.query]
    by_rule = [(f"CTAS_{SINK}{rule.name}_".upper() + "[0-9]+", SINK + "all_payments") for rule in rules]
    return [*zip(payments, RAW_TOPICS, strict=True), *by_rule]


async def _first_batch(kafka: KafkaSettings, topic: str) -> int:
    """How many records come first of a topic; 0 if it has none."""
    async with aclosing(read_to_end(kafka, [topic])) as batches:
        return len(await anext(batches, []))
