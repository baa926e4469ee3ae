"""The review queue as a process has it: a copy of what the topics say, taken in one transaction a batch.

What can be read of it stands in `case_reads`, `subject_reads` and the like; how a batch is taken in, in `case_intake`,
`decision_intake`, `engine_intake` and `folding`; the file's tables, in `layout`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from aiohttp import web
from aiokafka import TopicPartition

from service.queue.agreement import KsqldbRow
from service.queue.batch import Batch, TopicRecord
from service.queue.case_intake import apply_cases
from service.queue.database import ViewFile
from service.queue.decision_intake import apply_decisions, wake
from service.queue.engine_intake import apply_ksqldb, apply_uncounted, judged_between
from service.queue.folding import fold_subjects
from service.queue.layout import MAX_PAST

log = structlog.get_logger(__name__)

LAST_CHANGE = """
SELECT value, max(
    (SELECT coalesce(max(change), 0) FROM cases), (SELECT coalesce(max(change), 0) FROM subjects),
    (SELECT coalesce(max(change), 0) FROM gone)
) FROM meta WHERE name = 'epoch'
"""


class QueueView(ViewFile):
    """A process's copy of the review queue, written by the one who reads the topics."""

    def __init__(self, file: Path) -> None:
        """Open the file, or make it."""
        super().__init__(file)
        self.compared_until: int | None = None
        """Both engines had read everything that was posted before (ms since the epoch); None: there is one engine."""
        self.expired_until: dict[str, int] = {}
        """By rule: of windows that began until then (ms since the epoch), the second engine's rows may be lost."""
        self.epoch, self.change = "", 0
        """The name of the file, and in it the number of the last change, counted over all cases and subjects."""
        self._read_last_change()

    def rebuild(self) -> None:
        """Throw the file away and begin with an empty one."""
        super().rebuild()
        self._read_last_change()

    def agreement_now(self, table: str = "") -> str:
        """SQL of what a line's agreement is now; `table` is that of its columns, where it has to be named."""
        if self.compared_until is None:
            return "'off'"
        prefix = f"{table}." if table else ""
        settled = f"{prefix}agreement = 'agree' OR {prefix}changed_at < {self.compared_until:d}"
        return f"(CASE WHEN {settled} THEN {prefix}agreement ELSE 'pending' END)"

    def positions(self, source: Mapping[str, str]) -> dict[TopicPartition, int]:
        """Return the next offset to read of each partition that has been read.

        `source` says which topics they are (names and ids). If the view was made from others, it begins anew.
        """
        with self.write() as file:
            stored = dict(file.execute("SELECT name, value FROM source"))
            rows = file.execute("SELECT topic, partition, next_offset FROM positions").fetchall()
        offsets = {TopicPartition(topic, number): offset for topic, number, offset in rows}
        # A topic that is new (ksqlDB makes its own when it is deployed) adds to the view, any other change replaces it.
        if not stored.items() <= source.items():
            log.warning(
                "the review queue's view is made anew", reason="another cluster or topic", was=stored, now=source
            )
            self.rebuild()
            offsets = {}
        with self.write() as file:
            file.executemany("INSERT OR REPLACE INTO source VALUES (?, ?)", source.items())
        return offsets

    def apply(
        self,
        cases: Sequence[TopicRecord],
        positions: Mapping[TopicPartition, int],
        late: Sequence[str] = (),
        ksqldb: Sequence[KsqldbRow] = (),
        decisions: Sequence[TopicRecord] = (),
        repeated: Sequence[str] = (),
    ) -> int:
        """Take in records and remember the positions after them, all or nothing; returns how many made no sense.

        `late` and `repeated` are case ids, one for each payment that came too late for that case's window, or again.
        """
        with self._batch() as batch:
            apply_ksqldb(batch, ksqldb)
            apply_cases(batch, cases)
            apply_decisions(batch, decisions)
            apply_uncounted(batch, "late", late)
            apply_uncounted(batch, "repeated", repeated)
            rows = [(partition.topic, partition.partition, offset) for partition, offset in positions.items()]
            batch.file.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", rows)
        if batch.bad:
            log.warning("not understood", count=len(batch.bad), first=batch.bad[0])
        return len(batch.bad)

    def advance_comparison(self, until: int) -> None:
        """Note that both engines have read everything that was posted before: what waited for that is a change now."""
        since = self.compared_until or 0
        with self._batch() as batch:
            judged_between(batch, since, until)
        self.compared_until = until

    def wake(self, now: int | None = None) -> int:
        """End the snoozes whose time is over (ms since the epoch); returns how many cases are open again."""
        with self._batch(now) as batch:
            return wake(batch)

    def forget_past(self) -> None:
        """Delete where cases and subjects stood before changes that are long ago."""
        with self.write() as file:
            for table in ("cases", "subjects"):
                file.execute(f"DELETE FROM past_{table} WHERE change < ?", [self.change - MAX_PAST])

    @contextmanager
    def _batch(self, now: int | None = None) -> Iterator[Batch]:
        """A batch; its changes count once the transaction is committed."""
        moment = int(time.time() * 1000) if now is None else now
        with self.write() as file:
            batch = Batch(file, moment, self.change, compared=self.compared_until is not None)
            yield batch
            fold_subjects(batch)
        self.change = batch.change

    def _read_last_change(self) -> None:
        epoch, number = self.read(LAST_CHANGE)[0]
        self.epoch, self.change = str(epoch), int(number)


QUEUE_VIEW = web.AppKey("queue_view", QueueView)
